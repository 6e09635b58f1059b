"""Compiled programs kept between runs: jax's persistent cache, in the user's cache folder."""

import contextlib
import hashlib
import logging
import os
import platform
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from mmix_jax.errors import InputError

SWITCH = "MMIX_COMPILE_CACHE"
_MAX_BYTES = 512 * 2**20
_FOLDER = "jax_compilation_cache_dir"
_SETTINGS = {
    "jax_persistent_cache_min_compile_time_secs": 0.1,  # a run has dozens of small programs
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
_TROUBLE = re.compile(r"Error (reading|writing) persistent compilation cache entry for '(.*?)': ")
_TOLD = {
    "reading": "warning: the compiled program %s in %s was damaged; it is compiled anew",
    "writing": "warning: the compiled program %s cannot be kept in %s; the run goes on without",
}
log = logging.getLogger(__name__)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Within, compiled programs are read from the cache folder and left there.

    jax's settings are as before afterwards. Nothing is done with `MMIX_COMPILE_CACHE=off`, or where
    jax has a cache folder already (`JAX_COMPILATION_CACHE_DIR`) or is told to keep nothing. A
    folder that cannot be written is said once and done without; a damaged program is said, removed
    and compiled anew.

    Raises:
      InputError: `MMIX_COMPILE_CACHE` is neither on nor off.
    """
    switch = os.environ.get(SWITCH) or "on"
    if switch not in ("on", "off"):
        raise InputError(f"{SWITCH} must be on or off, found '{switch}'")
    if switch == "on":
        # Where XLA has added tuning to the processor's features it takes a program of this very
        # machine for another's, and tells each in a long line. The folder's name sees to it that
        # there are no others.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import jax

    enabled, own = (getattr(jax.config, name) for name in ("jax_enable_compilation_cache", _FOLDER))
    folder = _folder() if switch == "on" and enabled and own is None else None
    if folder is None:
        yield
        return
    with _settings({_FOLDER: str(folder)} | _SETTINGS), _trouble(folder):
        yield


def machine() -> str:
    """Names this machine's instruction set, processor and number of cores.

    jax's key of a program has them in part only. Another machine's program may stop this one at an
    instruction that it lacks; one that was cut for other cores adds up in another order.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = [platform.processor()]
    of_interest = ("model name", "flags", "Features", "CPU")
    described = sorted({line for line in lines if line.startswith(of_interest)}) or lines
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    digest = hashlib.sha256("\n".join([*described, str(cores)]).encode())
    return f"{platform.machine()}-{digest.hexdigest()[:12]}"


def trim(folder: Path, max_bytes: int = _MAX_BYTES) -> None:
    """Remove the programs that were used longest ago, until the rest has at most `max_bytes`.

    jax's own limit needs another package, and takes a lock at every program.
    """
    found = []
    for path in folder.rglob("*-cache"):
        with contextlib.suppress(OSError):  # another run may have removed it
            told = path.stat()
            found.append((max(told.st_atime, told.st_mtime), told.st_size, path))
    whole = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if whole <= max_bytes:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        whole -= size


def _folder() -> Path | None:
    """This machine's folder, made and writable; None, with a warning, where that cannot be."""
    from mmix_jax.data.store.files import cache_folder

    root = cache_folder() / "programs"
    folder, probe = root / machine(), f".{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / probe).touch()
        (folder / probe).unlink()
    except OSError as error:
        log.warning(
            "warning: the cache folder %s cannot be written (%s); compiled programs are not kept",
            folder,
            error.strerror,
        )
        return None
    trim(root)
    return folder


@contextlib.contextmanager
def _settings(values: dict) -> Iterator[None]:
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    before = {name: getattr(jax.config, name) for name in values}
    try:
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()  # jax takes a folder at its first program
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


@contextlib.contextmanager
def _trouble(folder: Path) -> Iterator[None]:
    """What jax warns of, in one line of our own; a damaged program is removed.

    jax would leave it there, and warn in every run.
    """
    told: list[str] = []
    shown = warnings.showwarning

    def show(message, category, filename, lineno, file=None, line=None):
        found = _TROUBLE.match(str(message))
        if not found:
            shown(message, category, filename, lineno, file, line)
            return
        doing, name = found.groups()
        if doing == "reading":
            for path in folder.iterdir():  # the digest in its name is not told
                if path.name.startswith(f"{name}-"):
                    path.unlink(missing_ok=True)
        if doing not in told:
            told.append(doing)
            log.warning(_TOLD[doing], name, folder)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown
