"""What a program finds around it: folders of its user, a terminal of any encoding, other runs."""

import contextlib
import io
import logging
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from mmix_jax.errors import InputError

LOCK = ".lock"
_WAIT_S = 0.2

log = logging.getLogger(__name__)


def user_path(given: str | os.PathLike, what: str = "a path") -> Path:
    """A path with `~` and `~user` for home folders.

    Raises:
      InputError: there is no such user or home, or the path is empty or holds a null character.
    """
    if not isinstance(given, str | bytes | os.PathLike):
        raise InputError(f"{what} must be a path, found {given!r}; write it out")
    text = os.fsdecode(given)
    lengths = [len(part.encode("utf-8", "surrogatepass")) for part in text.split(os.sep)]
    if not text or "\0" in text or max(lengths) > 255 or sum(lengths) > 4000:
        raise InputError(
            f"{what} must name a file or folder, found {text[:40]!r}; write it out (a name has 255 "
            "bytes at most, a path 4,000)"
        )
    path = Path(text)
    if not text.startswith("~"):  # "./~x" is a folder of that name, also when it is asked again
        return path.absolute() if str(path).startswith("~") else path
    try:
        return path.expanduser()
    except RuntimeError as error:
        user = path.parts[0]
        raise InputError(
            f"{what} begins with {user!r}, found no home folder of that name; write the path out, "
            f"or ./{user} for a folder of this name"
        ) from error


def cache_home() -> Path:
    """Where caches lie: `$XDG_CACHE_HOME`, `~/.cache`, or a temporary folder without a home.

    Raises:
      InputError: there is no home, and the temporary folder is another user's.
    """
    if given := os.environ.get("XDG_CACHE_HOME"):
        return user_path(given, "XDG_CACHE_HOME")
    try:
        return Path.home() / ".cache" if os.environ.get("HOME") != "" else _homeless()
    except RuntimeError:  # a user without an entry, as in a container
        return _homeless()


@cache
def _homeless() -> Path:
    """A folder that is this user's alone: programs are read from it."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"mmix_jax-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat() if folder.exists() else None
    if state and (not stat.S_ISDIR(state.st_mode) or state.st_uid != user or state.st_mode & 0o077):
        raise InputError(
            f"a cache needs a folder of one's own, found no home and another's {folder}; set "
            "XDG_CACHE_HOME"
        )
    log.info("no home folder: downloads and compiled programs are kept in %s", folder)
    return folder


def print_anything() -> None:
    """Let standard output take every character: what its encoding lacks is written as its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def plainly_named(folder: Path) -> Iterator[Path]:
    """The folder by a path that every library takes: itself, or a link to it in a temporary folder.

    Orbax reads brackets, stars and colons in a path as patterns and services, a backslash as a
    slash, and cannot take a name that is not UTF-8.
    """
    if re.fullmatch(r"[\w/ .,+=@-]*", str(folder), re.ASCII):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="mmix_jax-") as temporary:
        link = Path(temporary) / "folder"
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link


class _Taken(InputError):
    """Another process has the folder."""


@contextlib.contextmanager
def locked(
    folder: Path, *, flag: str = "--workdir", wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """The folder for this process alone; the lock ends with the process, however that ends.

    The folder is made, and removed again if nothing has come into it. With `wait`, which is called
    meanwhile and may raise, whoever has it is waited for.

    Raises:
      InputError: another process has it, or it cannot be made.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    path = folder / LOCK
    told = wait is None
    try:
        while True:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                handle = _taken(path, flag)
                break
            except _Taken as taken:
                if wait is None:
                    raise
                if not told:
                    log.info("waiting: %s", str(taken).partition(";")[0].partition(", ")[2])
                told = True
                wait()
                time.sleep(_WAIT_S)
    except OSError as error:
        raise InputError(
            f"the workdir must be writable, found {folder}: {error.strerror}; choose another {flag}"
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # while it is held: who opened it before looks again
        os.close(handle)
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def _taken(path: Path, flag: str) -> int:
    """A handle of the locked file at this path, with this process's number in it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(handle, path.parent, flag)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                os.ftruncate(handle, 0)
                os.pwrite(handle, str(os.getpid()).encode(), 0)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its owner has removed it in between


def _lock(handle: int, folder: Path, flag: str) -> None:
    try:
        import fcntl
    except ImportError:  # not on Windows: there two runs are their user's care
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
        owner = f"process {owner}" if owner else "another"
        raise _Taken(
            f"a workdir is for one run at a time, found {owner} at work in {folder}; wait for it, "
            f"or choose another {flag}"
        ) from error
    except OSError as error:  # a file system without locks
        log.warning(
            "warning: %s cannot be locked (%s); keep other runs out", folder, error.strerror
        )
