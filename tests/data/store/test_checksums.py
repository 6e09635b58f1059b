"""Sums of downloads without a pinned one are recorded once, and then must stay."""

import hashlib
import os

import pytest

from mmix_jax.data.store.checksums import check_recorded, record_path, record_sha256
from mmix_jax.errors import InputError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a b.npz"
    path.write_bytes(b"content")
    return path


def test_a_record_is_written_once_as_sha256sum_does(path):
    check_recorded(path)  # no record, nothing to compare with
    record_sha256(path)
    line = f"{hashlib.sha256(b'content').hexdigest()}  a b.npz\n"
    assert record_path(path).read_text() == line
    check_recorded(path)
    path.write_bytes(b"other")
    record_sha256(path)
    assert record_path(path).read_text() == line
    assert sorted(os.listdir(path.parent)) == ["a b.npz", "a b.npz.sha256"]


def test_another_content_is_told(path):
    record_sha256(path)
    path.write_bytes(b"other")
    with pytest.raises(InputError, match=r"a b\.npz must have SHA-256 .*delete both") as caught:
        check_recorded(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0" * 63, b"<html>"])
def test_a_record_without_a_sum_is_told(path, content):
    record_path(path).write_bytes(content)
    with pytest.raises(InputError, match=r"sha256 must begin with a SHA-256 sum.* delete it"):
        check_recorded(path)


def test_a_folder_that_cannot_be_written_is_warned_of(path, monkeypatch, caplog):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    record_sha256(path)
    assert "sha256 cannot be written (Permission denied)" in caplog.text
    assert not record_path(path).exists()
