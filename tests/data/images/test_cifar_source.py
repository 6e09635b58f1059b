"""CIFAR's archives come from the source, its mirror or an address of one's own, by their sums."""

import functools
import http.server
import threading

import numpy as np
import pytest

from mmix_jax.data.images import cifar_source
from mmix_jax.data.images.cifar import read_cifar
from mmix_jax.data.images.cifar_source import find_source
from mmix_jax.data.statistics import PUBLISHED
from mmix_jax.data.store import download
from mmix_jax.data.store.checksums import sha256_of
from mmix_jax.errors import InputError
from tests.data.images import cifar_files


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_request(self, code="-", size="-"):
        self.server.asked.append((self.path, int(code)))

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves `www`; the source and its mirror are folders there."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("MMIX_DATA_DIR", "MMIX_CIFAR_URL"):
        monkeypatch.delenv(variable, raising=False)
    handler = functools.partial(_Handler, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        server.address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(cifar_source, "BASE_URL", f"{server.address}/source/")
        monkeypatch.setattr(cifar_source, "MIRROR_URL", f"{server.address}/mirror/")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Puts an archive into a folder of the server, its sum pinned."""

    def put(folder, name, form):
        archive = cifar_files.write_archive(tmp_path / "www" / folder, name, form)
        new = {"sha256": sha256_of(archive), "size": archive.stat().st_size}
        monkeypatch.setitem(PUBLISHED[name]["files"], archive.name, new)
        return archive

    return put


def test_the_source_comes_first(server, serve, tmp_path):
    serve("mirror", "cifar10", "python")
    archive = serve("source", "cifar10", "binary")
    found = find_source("cifar10")
    assert found == tmp_path / "cache" / "mmix_jax" / "images" / archive.name
    assert found.read_bytes() == archive.read_bytes()
    asked = len(server.asked)
    assert find_source("cifar10") == found
    assert len(server.asked) == asked
    assert {path for path, _ in server.asked} == {f"/source/{archive.name}"}


@pytest.mark.parametrize(("name", "damaged"), [("cifar10", False), ("cifar100", True)])
def test_the_mirror_is_asked_where_the_source_fails(server, serve, name, damaged):
    if damaged:
        archive = serve("source", name, "binary")
        archive.write_bytes(archive.read_bytes()[:-1] + b"!")
    archive = serve("mirror", name, "python")
    found = find_source(name)
    assert found.read_bytes() == archive.read_bytes()
    assert [path.name for path in found.parent.iterdir()] == [archive.name]
    paths = [path for path, _ in server.asked]
    assert paths[0] == f"/source/{cifar_files.ARCHIVES[name, 'binary']}"
    assert paths[-1] == f"/mirror/{archive.name}"
    np.testing.assert_array_equal(read_cifar(found, name).train, cifar_files.parts(name)[0].images)


@pytest.mark.parametrize("given", ["argument", "variable"])
def test_an_address_of_one_s_own_may_hold_either_form_and_is_asked_alone(
    server, serve, monkeypatch, given
):
    for folder in ("source", "mirror"):
        serve(folder, "cifar10", "binary")
    archive = serve("own", "cifar10", "python")
    monkeypatch.setenv("MMIX_CIFAR_URL", server.address + ("/own" if given == "variable" else "/x"))
    base_url = f"{server.address}/own/" if given == "argument" else None
    assert find_source("cifar10", base_url=base_url).read_bytes() == archive.read_bytes()
    assert {path.rsplit("/", 1)[0] for path, _ in server.asked} == {"/own"}


def test_what_fails_is_told_with_both_addresses_and_one_place(server, tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match="the server answered 404") as caught:
        find_source("cifar100", data_dir=tmp_path / "data")
    line = str(caught.value)
    binary, python = (cifar_files.ARCHIVES["cifar100", form] for form in ("binary", "python"))
    source, mirror = f"{server.address}/source/{binary}", f"{server.address}/mirror/{python}"
    forms = f"{binary} or {python}, unpacked cifar-100-binary or cifar-100-python, or cifar100/ as"
    for part in (
        forms,
        f"failed: {source}: ",
        f", {mirror}: ",
        f"get the files from {source} or {mirror} and put them into {tmp_path}/data/images, or ",
    ):
        assert part in line
    assert line.endswith("by --config.data_dir or MMIX_DATA_DIR")
    assert "\n" not in line


def test_a_failure_without_an_address_is_told_with_it(server, serve, monkeypatch):
    serve("source", "cifar10", "binary")

    def stall(files, folder):
        raise download.DownloadFailed("no data arrived for 30 s")

    monkeypatch.setattr(download, "download", stall)
    with pytest.raises(InputError, match=r"binary\.tar\.gz: no data arrived for 30 s, http"):
        find_source("cifar10")


def test_two_silent_addresses_are_given_up_within_ten_seconds(server, monkeypatch):
    waited = []

    def silent(url, *, seconds):
        waited.append(seconds)
        raise download.DownloadFailed(f"{url}: no answer within {seconds:g} s")

    monkeypatch.setattr(download, "probe", silent)
    with pytest.raises(InputError, match="no answer"):
        find_source("cifar10")
    assert len(waited) == 2 and sum(waited) < 10
