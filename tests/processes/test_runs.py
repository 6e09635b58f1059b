"""Two processes with a device each train what one with two devices does, and end alike."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from mmix_jax.results import read_results
from tests.main.program import ROOT, run
from tests.processes import worker

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="sends signals")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(module: str, *arguments) -> subprocess.Popen:
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_two_processes_are_one_with_two_devices(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    port = free_port()
    both = [start("tests.processes.worker", tmp_path, port, 2, rank) for rank in (0, 1)]
    one = worker.trained(num_devices=2)
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    first, second = (dict(np.load(tmp_path / f"{rank}.npz")) for rank in (0, 1))
    assert first.keys() == second.keys() == one.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(first[name], second[name], name)
        np.testing.assert_allclose(first[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    assert all(len(one[f"{task}/losses"]) == 2 for task in range(3))


def together(smoke, folder, *more, ranks=(0, 1)):
    """The program in two processes, with a workdir each as on machines that share no disk."""
    several = [f"--coordinator=127.0.0.1:{free_port()}", "--num_processes=2", "--silence_s=10"]
    return [
        start(
            "mmix_jax.main", *smoke, *several, f"--process_id={rank}",
            f"--workdir={folder / str(rank)}", *(m(rank) if callable(m) else m for m in more),
        )
        for rank in ranks
    ]  # fmt: skip


def ended(processes) -> list[tuple[int, str, str]]:
    told = [process.communicate(timeout=300) for process in processes]
    return [(p.returncode, *words) for p, words in zip(processes, told, strict=True)]


def losses(workdir) -> list[tuple[int, float]]:
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def scores(workdir) -> list[tuple]:
    """Of process 0 alone, or of all where tables are shared."""
    return [(r.trained, r.metric, r.mean) for r in read_results(workdir / "results.jsonl")]


STEPS = tuple(
    f"--config.{change}"
    for change in ("num_steps=40", "patience=0", "eval_every=1", "checkpoint_every=5")
)


def test_a_process_is_killed_and_the_run_goes_on_to_the_same_numbers(smoke, tmp_path):
    both = together(smoke, tmp_path, *STEPS)
    metrics = tmp_path / "0" / "metrics.jsonl"
    while not (metrics.exists() and len(metrics.read_text().splitlines()) >= 8):
        assert all(process.poll() is None for process in both), ended(both)
        time.sleep(0.02)
    both[1].kill()
    begin = time.monotonic()
    (status, _, error), (killed, _, _) = ended(both)
    assert (status, killed) == (3, -signal.SIGKILL), error
    assert time.monotonic() - begin < 30
    line = error.rstrip("\n").split("\n")[-1]
    assert line.startswith("error: all processes of a run must go on, found one gone")
    assert "Traceback" not in error and "Check failure" not in error
    assert len(losses(tmp_path / "0")) < 40

    again = ended(together(smoke, tmp_path, *STEPS))
    assert [status for status, _, _ in again] == [0, 0], again
    assert "trained less untrained" in again[0][1]
    assert again[1][1] == ""  # process 0 alone prints, and writes
    assert not (tmp_path / "1").exists()
    one = tmp_path / "one"  # two devices of one process, never interrupted
    assert run(*smoke, *STEPS, "--config.num_devices=2", f"--workdir={one}").status == 0
    assert losses(tmp_path / "0") == losses(one)


def test_shared_tables_give_the_same_run_and_a_second_seed_is_trained_alone(
    smoke, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Batches of some of the thirty nodes, whose tables processes may share.
    steps = tuple(
        f"--config.{change}"
        for change in (
            *("num_steps=4", "patience=0", "eval_every=2"),
            *("sampler=nodes", "batch_size=12", "candidates=wp"),
        )
    )
    shared = (*steps, "--config.tables=shared")
    found = ended(together(smoke, tmp_path, *shared))
    assert [status for status, _, _ in found] == [0, 0], found
    one = tmp_path / "one"
    apart = ("--config.tables=memory", "--config.num_devices=2", f"--workdir={one}")
    assert run(*smoke, *steps, *apart).status == 0
    assert losses(tmp_path / "0") == losses(one)
    assert scores(tmp_path / "0") == scores(one)

    # Finished, it only reports; with a second seed the first one is not trained again.
    more = ended(together(smoke, tmp_path, *shared, "--config.num_seeds=2"))
    assert [status for status, _, _ in more] == [0, 0], more
    assert "(n = 2" in more[0][1]


def test_an_interrupt_of_one_stops_all_after_a_common_checkpoint(smoke, tmp_path):
    both = together(smoke, tmp_path, "--config.num_steps=1000000", "--config.patience=0")
    metrics = tmp_path / "0" / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size):
        assert all(process.poll() is None for process in both), ended(both)
        time.sleep(0.02)
    both[1].send_signal(signal.SIGINT)
    found = ended(both)
    assert [status for status, _, _ in found] == [130, 130], found
    assert "stopping after this step; again to quit now" in found[1][2]
    told = [error.rstrip("\n").split("\n")[-1] for _, _, error in found]
    assert told[0] == told[1] and told[0].startswith("interrupted after step ")
    step = told[0].split()[3].rstrip(",")
    assert (tmp_path / "0" / "checkpoints" / "seed_0" / step).is_dir()


def test_processes_of_other_settings_and_numbers_are_refused(smoke, tmp_path):
    found = ended(together(smoke, tmp_path, lambda rank: f"--config.width={8 + rank}"))
    assert [status for status, _, _ in found] == [3, 3], found
    assert any(
        "error: processes of one run must agree on their config, found width" in error
        for _, _, error in found
    )
    found = ended(together(smoke, tmp_path, ranks=(0, 1, 1)))
    assert [status for status, _, _ in found] == [3, 3, 3], found
    assert any("must have different numbers" in error for _, _, error in found)
    assert all("Check failure" not in error for _, _, error in found)


def test_nobody_answers(smoke, tmp_path):
    found = ended([*together(smoke, tmp_path, ranks=(1,)), *together(smoke, tmp_path, ranks=(0,))])
    assert [status for status, _, _ in found] == [3, 3], found
    assert "error: process 0 must answer at 127.0.0.1:" in found[0][2]
    assert "error: all 2 processes must join, found fewer after 10 s" in found[1][2]
