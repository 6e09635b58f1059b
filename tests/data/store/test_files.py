"""Files are found in order, downloaded where missing, and never taken on trust."""

import contextlib
import hashlib
import http.server
import os
import socket
import sys
import threading
import time

import pytest

from mmix_jax.data.nodes import planetoid
from mmix_jax.data.store import download
from mmix_jax.data.store.checksums import RemoteFile
from mmix_jax.data.store.files import cache_folder, find_file, require_files, search_folders
from mmix_jax.data.store.wanted import Wanted, wanted_files
from mmix_jax.errors import InputError

pytestmark = pytest.mark.slow

CONTENT = b"some data\n" * 5000


class Server(http.server.ThreadingHTTPServer):
    """Serves `contents` by path; `stalling` paths send half and then nothing."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.contents: dict[str, bytes] = {}
        self.stalling: set[str] = set()
        self.asked: list[str] = []
        self.closing = threading.Event()

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.lstrip("/")
        self.server.asked.append(path)
        if path not in self.server.contents:
            self.send_error(404)
            return
        content = self.server.contents[path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if path in self.server.stalling:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.server.closing.wait(30)
        else:
            self.wfile.write(content)

    def log_message(self, format, *args):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError):  # some tests want a client that gives up
            super().handle()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no other folder with data."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MMIX_DATA_DIR", raising=False)
    return tmp_path / "cache" / "mmix_jax"


def _remote(server: Server, name: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(
        f"set/{name}", server.url(name), hashlib.sha256(content).hexdigest(), len(content)
    )


def _left_in(folder) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def test_search_order_is_argument_then_variable_then_cache(tmp_path, cache, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second, cache):
        (folder / "set").mkdir(parents=True)
    monkeypatch.setenv("MMIX_DATA_DIR", str(second))
    assert search_folders(first) == [first, second, cache]
    assert find_file("set/a", first) is None
    for folder in (cache / "set", second, second / "set", first):
        (folder / "a").write_text("")
        assert find_file("set/a", first) == folder / "a"
    assert find_file("set/a") == second / "set/a"


def test_a_data_folder_that_does_not_exist_is_told(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="data_dir must be a folder"):
        search_folders(tmp_path / "missing")
    monkeypatch.setenv("MMIX_DATA_DIR", str(tmp_path / "missing"))
    with pytest.raises(InputError, match="MMIX_DATA_DIR must be a folder"):
        search_folders()
    wanted = Wanted("set/a or set/b", "https://a.org/a", "set")
    for find in (search_folders, lambda **options: find_file("set/a", **options)):
        with pytest.raises(InputError) as told:
            find(wanted=wanted)
        assert str(told.value) == wanted.no_folder("MMIX_DATA_DIR", str(tmp_path / "missing"))


def test_a_data_folder_that_is_none_is_told_with_what_it_would_hold(tmp_path):
    (tmp_path / "file").write_text("")
    wanted = Wanted("set/a or set/b", "https://a.org/a", "set")
    for name, found in (("gone", "does not exist"), ("file", "is no folder")):
        path = str(tmp_path / name)
        assert wanted.no_folder("data_dir", path) == (
            f"data_dir must be a folder that holds set/a or set/b, found {path!r}, which {found}; "
            "name another by --config.data_dir or MMIX_DATA_DIR, or leave both out: what is "
            "missing is downloaded from https://a.org/a"
        )


def test_files_that_are_nowhere_are_told_with_all_that_helps(tmp_path):
    files = [RemoteFile(f"set/{name}", f"https://a.org/x/{name}") for name in "ab"]
    folders = [tmp_path / "mine", tmp_path / "cache"]
    assert wanted_files(files).nowhere(folders, "no network") == (
        f"data files set/a b must be in a data folder, found in none of {tmp_path}/mine, "
        f"{tmp_path}/cache, and downloading failed: no network; get the files from "
        f"https://a.org/x/ and put them into {tmp_path}/mine/set, or name the folder that has "
        "them by --config.data_dir or MMIX_DATA_DIR"
    )
    one = wanted_files(files[:1], forms=" or set/c").nowhere(folders, "no network")
    assert one.startswith("data file set/a or set/c must be in a data folder, ")
    assert f"files from https://a.org/x/a and put them into {tmp_path}/mine/set, or " in one


def test_cache_folder_follows_the_environment(cache, monkeypatch, tmp_path):
    assert cache_folder() == cache
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "mmix_jax"


def test_missing_files_are_downloaded_once_without_tensorflow(server, cache, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow_datasets", raising=False)  # of other tests
    trap = tmp_path / "trap" / "tensorflow"
    trap.mkdir(parents=True)
    (trap / "__init__.py").write_text("raise RuntimeError('TensorFlow was imported')")
    monkeypatch.setenv("PYTHONPATH", str(trap.parent))
    server.contents = {"a": CONTENT, "b": b"b"}
    files = [_remote(server, "a"), _remote(server, "b", b"b")._replace(sha256=None, size=None)]
    for _ in range(2):
        paths = require_files(files)
        assert paths == [cache / "set/a", cache / "set/b"]
        assert [path.read_bytes() for path in paths] == [CONTENT, b"b"]
    assert sorted(server.asked) == ["a", "a", "b"]  # "a" once more for the first byte
    assert _left_in(cache) == ["set/a", "set/b"]
    assert "tensorflow_datasets" not in sys.modules


@pytest.mark.parametrize("pinned_size", [True, False])
def test_a_corrupted_download_is_refused_and_leaves_nothing(server, cache, pinned_size):
    server.contents = {"a": CONTENT, "b": CONTENT[:-1] + b"!"}
    files = [_remote(server, name) for name in "ab"]
    if not pinned_size:
        files = [file._replace(size=None) for file in files]
    told = "Checksum" if pinned_size else "does not have the pinned SHA-256"
    with pytest.raises(InputError, match=told) as caught:
        require_files(files)
    assert "set/a" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "set/b" not in _left_in(cache)
    assert not [name for name in os.listdir(cache) if name.startswith(".download")]


def test_a_refusing_server_is_told(server, cache):
    with pytest.raises(InputError, match="the server answered 404"):
        require_files([_remote(server, "a")])
    server.contents = {"a": CONTENT}
    with pytest.raises(InputError, match="HTTP code: 404"):
        require_files([_remote(server, "a"), _remote(server, "b")])
    assert _left_in(cache) == []


def test_a_stalled_download_is_given_up_and_leaves_nothing(server, cache, monkeypatch):
    monkeypatch.setattr(download, "_STALL_SECONDS", 3.0)
    server.contents, server.stalling = {"a": CONTENT}, {"a"}
    with pytest.raises(InputError, match="no data arrived for"):
        require_files([_remote(server, "a")])
    assert _left_in(cache) == []


def test_a_folder_that_vanishes_while_it_is_counted_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "going").mkdir()
    (tmp_path / "file").write_bytes(b"abc")
    scandir = os.scandir

    def after_a_move(path):
        if str(path).endswith("going"):
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", after_a_move)
    assert download._bytes_in(tmp_path) == 3


def test_nothing_answers(tmp_path, cache):
    """A port that nobody listens on, and one where nobody replies."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        with pytest.raises(InputError, match="refused"):
            require_files([RemoteFile("set/a", url, "0" * 64, 1)], data_dir=tmp_path)
        silent.listen()
        start = time.monotonic()
        with pytest.raises(InputError) as caught:
            require_files([RemoteFile("set/a", url, "0" * 64, 1)], data_dir=tmp_path)
        assert time.monotonic() - start < 10
        line = str(caught.value)
        for part in ("set/a", str(cache), "timed out", url, f"put them into {tmp_path / 'set'}"):
            assert part in line
        with pytest.raises(download.DownloadFailed, match=r"no answer within 0\.1 s"):
            download.probe(url, seconds=0.1)


def test_a_cache_that_cannot_be_written_is_told(server, cache):
    server.contents = {"a": CONTENT}
    cache.parent.mkdir()
    cache.write_text("a file in the folder's place")
    with pytest.raises(InputError, match="cannot write to"):
        require_files([_remote(server, "a")])


def test_a_damaged_file_on_disk_is_refused(server, tmp_path):
    (tmp_path / "a").write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match="swapped or damaged file; delete it"):
        require_files([_remote(server, "a")], data_dir=tmp_path)
    assert server.asked == []


def test_planetoid_downloads_from_another_address(server, data_dir):
    for file in planetoid.remote_files("cora"):
        name = file.path.rpartition("/")[2]
        server.contents[f"mirror/{name}"] = (data_dir / file.path).read_bytes()
    cora = planetoid.load_planetoid("cora", base_url=server.url("mirror/"))
    assert cora.graph.num_nodes == 2708
    assert len(_left_in(cache_folder())) == 8
