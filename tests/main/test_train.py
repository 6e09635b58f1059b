"""Training, evaluating and embedding from the command line: files, numbers and words."""

import json
import re

import numpy as np
import pytest

from mmix_jax.results import read_results
from tests.experiments.nodes import small
from tests.main.program import CONFIGS, QUICK, contents, numbers, refused, run

RECORD_FIELDS = {
    *("task", "dataset", "framework", "mixing", "candidates", "representation", "trained"),
    *("metric", "mean", "std", "n", "protocol", "selection", "seed", "steps", "seconds"),
    *("device", "versions"),
}


def test_training_leaves_what_the_contract_lists(first_run):
    workdir, ran = first_run
    assert (ran.status, ran.told) == (0, [])
    names = {path.name for path in workdir.iterdir()}
    assert names == {"config.json", "metrics.jsonl", "tensorboard", "checkpoints", "results.jsonl"}
    config = json.loads((workdir / "config.json").read_text())
    assert (config["width"], config["num_steps"], config["dataset"]) == (8, 4, "graph_file")
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4]
    assert list((workdir / "tensorboard").rglob("events.*"))
    assert list((workdir / "checkpoints" / "seed_0").iterdir())


def test_the_time_to_the_first_step_is_told_and_logged_once(first_run):
    workdir, ran = first_run
    (line,) = [line for line in ran.out.splitlines() if line.startswith("first step after ")]
    told = re.fullmatch(r"first step after (\d+\.\d) s \(compiling (\d+\.\d) s\)", line)
    assert told
    first, second = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    assert first["first_step_seconds"] == pytest.approx(float(told[1]), abs=0.051)
    assert first["compile_seconds"] == pytest.approx(float(told[2]), abs=0.051)
    assert 0 < first["compile_seconds"] < first["first_step_seconds"]
    assert not {"first_step_seconds", "compile_seconds"} & set(second)


def test_results_have_all_fields_and_rows_of_the_random_encoder(first_run):
    lines = (first_run[0] / "results.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 18
    for record in records:
        assert set(record) >= RECORD_FIELDS
        assert 0 <= record["mean"] <= 1 or record["metric"] == "ari"
    assert {record["trained"] for record in records} == {True, False}
    assert {record["representation"] for record in records} == {"a", "b", "mean"}


def test_standard_output_ends_with_the_table_and_a_sentence(first_run):
    workdir, ran = first_run
    *rows, sentence = ran.out.rstrip().split("\n")[-19:]
    results = read_results(workdir / "results.jsonl")
    for row, result in zip(rows, results, strict=True):
        assert result.metric in row
        assert ("random" in row) == (not result.trained)
    trained, untrained = (
        next(
            r.mean
            for r in results
            if (r.representation, r.metric, r.trained) == ("mean", "accuracy", of_trained)
        )
        for of_trained in (True, False)
    )
    told = re.match(
        r"trained less untrained: ([+-]\d+\.\d) accuracy %, [+-]\S+ nmi \(n = 1\)", sentence
    )
    assert told
    assert float(told[1]) == pytest.approx(100 * (trained - untrained), abs=0.051)


def test_a_finished_run_is_drawn_after_its_results(trained, smoke):
    before = numbers(trained)
    ran = run(*smoke, f"--workdir={trained}", "--config.figures=True")
    assert (ran.status, ran.told) == (0, [])
    names = ["curves.png", "mixtures.csv", "mixtures.txt", "tsne.png"]
    sentence, *written = ran.out.rstrip().split("\n")[-5:]
    assert sentence.startswith("trained less untrained: ")
    assert written == [f"wrote {trained / name}" for name in names]
    assert all((trained / name).stat().st_size > 0 for name in names)
    assert numbers(trained) == before


def test_evaluating_draws_too(trained, smoke):
    ran = run(*smoke, f"--workdir={trained}", "--mode=eval", "--config.figures=True")
    assert (ran.status, ran.told) == (0, [])
    assert ran.out.rstrip().split("\n")[-1] == f"wrote {trained / 'tsne.png'}"


def test_starting_again_only_reports(trained, smoke):
    before, kept = numbers(trained), contents(trained / "checkpoints")
    ran = run(*smoke, f"--workdir={trained}")
    assert (ran.status, ran.told) == (0, [])
    assert numbers(trained) == before
    assert contents(trained / "checkpoints") == kept


def test_more_steps_go_on(trained, smoke):
    metrics = (trained / "metrics.jsonl").read_text()
    ran = run(*smoke, f"--workdir={trained}", "--config.num_steps=6")
    assert (ran.status, ran.told) == (0, [])
    lines = (trained / "metrics.jsonl").read_text()
    assert lines.startswith(metrics)
    assert json.loads(lines.splitlines()[-1])["step"] == 6
    assert json.loads((trained / "config.json").read_text())["num_steps"] == 6


def test_evaluating_gives_the_same_numbers(trained, smoke):
    before = numbers(trained)
    (trained / "results.jsonl").unlink()
    ran = run(*smoke, f"--workdir={trained}", "--mode=eval")
    assert (ran.status, ran.told) == (0, [])
    assert numbers(trained) == before


def test_a_checkpoint_is_evaluated_in_a_workdir_of_its_own(first_run, smoke, tmp_path):
    checkpoint = f"--checkpoint={first_run[0]}/checkpoints/seed_0"
    ran = run(*smoke, f"--workdir={tmp_path}/new", "--mode=eval", checkpoint)
    assert (ran.status, ran.told) == (0, [])
    assert numbers(tmp_path / "new") == numbers(first_run[0])


def test_embedding_writes_vectors_and_labels(trained, smoke):
    before = set(contents(trained))
    ran = run(*smoke, f"--workdir={trained}", "--mode=embed")
    assert (ran.status, ran.told) == (0, [])
    assert set(contents(trained)) - before == {"embeddings.npz"}
    assert str(trained / "embeddings.npz") in ran.out
    with np.load(trained / "embeddings.npz") as arrays:
        assert set(arrays) == {"z", "labels"}
        assert arrays["z"].shape == (small.N, 8)
        assert np.isfinite(arrays["z"]).all()
        np.testing.assert_array_equal(arrays["labels"], small.arrays()["y"])


def test_ids_of_a_graph_in_tables_go_with_the_embeddings(tmp_path):
    parts = small.arrays()
    masks = ("train_mask", "val_mask", "test_mask")
    header = ",".join(["id", *(f"x{i}" for i in range(6)), "label", *masks])
    rows = [
        [f"node {i}", *parts["x"][i], parts["y"][i], *(int(parts[mask][i]) for mask in masks)]
        for i in range(small.N)
    ]
    table = "\n".join([header, *(",".join(map(str, row)) for row in rows)])
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "nodes.csv").write_text(table + "\n")
    edges = "\n".join(f"node {i},node {j}" for i, j in parts["edge_index"].T)
    (tmp_path / "graph" / "edges.csv").write_text(f"source,target\n{edges}\n")
    flags = [
        f"--config={CONFIGS}/graph_file.py:smoke",
        *QUICK,
        f"--workdir={tmp_path}/run",
    ]
    flags += [f"--config.data_path={tmp_path}/graph", "--config.num_clusterings=0"]
    assert run(*flags).status == 0
    ran = run(*flags, "--mode=embed")
    assert (ran.status, ran.told) == (0, [])
    with np.load(tmp_path / "run" / "embeddings.npz", allow_pickle=False) as arrays:
        assert arrays["ids"].tolist() == [f"node {i}" for i in range(small.N)]
        np.testing.assert_array_equal(arrays["labels"], parts["y"])


def test_a_graph_without_labels_trains_and_embeds(smoke, tmp_path):
    without = dict.fromkeys(("y", "train_mask", "val_mask", "test_mask"))
    graph = small.save(tmp_path / "bare.npz", **without)
    flags = [*smoke, f"--config.data_path={graph}", f"--workdir={tmp_path}/run"]
    ran = run(*flags)
    assert (ran.status, ran.told) == (0, [])
    assert "no labels" in ran.out
    assert not (tmp_path / "run" / "results.jsonl").exists()
    assert run(*flags, "--mode=embed").status == 0
    with np.load(tmp_path / "run" / "embeddings.npz") as arrays:
        assert set(arrays) == {"z"}
    refused(run(*flags, "--mode=eval"), "needs labels", "--mode=embed")
