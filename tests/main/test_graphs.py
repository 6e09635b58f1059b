"""Sets of graphs from the command line: a run in every mode, and bad files in one line each."""

import pathlib

import numpy as np
import pytest

from mmix_jax.data import statistics
from tests.data.graphs import tu_files
from tests.experiments.graphs import small_graphs
from tests.main.program import CONFIGS, QUICK, contents, numbers, refused, run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MMIX_DATA_DIR", raising=False)


@pytest.fixture
def flags(tmp_path) -> list[str]:
    """A training on a folder of one's own graphs that takes seconds."""
    folder = small_graphs.save(tmp_path / "set")
    config = f"--config={CONFIGS}/graph_folder.py:smoke"
    workdir = f"--workdir={tmp_path}/run"
    return [config, f"--config.data_path={folder}", "--config.batch_size=9", workdir, *QUICK]


def test_train_resume_evaluate_and_embed(flags, tmp_path):
    ran = run(*flags)
    assert ran.status == 0, ran.err
    assert "svm" in ran.out and "random-init" in ran.out
    first = numbers(tmp_path / "run")
    assert run(*flags).status == 0
    assert numbers(tmp_path / "run") == first
    assert run(*flags, "--mode=eval").status == 0
    assert numbers(tmp_path / "run") == first
    assert run(*flags, "--mode=embed").status == 0
    with np.load(tmp_path / "run" / "embeddings.npz") as arrays:
        assert arrays["z"].shape == (small_graphs.NUM_GRAPHS, 8)
        assert arrays["ids"][3] == "g03"
    refused(run(*flags, "--config.width=4"), "width (8 there, 4 asked)")


def test_too_many_folds_are_told_before_anything_is_lost(flags, tmp_path):
    assert run(*flags).status == 0
    before = numbers(tmp_path / "run")
    refused(run(*flags, "--mode=eval", "--config.num_folds=12"), "fold")
    assert numbers(tmp_path / "run") == before


def tu_flags(tmp_path: pathlib.Path) -> list[str]:
    config = f"--config={CONFIGS}/mutag.py:smoke"
    return [config, f"--config.data_dir={tmp_path}", f"--workdir={tmp_path}/run", *QUICK]


BAD_PARTS = {
    "not_monotone": ({"graph_indicator": "1\n2\n1\n3\n3\n4\n"}, ["graph_indicator"]),
    "across_graphs": ({"A": "1, 2\n3, 4\n"}, ["_A.txt", "graph"]),
    "out_of_range": ({"A": "1, 2\n3, 99\n"}, ["_A.txt", "99"]),
    "labels_short": ({"graph_labels": "1\n-1\n"}, ["graph_labels"]),
    "no_number": ({"graph_labels": "1\nx\n-1\n1\n"}, ["graph_labels", "line 2"]),
}


@pytest.mark.parametrize("name", BAD_PARTS)
def test_bad_files_are_told(name, tmp_path):
    changes, words = BAD_PARTS[name]
    tu_files.write_zip(tmp_path, "MUTAG", tu_files.TOY | changes)
    refused(run(*tu_flags(tmp_path)), "MUTAG", *words)
    assert set(contents(tmp_path)) == {"MUTAG.zip"}


def test_damaged_incomplete_and_other_zips_are_told(tmp_path):
    path = tu_files.write_zip(tmp_path, "MUTAG", tu_files.TOY)
    refused(
        run(*tu_flags(tmp_path)), "mutag must have num_graphs 188", "found 4"
    )  # not the statistics of the real set
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(run(*tu_flags(tmp_path)), "MUTAG.zip")
    parts = {name: text for name, text in tu_files.TOY.items() if name != "graph_indicator"}
    tu_files.write_zip(tmp_path, "MUTAG", parts)
    refused(run(*tu_flags(tmp_path)), "graph_indicator")


def test_imdb_multis_config_runs_the_first_time_its_file_is_there(tmp_path, monkeypatch):
    """On a small set of the same form: no node labels, edges listed twice, three classes."""
    parts, graphs = tu_files.random_parts(30, 3)
    tu_files.write_zip(tmp_path, "IMDB-MULTI", parts)
    known = statistics.GraphStatistics(
        num_graphs=30,
        num_nodes=sum(num_nodes for num_nodes, _ in graphs),
        num_edges=sum(len(edges) for _, edges in graphs),
        class_sizes=(10, 10, 10),
    )
    monkeypatch.setitem(statistics.EXPECTED, "imdb_multi", known)
    config = f"--config={CONFIGS}/imdb_multi.py:smoke"
    flags = [config, f"--config.data_dir={tmp_path}", f"--workdir={tmp_path}/run", *QUICK]
    ran = run(*flags)
    assert ran.status == 0, ran.err
    assert "SHA-256" in ran.err  # a warning: other sums than the published files'
    assert {r.dataset for r in numbers(tmp_path / "run")} == {"imdb_multi"}
