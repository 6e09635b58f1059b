"""Compiled programs kept between runs: jax's persistent cache, in the user's cache folder.

Here is what jax's cache lacks: a folder per machine, a bound that needs neither another package nor
a lock at every program, and an end to damaged programs, which jax warns of in every run.
"""

import contextlib
import hashlib
import logging
import os
import platform
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from mmix_jax.errors import InputError

SWITCH = "MMIX_COMPILE_CACHE"
_MAX_BYTES = 512 * 2**20
_MIN_SECONDS = 0.1  # of compiling; a run has dozens of small programs
_SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
_TROUBLE = re.compile(r"Error (reading|writing) persistent compilation cache entry for '(.*?)': ")
_LINES = {
    "reading": "warning: the compiled program %s in %s was damaged; it is compiled anew",
    "writing": "warning: the compiled program %s cannot be kept in %s; the run goes on without",
}
log = logging.getLogger(__name__)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Within, compiled programs are read from the cache folder and left there; not afterwards.

    Nothing is done with `MMIX_COMPILE_CACHE=off`, or where jax has a cache folder already
    (`JAX_COMPILATION_CACHE_DIR`) or is told to keep nothing. A folder that cannot be written is
    said once and done without; a damaged program is said, removed and compiled anew.

    Raises:
      InputError: `MMIX_COMPILE_CACHE` is neither on nor off.
    """
    switch = os.environ.get(SWITCH) or "on"
    if switch not in ("on", "off"):
        raise InputError(f"{SWITCH} must be on or off, found '{switch}'")
    if switch == "on":
        # XLA takes programs of this very machine for another's where it has added tuning to the
        # processor's features, and tells each in a long line. The folder's name keeps others out.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    names = ("jax_enable_compilation_cache", *_SETTINGS)
    enabled, *before = [getattr(jax.config, name) for name in names]
    folder = _folder() if switch == "on" and enabled and before[0] is None else None
    if folder is None:
        yield
        return

    def configure(values: list) -> None:
        for name, value in zip(_SETTINGS, values, strict=True):
            jax.config.update(name, value)
        compilation_cache.reset_cache()  # jax takes a folder at its first program

    with warnings.catch_warnings():  # which puts `showwarning` back
        warnings.showwarning = _in_one_line(folder, warnings.showwarning)
        configure([str(folder), _MIN_SECONDS])
        try:
            yield
        finally:
            configure(before)


def machine() -> str:
    """Names this machine's instruction set, processor and number of cores.

    jax's key of a program has them in part only. Another machine's program may stop this one at an
    instruction that it lacks; one that was cut for other cores adds up in another order.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = [platform.processor()]
    of_interest = ("model name", "flags", "Features", "CPU")
    described = sorted({line for line in lines if line.startswith(of_interest)}) or lines
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    digest = hashlib.sha256("\n".join([*described, str(cores)]).encode())
    return f"{platform.machine()}-{digest.hexdigest()[:12]}"


def trim(folder: Path, max_bytes: int = _MAX_BYTES) -> None:
    """Remove the programs that were used longest ago, until the rest has at most `max_bytes`."""
    with contextlib.suppress(OSError):  # another run may be at it, too
        stats = {path: path.stat() for path in folder.rglob("*-cache")}
        for path in sorted(stats, key=lambda p: -max(stats[p].st_atime, stats[p].st_mtime)):
            max_bytes -= stats[path].st_size
            if max_bytes < 0:
                path.unlink()


def _folder() -> Path | None:
    """This machine's folder; None, with a warning, where it cannot be made."""
    from mmix_jax.data.store.files import cache_folder

    folder = cache_folder() / "programs" / machine()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        line = "warning: the cache folder %s cannot be written (%s); compiled programs are not kept"
        log.warning(line, folder, error.strerror)
        return None
    trim(folder.parent)
    return folder


def _in_one_line(folder: Path, show: Callable[..., None]) -> Callable[..., None]:
    """A `warnings.showwarning`: the first of jax's troubles of a kind; damaged programs go."""
    kinds: set[str] = set()

    def showwarning(message, *about, **options) -> None:
        trouble = _TROUBLE.match(str(message))
        if not trouble:
            return show(message, *about, **options)
        kind, name = trouble.groups()
        if kind == "reading":  # the digest in the file's name is not told
            for path in folder.glob(f"{name}-*"):
                with contextlib.suppress(OSError):
                    path.unlink()
        if kind not in kinds:
            log.warning(_LINES[kind], name, folder)
        kinds.add(kind)

    return showwarning
