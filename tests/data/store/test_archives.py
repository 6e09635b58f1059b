"""Archives are unpacked only if every member stays inside."""

import io
import stat
import tarfile
import zipfile

import pytest

from mmix_jax.data.store.archives import safe_members
from mmix_jax.errors import InputError

GOOD = ("MUTAG/", "MUTAG//MUTAG_A.txt", "a/b..c/d.txt", "..hidden")
BAD = ("../a", "a/../../b", "/etc/passwd", "a\\..\\..\\b", "C:\\a", "C:a", "\\\\host\\a")


def _zip(*members) -> zipfile.ZipFile:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member in members:
            archive.writestr(member, "")
    return zipfile.ZipFile(stream)


def _tar(*members) -> tarfile.TarFile:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member in members:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
            archive.addfile(member)
    stream.seek(0)
    return tarfile.open(fileobj=stream)


@pytest.mark.parametrize("pack", [_zip, _tar])
def test_plain_members_are_all_returned(pack):
    assert len(safe_members(pack(*GOOD))) == len(GOOD)


@pytest.mark.parametrize("pack", [_zip, _tar])
@pytest.mark.parametrize("name", BAD)
def test_names_that_leave_the_folder_are_refused(pack, name):
    with pytest.raises(InputError, match="do not unpack it"):
        safe_members(pack("fine", name))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_tar_are_refused(kind):
    member = tarfile.TarInfo("a")
    member.type, member.linkname = kind, "b"
    with pytest.raises(InputError, match="a link or device"):
        safe_members(_tar(member))


def test_links_in_zip_are_refused():
    member = zipfile.ZipInfo("a")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InputError, match="a link or device"):
        safe_members(_zip(member))


def test_published_archives_pass(data_dir):
    with zipfile.ZipFile(data_dir / "tu" / "MUTAG.zip") as archive:
        assert any(member.filename.endswith("MUTAG_A.txt") for member in safe_members(archive))
