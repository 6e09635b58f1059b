"""One finished run for all tests of the command line."""

import pathlib
import shutil

import jax
import pytest

from mmix_jax.experiments import pretraining
from tests.experiments.nodes import small
from tests.main import program


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> list[str]:
    """Flags of a training that takes seconds."""
    graph = small.save(tmp_path_factory.mktemp("data") / "rings.npz")
    config = f"--config={program.CONFIGS}/graph_file.py:smoke"
    return [config, f"--config.data_path={graph}", *program.QUICK]


@pytest.fixture(scope="session")
def first_run(tmp_path_factory, smoke) -> tuple[pathlib.Path, program.Ran]:
    """The workdir of a finished run, to be looked at only, and what it printed."""
    pretraining._make_step.cache_clear()  # its step is compiled, whatever has been trained before
    workdir = tmp_path_factory.mktemp("first") / "new" / "run"
    # Whatever ran before in this process: this one compiles, and tells how long.
    pretraining._make_step.cache_clear()
    jax.clear_caches()
    return workdir, program.run(*smoke, f"--workdir={workdir}")


@pytest.fixture
def trained(first_run, tmp_path) -> pathlib.Path:
    """A copy of a finished run's workdir, to be spoilt."""
    return shutil.copytree(first_run[0], tmp_path / "trained")
