"""Settings that every test runs under, and the fixtures that all rooms share."""

import atexit
import ctypes
import gc
import os
import pathlib
import shutil
import tempfile

# Before jax is imported; also inherited by xdist's workers and by the programs that tests start.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# Nothing of the tests is left in the user's cache folder.
os.environ["MMIX_COMPILE_CACHE"] = "off"
# Compiling is most of a test's time, and what is compiled here runs once or twice on tiny arrays.
# XLA's older emitters make the same programs in half the time.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
_FLAGS = {
    "--xla_cpu_use_fusion_emitters": "false",
    "--xla_cpu_parallel_codegen_split_count": "1",  # in one piece: they are small
}
for _flag, _value in _FLAGS.items():
    if _flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_flag}={_value}".strip()
# Where in the source each operation was traced is told in errors, but not written into programs.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# scikit-learn's small problems: threads of several workers would wait for each other.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
# What one test or worker has compiled, others read. A folder of the user's own stays, and makes the
# next run faster.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="mmix-tests-programs-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax  # noqa: E402
import pytest  # noqa: E402

# Before the first computation: four devices, so that the pmap step is tested for real, and no
# silent [N] against [N, N] broadcasting.
jax.config.update("jax_num_cpu_devices", int(os.environ.get("MMIX_TEST_DEVICES", "4")))
jax.config.update("jax_numpy_rank_promotion", "raise")

_MOST_BYTES = 2.5 * 2**30


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown():
    """Compiled programs, some 2 MB each, do not pile up: they are dropped at a bound of memory."""
    if _resident_bytes() > _MOST_BYTES:
        jax.clear_caches()
        gc.collect()
        if hasattr(ctypes.CDLL(None), "malloc_trim"):  # glibc keeps freed memory otherwise
            ctypes.CDLL(None).malloc_trim(0)


def _resident_bytes() -> int:
    """Memory that this process holds; 0 where the system does not tell."""
    try:
        pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def x64():
    """Float64 for the duration of one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def data_dir() -> pathlib.Path:
    """The folder of the data sets' original files; the test is skipped where none is named."""
    folder = os.environ.get("MMIX_DATA_DIR")
    if not folder:
        pytest.skip("needs the data sets' original files: set MMIX_DATA_DIR to their folder")
    path = pathlib.Path(folder)
    if not path.is_dir():
        pytest.fail(f"MMIX_DATA_DIR names no folder: {folder}", pytrace=False)
    return path
