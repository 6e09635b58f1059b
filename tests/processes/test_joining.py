"""Flags of several processes, and what the processes are held against each other by."""

import time
from typing import NamedTuple

import jax
import numpy as np
import pytest

from mmix_jax import main
from mmix_jax.errors import InputError, ProcessFault
from mmix_jax.experiments import run, together
from mmix_jax.ops import arrays
from mmix_jax.ops.arrays import digest
from mmix_jax.processes import exchange
from mmix_jax.processes.group import Group, enter, group
from mmix_jax.processes.joining import SILENCE_S, Joining, join, read_joining
from mmix_jax.training.step import TrainState
from tests.experiments.nodes import small

ONE_OF_TWO = ["--coordinator=h:1", "--num_processes=2", "--process_id=1"]


def test_flags():
    assert read_joining(None, None, None) is None
    assert read_joining("h:1", "2", "1") == Joining("h:1", 2, 1, SILENCE_S)
    assert read_joining("[::1]:80", "2", "0", silence_s="99").silence_s == 99
    assert read_joining(None, None, None, detected=True) == Joining(None, None, None)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--coordinator=h:1"], "go together, found no --num_processes"),
        (["--process_id=1"], "go together, found no --coordinator"),
        (["--coordinator=h", "--num_processes=2", "--process_id=0"], "HOST:PORT, found 'h'"),
        (["--coordinator=h:0", "--num_processes=2", "--process_id=0"], "HOST:PORT, found 'h:0'"),
        (["--coordinator=h:1", "--num_processes=0", "--process_id=0"], "found '0'"),
        (["--coordinator=h:1", "--num_processes=2", "--process_id=2"], "0 … 1, found '2'"),
        (["--distributed", "--process_id=2"], "found --process_id beside it"),
        (["--silence_s=20"], "--silence_s is of several processes"),
        (["--distributed", "--silence_s=5"], "10 … 86400, found '5'"),
        (["--process_id=1", "--process_id=2"], "must be given once"),
        (["--distributed=true"], "--distributed takes no value"),
        (["--mode=eval", *ONE_OF_TWO], "several processes train together, found mode eval"),
    ],
)
def test_bad_flags(flags, told, capfd):
    assert main.main(["main", "--config=digits_graph", *flags]) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: ") and told in error and error.count("\n") == 1


def test_a_port_that_is_taken_is_refused():
    import socket

    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"free port of process 0's host, found {port}"):
            join(Joining(f"127.0.0.1:{port}", 2, 0))


def test_without_a_cluster():
    with pytest.raises(InputError, match="--distributed wants a cluster that JAX detects"):
        join(Joining(None, None, None, 10))


def test_a_process_alone_tells_itself():
    assert group() == Group(0, 1) and group().first and group().alone
    assert exchange.told(lambda: 3) == 3 and exchange.gathered("x") == ["x"]
    assert exchange.any_of(True) and not exchange.any_of(False)
    parts = {"a": np.arange(4)}
    assert exchange.own_part(parts, [None]) is parts and exchange.told_arrays(parts) is parts
    exchange.check_agreement({"a": 1.0}, "b", "c")


@pytest.fixture
def two(monkeypatch):
    """Process 1 of two, which is told what process 0 has."""
    theirs = []
    enter(1, 2)
    monkeypatch.setattr(exchange, "gathered", lambda value: [*theirs, value])
    yield theirs
    enter(0, 1)


def test_processes_that_disagree_are_named(two):
    two.append({"width": 8, "gone": None})
    exchange.check_agreement({"width": 8}, "their config", "see to it")
    with pytest.raises(ProcessFault, match=r"found width 9 in process 1 and 8 in process 0; see"):
        exchange.check_agreement({"width": 9}, "their config", "see to it")
    two[0] = {"width": 8, "depth": 2}  # a field that this process has not
    with pytest.raises(ProcessFault, match="found depth null in process 1 and 2 in process 0"):
        exchange.check_agreement({"width": 8}, "their config", "see to it")


def test_clocks(two):
    two.append(time.time() + 50)
    exchange.check_clocks()
    two[0] += 3600
    with pytest.raises(ProcessFault, match=r"process 0 3,6\d\d s ahead of process 1's; set them"):
        exchange.check_clocks()
    two[0] -= 7200
    with pytest.raises(ProcessFault, match="behind process 1's"):
        exchange.check_clocks()


def test_a_digest_is_of_all_arrays():
    tree = {"x": np.arange(3.0), "words": np.array(["a", "b"]), "name": "set"}
    same = digest(tree)
    assert same == digest({**tree, "name": "other"})  # no array
    for name, value in (
        ("x", np.arange(3)),
        ("x", np.arange(4.0)),
        ("words", np.array(["a", "c"])),
    ):
        assert digest({**tree, name: value}) != same
    assert digest({"x": np.ones(9)}) == digest({"x": np.broadcast_to(1.0, 9)})


def test_a_digest_reads_a_piece_at_a_time(monkeypatch):
    rows = np.arange(100.0).reshape(50, 2)
    whole = digest(rows)
    monkeypatch.setattr(arrays, "_PIECE", 48)
    pieces, contiguous = [], np.ascontiguousarray
    monkeypatch.setattr(np, "ascontiguousarray", lambda x: pieces.append(x.nbytes) or contiguous(x))
    assert digest(rows) == whole and max(pieces) == 48


def test_what_differs_in_data_or_parameters_is_told(two):
    dataset = {"x": np.arange(4.0)}
    two.append({"SHA-256": digest(dataset)})
    together.check_data(dataset)
    with pytest.raises(ProcessFault, match="must agree on the data, found SHA-256"):
        together.check_data({"x": np.arange(1.0, 5.0)})
    judged = together.judged_by_first(lambda state: (None, {}))
    state = TrainState(np.int32(7), {"w": np.ones(3)}, {}, ())
    with pytest.raises(ProcessFault, match="must agree on parameters after step 7"):
        judged(state)


def test_a_training_holds_its_data_against_the_others(two, tmp_path):
    config = small.config(small.save(tmp_path / "rings.npz"))
    two.append({"SHA-256": "another"})
    with pytest.raises(ProcessFault, match="must agree on the data, found SHA-256"):
        run.train(config, tmp_path / "run")


def test_devices_must_be_as_many_everywhere(two, monkeypatch):
    class Device(NamedTuple):
        process_index: int

    monkeypatch.setattr(jax, "devices", lambda: [Device(0), Device(1), Device(1)])
    for per_process in (0, 1):
        with pytest.raises(ProcessFault, match="equally many devices, found 1 in process 0 and 2"):
            exchange.devices_of_run(per_process)
    monkeypatch.setattr(jax, "devices", lambda: [Device(0), Device(0), Device(1), Device(1)])
    assert [device.process_index for device in exchange.devices_of_run(1)] == [0, 1]
    assert len(exchange.devices_of_run()) == 4
