"""Graphs in PPI's format from the command line: train, evaluate, embed, and what is refused."""

import numpy as np

from mmix_jax.data.nodes import ppi
from tests.data.nodes import ppi_files
from tests.main.program import CONFIGS, QUICK, contents, refused, run


def test_ppi_folder_end_to_end(tmp_path):
    folder = ppi_files.write_graphsage(tmp_path / "graphs")
    flags = [f"--config={CONFIGS}/ppi_folder.py:smoke", f"--config.data_path={folder}", *QUICK]
    flags += [f"--workdir={tmp_path}/run"]
    ran = run(*flags)
    assert (ran.status, ran.told) == (0, [])
    assert "micro_f1 %" in ran.out and "inductive" in ran.out and "random-init" in ran.out
    again = run(*flags, "--mode=eval")
    assert again.out.splitlines()[-2:] == ran.out.splitlines()[-2:]
    assert run(*flags, "--mode=embed").status == 0
    with np.load(tmp_path / "run" / "embeddings.npz") as arrays:
        assert arrays["z"].shape[0] == arrays["labels"].shape[0] == 75


def test_absent_files_are_told_with_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MMIX_DATA_DIR", raising=False)
    for name in ("BASE_URL", "SECOND_URL"):
        monkeypatch.setattr(ppi, name, "http://127.0.0.1:9/")
    ran = run(f"--config={CONFIGS}/ppi.py:smoke", f"--workdir={tmp_path}/run")
    refused(ran, "ppi", "127.0.0.1", str(tmp_path / "cache"))
    assert not contents(tmp_path)


def test_labels_of_another_length_are_told(tmp_path):
    folder = ppi_files.write_per_split(tmp_path / "graphs")
    labels = np.load(folder / "test_labels.npy")
    np.save(folder / "test_labels.npy", labels[:-1])
    ran = run(
        f"--config={CONFIGS}/ppi_folder.py:smoke", f"--config.data_path={folder}", *QUICK,
        f"--workdir={tmp_path}/run",
    )  # fmt: skip
    refused(ran, "test_labels.npy")
    assert not (tmp_path / "run").exists()
