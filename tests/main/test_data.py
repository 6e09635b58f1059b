"""Bad data from the command line: one line that names the file, and nothing half-written."""

import pathlib
import pickle
import shutil

import numpy as np
import pytest

from mmix_jax.data.nodes import planetoid
from mmix_jax.data.store import files
from tests.experiments.nodes import small
from tests.main.program import CONFIGS, contents, refused, run

pytestmark = pytest.mark.slow


def altered(name: str, index, value) -> dict[str, np.ndarray]:
    array = small.arrays()[name].copy()
    array[index] = value
    return {name: array}


NOBODY = np.zeros(small.N, bool)
BAD_ARRAYS = {
    "nan": (altered("x", (3, 1), np.nan), ["finite"]),
    "inf": (altered("x", (3, 1), np.inf), ["finite"]),
    "edge_too_large": (altered("edge_index", (0, 0), small.N), ["must lie in [0, 30)", "found 30"]),
    "edge_negative": (altered("edge_index", (1, 2), -1), ["must lie in [0, 30)", "found -1"]),
    "overlap": (altered("val_mask", 0, True), ["disjoint", "found node 0"]),
    "empty_mask": ({"val_mask": NOBODY}, ["'valid'", "one node"]),
    "one_class": ({"y": np.zeros(small.N, int)}, ["two classes"]),
    "one_class_trained": (altered("train_mask", slice(15, None), False), ["two classes"]),
    "objects": ({"x": small.arrays()["x"].astype(object)}, ["pickled objects"]),
    "no_edges_key": ({"edge_index": None}, ["edges"]),
    "short_labels": ({"y": np.arange(3)}, ["labels must have shape"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ARRAYS)
@pytest.mark.parametrize("mode", ["train", "embed"])
def test_a_bad_graph_is_told_with_its_path(name, mode, smoke, tmp_path):
    changes, words = BAD_ARRAYS[name]
    graph = small.save(tmp_path / "bad.npz", **changes)
    flags = [f"--config.data_path={graph}", f"--workdir={tmp_path}/run", f"--mode={mode}"]
    refused(run(*smoke, *flags), "bad.npz", *words)
    assert set(contents(tmp_path)) <= {"bad.npz", "run/config.json"}


def test_missing_and_damaged_files_are_told(smoke, tmp_path):
    flags = [*smoke, f"--workdir={tmp_path}/run"]
    refused(
        run(*flags, f"--config.data_path={tmp_path}/missing.npz"),
        "missing.npz",
        "not exist",
    )
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    graph = small.save(tmp_path / "cut.npz")
    graph.write_bytes(graph.read_bytes()[:200])
    refused(run(*flags, f"--config.data_path={graph}"), "cut.npz", "not a readable .npz")


def test_after_bad_data_the_corrected_command_runs_in_the_same_workdir(smoke, tmp_path):
    flags = [*smoke, f"--workdir={tmp_path}/run"]
    refused(run(*flags, f"--config.data_path={tmp_path}/rigns.npz"), "rigns.npz")
    ran = run(*flags)
    assert (ran.status, ran.told) == (0, [])


class Attack:
    """Unpickled by Python's own loader, it writes a file."""

    def __init__(self, marker: pathlib.Path):
        self.marker = marker

    def __reduce__(self):
        return pathlib.Path.write_text, (self.marker, "executed")


@pytest.mark.parametrize("pinned", [True, False], ids=["sum_differs", "sum_agrees"])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, monkeypatch, pinned):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MMIX_DATA_DIR", raising=False)
    if not pinned:
        monkeypatch.setattr(files, "check_sha256", lambda *_: None)
    (tmp_path / "planetoid").mkdir()
    for part in planetoid.PARTS:
        content = pickle.dumps(Attack(tmp_path / "marker"))
        (tmp_path / "planetoid" / f"ind.cora.{part}").write_bytes(content)
    flags = [f"--config={CONFIGS}/cora.py:smoke", f"--config.data_dir={tmp_path}"]
    ran = run(*flags, f"--workdir={tmp_path}/run")
    refused(ran, "ind.cora.")
    assert not (tmp_path / "marker").exists()


def test_missing_data_folder_is_told(tmp_path):
    flags = [f"--config={CONFIGS}/cora.py:smoke", f"--config.data_dir={tmp_path}/nowhere"]
    refused(run(*flags, f"--workdir={tmp_path}/run"), "data_dir must be a folder", "nowhere")
