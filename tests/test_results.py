"""Scores, and results.jsonl as it is written and read."""

import dataclasses
import json
import math
import os
import statistics

import numpy as np
import pytest

from example_results import result
from mmix_jax.errors import InputError
from mmix_jax.results import Score, read_results, score, versions, write_results


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_score_is_mean_and_sample_deviation():
    values = [0.81, 0.84, 0.79, 0.9]
    summary = score(iter(values))
    assert summary.mean == pytest.approx(statistics.mean(values), abs=1e-15)
    assert summary.std == pytest.approx(statistics.stdev(values), abs=1e-15)
    assert (summary.n, summary.values) == (4, tuple(values))


def test_score_without_spread():
    assert score([0.7]) == Score(0.7, 0.0, 1, (0.7,))
    assert score([0.1, 0.1, 0.1]).std == 0.0


def test_score_takes_numpy_values():
    summary = score(np.array([0.5, 1.0], np.float32))
    assert summary == Score(0.75, math.sqrt(0.125), 2, (0.5, 1.0))
    assert all(type(value) is float for value in summary.values)


@pytest.mark.parametrize("values", [[], [0.5, float("nan")], [float("inf")]])
def test_score_refuses_what_has_no_mean(values):
    with pytest.raises(ValueError, match="a score needs"):
        score(values)


def test_versions_name_what_computes():
    numbers = versions()
    assert set(numbers) == {"jax", "flax", "optax", "orbax", "mmix_jax"}
    assert "absent" not in numbers.values()


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "folder" / "results.jsonl"
    results = [result(), result(metric="nmi", dataset="größe\u2028x", trained=False)]
    write_results(path, results)
    assert read_results(path) == results
    assert len(path.read_text(encoding="utf-8").strip().split("\n")) == 2


def test_lines_carry_the_documented_fields(tmp_path):
    write_results(tmp_path / "results.jsonl", [result()])
    record = json.loads((tmp_path / "results.jsonl").read_text())
    documented = (
        "task dataset framework mixing candidates representation trained metric mean std n "
        "protocol selection seed steps seconds device versions values seeds objective parts "
        "encoder beyond"
    )
    assert set(record) == set(documented.split())


def test_scores_on_splits_come_back(tmp_path):
    path = tmp_path / "results.jsonl"
    parts = ((0.5, 0.7), (0.6, 0.8))
    write_results(path, [result([0.6, 0.7], parts=parts)])
    assert read_results(path)[0].parts == parts
    with pytest.raises(ValueError, match=r"found \[2\] for 2 seeds"):
        result([0.6, 0.7], parts=parts[:1])
    with pytest.raises(ValueError, match=r"found \[2, 1\] for 2 seeds"):
        result([0.6, 0.7], parts=((0.5, 0.7), (0.7,)))


def test_lines_without_splits_are_read(tmp_path):
    path = tmp_path / "results.jsonl"
    write_results(path, [result()])
    record = json.loads(path.read_text())
    del record["parts"], record["encoder"]
    path.write_text(json.dumps(record) + "\n")
    assert read_results(path) == [result()]


def test_numpy_scalars_are_written_as_numbers(tmp_path):
    path = tmp_path / "results.jsonl"
    write_results(path, [result(seed=np.int64(3), seconds=np.float32(0.5))])
    assert (read_results(path)[0].seed, read_results(path)[0].seconds) == (3, 0.5)


def test_writing_replaces_whole_files(tmp_path, monkeypatch):
    path = tmp_path / "results.jsonl"
    write_results(path, [result(), result(metric="nmi")])
    write_results(path, [result(metric="ari")])
    assert [r.metric for r in read_results(path)] == ["ari"]

    def killed(source, target):
        assert os.path.dirname(source) == os.path.dirname(target)
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(OSError, match="no space"):
        write_results(path, [result()])
    assert [r.metric for r in read_results(path)] == ["ari"]
    assert os.listdir(tmp_path) == ["results.jsonl"]


def test_writing_refuses_numbers_that_are_not_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_results(tmp_path / "results.jsonl", [result(mean=float("nan"))])
    assert os.listdir(tmp_path) == []


def test_empty_and_blank_lines(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text("")
    assert read_results(path) == []
    write_results(path, [result()])
    path.write_text(path.read_text() + "\n\n")
    assert read_results(path) == [result()]


def test_values_belong_to_seeds():
    with pytest.raises(ValueError, match="found 2 values and 3 seeds"):
        result(seeds=(0, 1, 2))
    with pytest.raises(ValueError, match=r"must differ, found \[4, 4\]"):
        result(seeds=(4, 4))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("mean", "0.8", 'mean must be a finite number, found "0.8"'),
        ("mean", True, "mean must be a finite number, found true"),
        ("seconds", 10**400, "seconds must be a finite number"),
        ("n", 2.0, "n must be a whole number, found 2.0"),
        ("trained", 1, "trained must be true or false, found 1"),
        ("dataset", None, "dataset must be a string, found null"),
        ("values", 0.8, "values must be a list, found 0.8"),
        ("values", [0.8, None], r"values\[1\] must be a finite number, found null"),
        ("values", [0.8], "found 1 values and 2 seeds"),
        ("seeds", [0, "1"], r'seeds\[1\] must be a whole number, found "1"'),
        ("seeds", [7, 7], r"must differ, found \[7, 7\]"),
        ("versions", ["jax"], "versions must be an object of strings"),
        ("versions", {"jax": 1}, "versions.jax must be a string, found 1"),
    ],
)
def test_wrong_values_are_named_with_file_and_line(tmp_path, field, value, message):
    path = tmp_path / "results.jsonl"
    good = json.dumps(dataclasses.asdict(result()))
    path.write_text(good + "\n" + json.dumps(json.loads(good) | {field: value}) + "\n")
    with pytest.raises(InputError, match=message) as error:
        read_results(path)
    assert one_line(error).startswith(f"{path}, line 2: ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"task": "node", ', "not a JSON object"),
        ("[1, 2]", r"is a JSON object, found \[1, 2\]"),
        ("[" * 100_000, "not a JSON object"),
        ('{"mean": NaN}', "NaN is not a number"),
        ('{"task": "node", "colour": "red"}', r"missing: dataset, .*; unknown: colour\)"),
    ],
)
def test_damaged_lines_are_named_with_file_and_line(tmp_path, line, message):
    path = tmp_path / "results.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=message) as error:
        read_results(path)
    assert one_line(error).startswith(f"{path}, line 1: ")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="No such file") as error:
        read_results(tmp_path / "absent.jsonl")
    assert str(tmp_path / "absent.jsonl") in one_line(error)
    with pytest.raises(InputError, match="cannot read results"):
        read_results(tmp_path)
    (tmp_path / "binary").write_bytes(b"ab\xff")
    with pytest.raises(InputError, match=r"not UTF-8 text \(byte 2\)"):
        read_results(tmp_path / "binary")
