"""metrics.jsonl: what a resumed training keeps, drops and adds; histories read and in memory."""

import json

import pytest

from mmix_jax.errors import InputError
from mmix_jax.training.metrics import History, MetricsWriter, read_history


def lines(workdir) -> list[tuple[int, int, float]]:
    records = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [(record["seed"], record["step"], record["loss"]) for record in records]


def write(workdir, seed: int, steps, *, resumed_at: int = 0, loss: float = 1.0) -> None:
    with MetricsWriter(workdir, seed=seed, step=resumed_at) as writer:
        for step in steps:
            writer.write(step, {"loss": loss})


def test_a_line_per_step_and_events_per_seed(tmp_path):
    write(tmp_path, 3, [10, 20])
    assert lines(tmp_path) == [(3, 10, 1.0), (3, 20, 1.0)]
    (events,) = (tmp_path / "tensorboard" / "seed_3").iterdir()
    assert b"loss" in events.read_bytes()


def test_lines_are_there_before_the_end(tmp_path):
    with MetricsWriter(tmp_path, seed=0) as writer:
        writer.write(1, {"loss": 0.5})
        assert lines(tmp_path) == [(0, 1, 0.5)]


def test_resuming_drops_what_lies_beyond_and_keeps_other_seeds(tmp_path):
    write(tmp_path, 0, [10, 20, 30])
    write(tmp_path, 1, [10, 20, 30])
    write(tmp_path, 1, [20, 30], resumed_at=10, loss=2.0)
    kept = [(0, 10, 1.0), (0, 20, 1.0), (0, 30, 1.0), (1, 10, 1.0)]
    assert lines(tmp_path) == [*kept, (1, 20, 2.0), (1, 30, 2.0)]


@pytest.mark.parametrize("cut", [1, 9, 25])
def test_a_half_written_last_line_is_dropped(tmp_path, cut):
    write(tmp_path, 0, [10, 20])
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    write(tmp_path, 0, [20], resumed_at=10, loss=2.0)
    assert lines(tmp_path) == [(0, 10, 1.0), (0, 20, 2.0)]


def test_a_last_line_without_its_end_survives_where_it_is_whole(tmp_path):
    write(tmp_path, 0, [10, 20])
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    write(tmp_path, 0, [30], resumed_at=20)
    assert lines(tmp_path) == [(0, 10, 1.0), (0, 20, 1.0), (0, 30, 1.0)]


def test_a_history_in_memory_is_what_is_read_from_the_file(tmp_path):
    write(tmp_path, 1, [10, 20], loss=3.0)
    with MetricsWriter(tmp_path, seed=0) as writer, History() as history:
        for step, loss in ((10, 0.1), (20, 1 / 3)):
            for each in (writer, history):
                each.write(step, {"loss": loss, "mixing/unmixed": 0.0})
    assert history.rows == read_history(tmp_path, 0)
    assert history.rows[1] == {"step": 20, "loss": 1 / 3, "mixing/unmixed": 0.0}
    assert [row["step"] for row in read_history(tmp_path, 1)] == [10, 20]
    assert read_history(tmp_path, 2) == []


@pytest.mark.parametrize("cut", [2, 9, 25])
def test_a_half_written_last_line_is_no_history(tmp_path, cut):
    write(tmp_path, 0, [10, 20])
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_history(tmp_path, 0) == [{"step": 10, "loss": 1.0}]


def test_where_nothing_was_logged_the_history_is_empty(tmp_path):
    assert read_history(tmp_path / "none", 0) == []


def test_a_folder_in_the_files_place_is_told(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(InputError, match=r"metrics must be readable at .*metrics.jsonl, found "):
        read_history(tmp_path, 0)
