"""What tests of the benchmarks share: where they run, and one run of the suite."""

import pathlib

import pytest

from benchmarks.__main__ import main

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_repository(monkeypatch):
    """The command is run from the repository's root, and needs no data sets."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("MMIX_DATA_DIR", raising=False)


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """What a part through the command line leaves behind, and the folder."""
    folder = tmp_path_factory.mktemp("suite")
    path = folder / "new" / "results.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        main(["diffusion", "--quick", "--repeats=1", f"--out={path}"])
    return path
