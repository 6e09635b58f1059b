"""Downloads into the cache through tensorflow-datasets, with limits on time and no half files.

tensorflow-datasets' download manager checks sums but knows no time limit: it retries a refused
connection for minutes and waits on a silent one for ever. So the address is first asked for one
byte here, and the manager runs in a process of its own, watched and ended when no data arrives.
Nothing reaches the cache before it is complete and checked.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from mmix_jax.data.store.checksums import RemoteFile, check_sha256
from mmix_jax.errors import InputError

_CONNECT_SECONDS = 5.0  # for each step of the first request
_PROBE_SECONDS = 8.0  # for all of it, the look-up of the name included
_WATCH_SECONDS = 0.2
_STALL_SECONDS = 30.0  # without data, after which a download is given up

_log = logging.getLogger(__name__)


class DownloadFailed(Exception):
    """A file could not be downloaded; the message is one line saying why."""


def download(files: Sequence[RemoteFile], folder: Path) -> dict[str, Path]:
    """Download files to `folder / file.path`.

    Args:
      files: what to get; pinned sums are checked before a file is put in place.
      folder: created where missing.

    Returns:
      Where each lies, by `file.path`.

    Raises:
      DownloadFailed: nothing answers (within ten seconds), the server refuses, the download
        stalls, a sum differs, or the folder cannot be written.
    """
    probe(files[0].url)
    _log.info("downloading %d file(s) from %s", len(files), files[0].url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as staging:
            staged = _run_fetch(files, Path(staging))
            return {file.path: _put(staged[file.url], folder, file) for file in files}
    except OSError as error:
        raise DownloadFailed(f"cannot write to {folder} ({error.strerror})") from error


def download_first(files: Sequence[RemoteFile], folder: Path) -> Path:
    """Where the first that comes whole lies, of one data set's files at several addresses.

    Raises:
      DownloadFailed: none comes; the line says why, by address. With two silent addresses that
        takes less than ten seconds.
    """
    reasons = []
    for file in files:
        try:
            probe(file.url, seconds=4.5)
            return download([file], folder)[file.path]
        except DownloadFailed as error:
            reasons.append(str(error) if file.url in str(error) else f"{file.url}: {error}")
    raise DownloadFailed(", ".join(reasons))


def probe(url: str, *, seconds: float = _PROBE_SECONDS) -> None:
    """Ask an address for one byte.

    Raises:
      DownloadFailed: no answer in time, or an answer other than success.
    """
    outcome: list[str | None] = []
    # A thread, because looking up a host name obeys no time limit; a daemon, because ending the
    # program must not wait for it.
    ask = threading.Thread(target=lambda: outcome.append(_first_byte(url)), daemon=True)
    ask.start()
    ask.join(seconds)
    reason = outcome[0] if outcome else f"no answer within {seconds:g} s"
    if reason is not None:
        raise DownloadFailed(f"{url}: {reason}")


def _first_byte(url: str) -> str | None:
    """None if the address yields data, else why it does not."""
    try:
        with urllib.request.urlopen(url, timeout=_CONNECT_SECONDS) as answer:
            return None if answer.read(1) else "the server sent an empty file"
    except urllib.error.HTTPError as error:
        return f"the server answered {error.code} {error.reason}"
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__


def _run_fetch(files: Sequence[RemoteFile], staging: Path) -> dict[str, Path]:
    """Where the download manager's process put the file of each URL."""
    request = {
        "folder": str(staging),
        "progress": sys.stderr.isatty(),
        "files": [
            {"url": f.url, "sha256": f.sha256, "size": f.size, "name": Path(f.path).name}
            for f in files
        ],
    }
    script = str(Path(__file__).with_name("tfds_fetch.py"))
    with subprocess.Popen(
        # -P: the script's folder holds names of the standard library, such as types.
        [sys.executable, "-P", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if request["progress"] else subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            answer = _watch(process, json.dumps(request), staging)
        finally:
            process.kill()
    if answer.get("error"):
        raise DownloadFailed(answer["error"])
    return {url: Path(path) for url, path in answer["paths"].items()}


def _watch(process: subprocess.Popen, request: str | None, staging: Path) -> dict:
    """The process's answer; given up when its folder has not grown for `_STALL_SECONDS`."""
    size, last_growth = 0, time.monotonic()
    while True:
        try:
            answer, _ = process.communicate(request, timeout=_WATCH_SECONDS)
            break
        except subprocess.TimeoutExpired:
            request = None  # is on its way, and may not be given twice
            now, grown = time.monotonic(), _bytes_in(staging)
            if grown != size:
                size, last_growth = grown, now
            elif now - last_growth > _STALL_SECONDS:
                raise DownloadFailed(f"no data arrived for {_STALL_SECONDS:g} s") from None
    try:
        return json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError):
        status = process.returncode
        raise DownloadFailed(f"the download process ended with status {status}") from None


def _bytes_in(folder: Path) -> int:
    """Bytes of all files below; files and folders may move and vanish meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):  # passes over folders that are gone, as rglob does not
        for name in names:
            with contextlib.suppress(OSError):
                total += os.path.getsize(os.path.join(parent, name))
    return total


def _put(staged: Path, folder: Path, file: RemoteFile) -> Path:
    """Move a complete file to its place in one step."""
    try:
        check_sha256(staged, file)  # the manager checks only files whose size is pinned too
    except InputError:
        raise DownloadFailed(f"{file.url} does not have the pinned SHA-256") from None
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(staged, target)
    return target
