"""Settings that every test runs under, and the fixtures that all rooms share."""

import os
import pathlib

# Before jax is imported; also inherited by the programs that tests start.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# Nothing of the tests is left in the user's cache folder.
os.environ["MMIX_COMPILE_CACHE"] = "off"

import jax
import pytest

# Before the first computation: four devices, so that the pmap step is tested for real, and no
# silent [N] against [N, N] broadcasting.
jax.config.update("jax_num_cpu_devices", int(os.environ.get("MMIX_TEST_DEVICES", "4")))
jax.config.update("jax_numpy_rank_promotion", "raise")
# Compiling is most of a test's time, and what is compiled here runs once or twice on tiny arrays.
jax.config.update("jax_disable_most_optimizations", True)


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
