"""The plan for a device: steps that end, fail and are cut off, what is kept, what comes home."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time

import ml_dtypes
import numpy as np
import pytest

from benchmarks.device import __main__ as program
from benchmarks.device import home, measures, plan, weights
from benchmarks.device.plan import CUT, DONE, FAILED, Kept, Step, carry_out
from mmix_jax.errors import InputError
from mmix_jax.export import read_model
from mmix_jax.pretrained import MODELS
from mmix_jax.training.checkpoint import by_name

ENDS = {
    "ends": ("import os; print(os.environ['GIVEN'])", 60.0, DONE),
    "fails": ("raise SystemExit('error: no such file')", 60.0, FAILED),
    "lasts": ("import time; time.sleep(60)", 1.0, CUT),
}


def carry(step: Step, folder, *, publish=lambda: None, interrupted=lambda: False) -> str:
    return carry_out(
        step, Kept(folder), folder / f"{step.name}.log", environment={"GIVEN": "7"},
        publish=publish, interrupted=interrupted,
    )  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_how_a_step_ends_is_told_and_kept(tmp_path, capsys, name):
    code, most, wanted = ENDS[name]
    published = []
    step = Step(name, [sys.executable, "-c", code], most)
    assert carry(step, tmp_path, publish=lambda: published.append(name)) == wanted
    assert published and Kept(tmp_path).status(name) == wanted
    said = capsys.readouterr().out
    assert ("error: no such file" in said) == (wanted == FAILED)
    assert ((tmp_path / f"{name}.log").read_text() == "7\n") == (wanted == DONE)
    before = Kept(tmp_path).seconds(name)
    carry(step._replace(command=[sys.executable, "-c", "import time; time.sleep(0.3)"]), tmp_path)
    assert before + 0.2 < Kept(tmp_path).seconds(name) < 30  # of both calls


def test_an_interrupt_reaches_the_step(tmp_path, monkeypatch):
    """It may save what it has, and its end is no failure; meanwhile what there is comes home."""
    monkeypatch.setattr(plan, "_PUBLISH_EVERY", 0.0)
    published = []
    code = (
        "import signal, sys, time, pathlib\n"
        f"signal.signal(signal.SIGINT, lambda *_: sys.exit(pathlib.Path({str(tmp_path)!r}, 'saved')"
        ".write_text('x')))\n"
        f"pathlib.Path({str(tmp_path)!r}, 'ready').touch()\n"
        "time.sleep(60)"
    )
    status = carry(
        Step("train", [sys.executable, "-c", code], 60.0), tmp_path,
        publish=lambda: published.append(1),
        interrupted=lambda: (tmp_path / "ready").exists() and len(published) > 1,
    )  # fmt: skip
    assert status == CUT and (tmp_path / "saved").exists()


def test_a_step_that_does_not_stop_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GRACE", 0.5)
    code = (
        "import signal, time, pathlib; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"pathlib.Path({str(tmp_path)!r}, 'ready').touch(); time.sleep(60)"
    )
    begin = time.monotonic()
    step = Step("deaf", [sys.executable, "-c", code], 60.0)
    assert carry(step, tmp_path, interrupted=(tmp_path / "ready").exists) == CUT
    assert time.monotonic() - begin < 30


@pytest.mark.skipif(
    sys.platform != "linux", reason="a process is told of its parent's end on Linux"
)
def test_a_step_ends_with_who_is_killed(tmp_path):
    """`timeit` stands for a step: it writes its own number, then lasts."""
    mark = tmp_path / "pid"
    setup = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid()))"
    command = plan.python("timeit", "-n1", "-r1", "-s", setup, "time.sleep(60)")
    code = f"import subprocess, time; subprocess.Popen({command!r}); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 30
        while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        child = int(mark.read_text())
    finally:
        parent.kill()
        parent.wait()
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "text",
    ['{"steps": ', '{"settings": {}}', '{"settings": [], "steps": {}}', "[]",
     '{"settings": {}, "steps": {"machine": 3}}'],
)  # fmt: skip
def test_a_damaged_record_is_told(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(InputError, match="must be a plan's record, found"):
        Kept(tmp_path)


# The whole plan, without its processes

GPU = {
    "what": "machine",
    "hardware": {
        "platform": "gpu", "processor": "p", "threads": 1, "num_devices": 1, "device": "d"
    },
    "versions": {"jax": "1"},
}  # fmt: skip
EPOCHS = [
    {"what": "none", "batch": 512, "seconds": 0.5},
    {"what": "mo_op", "batch": 512, "seconds": 1.0},
]


class Processes:
    """Steps that were started, each done at once, or ended as `ends` tells."""

    def __init__(self, clock: list[float]):
        self.started: list[Step] = []
        self.environments: list[dict] = []
        self.ends: dict[str, str] = {}
        self.rows = {"machine": [GPU], "epochs": EPOCHS}
        self._clock = clock

    def carry_out(self, step, kept, log, *, environment, publish, interrupted):
        self.started.append(step)
        self.environments.append(environment)
        if step.name in self.rows or step.name in program.MEASURES:
            rows = self.rows.get(step.name, [{"what": step.name}])
            log.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        seconds = 100.0 if step.name.startswith("train") else 1.0
        self._clock[0] += seconds
        status = self.ends.get(step.name, DONE)
        kept.steps[step.name] = {"status": status, "seconds": seconds}
        kept.write()
        publish()
        return status

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.started]

    def most(self, name: str) -> float:
        return next(step.most for step in self.started if step.name == name)


@pytest.fixture
def processes(monkeypatch):
    clock = [0.0]
    made = Processes(clock)
    monkeypatch.setattr(program, "carry_out", made.carry_out)
    monkeypatch.setattr(program, "find_original", lambda name, data_dir: "there")
    monkeypatch.setattr(program.time, "monotonic", lambda: clock[0])
    return made


def call(folder, *arguments) -> int:
    try:
        return program.main(["device", f"--runs={folder}", *arguments])
    except SystemExit as ended:
        return int(ended.code or 0)


def test_everything_in_order_and_nothing_twice(tmp_path, processes):
    processes.ends["train_mo_op"] = FAILED
    arguments = ["--rules", "none", "mo_op", f"--data_dir={tmp_path}"]
    assert call(tmp_path, *arguments) == 1
    measured = ["machine", *program.MEASURES]
    assert processes.names == [*measured, "train_none", "pack_none", "train_mo_op", "versus_torch"]
    assert {env["MMIX_DATA_DIR"] for env in processes.environments} == {str(tmp_path)}
    # Half of what is left of 540 s, less what stands around, at 1.1 · 1 s an epoch.
    left = 540.0 - len(measured)
    epochs = Kept(tmp_path).settings["epochs"]
    assert epochs == int((left / 2 - 45 - 15) / 1.1)
    assert processes.most("train_none") == pytest.approx(left / 2 - 15)
    # The second has all that is left but for packing, and time to save.
    assert processes.most("train_mo_op") == pytest.approx(left - 101 - 25)

    processes.started.clear()
    processes.ends.clear()
    assert call(tmp_path, *arguments, "--budget_s=200") == 0
    assert processes.names == ["machine", "train_mo_op", "pack_mo_op"]
    assert f"--config.num_epochs={epochs}" in processes.started[1].command  # as the first call's
    told = json.loads((tmp_path / "out/device.json").read_text())
    assert told["measures"]["epochs"] == EPOCHS
    assert told["steps"]["train_mo_op"]["status"] == DONE


def test_out_of_time_ends_with_130_and_goes_on(tmp_path, processes):
    processes.ends["epochs"] = CUT
    assert call(tmp_path, "--budget_s=22", "--rules", "none", "--epochs=3") == 130
    assert processes.names == ["machine", "checks", "epochs"]  # then 19 s are left
    assert all(step.most <= 10 for step in processes.started)
    processes.started.clear()
    processes.ends.clear()
    assert call(tmp_path, "--rules", "none", "--epochs=3") == 0
    assert processes.names[:3] == ["machine", "epochs", "epochs_large"]
    assert "--config.num_epochs=3" in processes.started[-3].command


@pytest.mark.parametrize("cut", ["loss", "train_mo_op", "pack_none"])
def test_what_was_cut_off_is_no_success(tmp_path, processes, capsys, cut):
    processes.ends[cut] = CUT
    assert call(tmp_path, "--rules", "none", "mo_op") == 130
    assert f"not done: {cut}" in capsys.readouterr().out


def test_further_rules_wait_for_the_first_two_and_want_time(tmp_path, processes):
    processes.ends["train_mo_op"] = CUT
    rules = ["--rules", "none", "mo_op", "mp", "binary", "--budget_s=1000"]
    assert call(tmp_path, *rules, "--epochs=9") == 130
    assert not {"train_mp", "train_binary"} & {*processes.names}
    processes.ends.clear()
    processes.started.clear()
    assert call(tmp_path, *rules[:-1], "--budget_s=300") == 130
    # After mp 97 s are left, too little for 1.2 times the longest.
    trained = [name for name in processes.names if name.startswith("train")]
    assert trained == ["train_mo_op", "train_mp"]
    assert not {"pack_mp", "pack_binary"} & {*processes.names}


def test_lengths_of_trainings_do_not_differ(tmp_path, processes, capsys):
    assert call(tmp_path, "--rules", "none", "--epochs=5") == 0
    assert call(tmp_path, "--rules", "none", "mp", "--epochs=7") == 2
    assert "must be of one length, found 5 epochs and --epochs=7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rules", "moo"], "unknown rule 'moo'"),
        (["--rules", "paper"], "unknown rule 'paper'"),
        (["--rules", "none", "none"], "--rules must name each once, found none again"),
        (["--budget_s=3"], "--budget_s must be 20 or more, found 3"),
        (["--epochs=0"], "must be a whole number from 1 on, found '0'"),
    ],
)
def test_bad_arguments_are_told(tmp_path, capsys, processes, arguments, told):
    assert call(tmp_path, *arguments) == 2
    assert told in capsys.readouterr().err and not processes.started


def test_images_that_are_not_there_are_told_first(tmp_path, capsys, processes, monkeypatch):
    monkeypatch.setattr(program, "find_original", lambda name, data_dir: None)
    monkeypatch.setattr(program, "find_prepared", lambda name, places: None)
    assert call(tmp_path, f"--data_dir={tmp_path}") == 2
    assert "CIFAR-10's files must be at hand" in capsys.readouterr().err and not processes.started


def test_a_cpu_is_refused_and_quick_is_the_way_out(tmp_path, capsys, processes):
    hardware = GPU["hardware"] | {"platform": "cpu"}
    processes.rows["machine"] = [GPU | {"hardware": hardware}]
    assert call(tmp_path) == 2
    assert "for an accelerator, found a CPU alone; --quick" in capsys.readouterr().err
    assert processes.names == ["machine"]
    assert call(tmp_path, "--quick") == 0
    assert call(tmp_path) == 2


def test_another_machine_is_told(tmp_path, capsys, processes):
    assert call(tmp_path, "--rules", "none") == 0
    processes.rows["machine"] = [GPU | {"hardware": GPU["hardware"] | {"device": "e"}}]
    assert call(tmp_path, "--rules", "none") == 2
    assert "found one with device d, now e" in capsys.readouterr().err


# What comes home


@pytest.mark.parametrize("out", ["runs/out", "runs", "elsewhere", "."])
def test_logs_come_home_and_checkpoints_stay(tmp_path, out):
    runs, out = tmp_path / "runs", tmp_path / out
    out.mkdir(parents=True, exist_ok=True)
    (runs / "train/checkpoints/seed_0").mkdir(parents=True)
    (runs / "train/checkpoints/seed_0/a.json").write_text("{}")
    (runs / "train/metrics.jsonl").write_text("{}\n")
    (runs / "loss.log").write_bytes(b"x" * (home._MOST + 7) + b"end")
    (runs / "gone.log").symlink_to(tmp_path / "nowhere")
    for _ in range(2):
        home.bring(runs, out, {"steps": {}})
    with tarfile.open(out / home.LOGS) as archive:
        assert archive.getnames() == ["loss.log", "train/metrics.jsonl"]
        content = archive.extractfile("loss.log").read()
    assert len(content) == home._MOST and content.endswith(b"end")


def test_rows_that_were_cut_off_are_none(tmp_path):
    path = tmp_path / "a.jsonl"
    assert home.rows_in(path) == []
    path.write_text('{"what": 1}\n3\n{"what": 2}\n{"wha')
    assert home.rows_in(path) == [{"what": 1}, {"what": 2}]


def test_what_cannot_be_written_ends_no_step(tmp_path, processes, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / home.DOCUMENT).mkdir()
    assert call(tmp_path, "--rules", "none") == 0
    assert "cannot be written now" in capsys.readouterr().err


@pytest.fixture
def packed(tmp_path):
    """An encoder in parts, in a folder of its own."""
    weights.pack(MODELS / "digits-mo_op", tmp_path / "home", "digits", part=20_000)
    return tmp_path / "home"


def test_an_encoder_leaves_in_parts_and_is_put_together(tmp_path, packed):
    files = sorted(packed.iterdir())
    assert len(files) > 3 and all(path.stat().st_size <= 20_000 for path in files)
    weights.unpack(packed, "digits", tmp_path / "workdir")
    before, after = (read_model(p)[1] for p in (MODELS / "digits-mo_op", tmp_path / "workdir"))
    assert after.progress["step"] == before.progress["step"]
    for tree in ("params", "batch_stats"):
        found, given = (by_name(getattr(of.state, tree)) for of in (after, before))
        assert found.keys() == given.keys()
        for name, x in given.items():
            rounded = np.asarray(x).astype(ml_dtypes.bfloat16).astype(np.float32)
            np.testing.assert_array_equal(found[name], rounded)
    with pytest.raises(InputError, match="weights start a workdir, found a run"):
        weights.unpack(packed, "digits", tmp_path / "workdir")


def damage(folder, how):
    described, part = folder / "digits.json", folder / "digits.1"
    kept = json.loads(described.read_text())
    match how:
        case "missing":
            part.unlink()
        case "short":
            part.write_bytes(part.read_bytes()[:-9])
        case "flipped":
            content = bytearray(part.read_bytes())
            content[100] ^= 1
            part.write_bytes(content)
        case "no step":
            del kept["progress"]["step"]
        case _:
            kept |= how
    described.write_text(json.dumps(kept))


@pytest.mark.parametrize(
    "how", ["missing", "short", "flipped", "no step", {"parts": 0}, {"config": 3}, {"seed": "a"}],
    ids=str,
)  # fmt: skip
def test_damaged_parts_are_told(tmp_path, packed, how):
    damage(packed, how)
    with pytest.raises(InputError, match=r"must be an encoder in parts in .*; copy digits.json"):
        weights.unpack(packed, "digits", tmp_path / "workdir")
    assert not (tmp_path / "workdir").exists()


# Measures


def test_checks_hold_on_this_machine_and_can_fail(tmp_path, capsys, monkeypatch):
    assert measures.main("checks", str(tmp_path / "rows"), "--quick") == 0
    rows = home.rows_in(tmp_path / "rows")
    assert len(rows) == 5 and all(row["holds"] for row in rows)
    monkeypatch.setitem(
        measures.MEASURES, "checks", lambda quick: iter([{"what": "a", "holds": 0}])
    )
    assert measures.main("checks", str(tmp_path / "others")) == 1
    assert "error: does not hold here: a" in capsys.readouterr().err


def test_every_measure_of_the_plan_is_one():
    assert {program.MACHINE[0], *program.MEASURES, program.TORCH[0]} == measures.MEASURES.keys()
    assert shutil.which(plan.python("x")[0]) and os.path.isfile(measures.GOLDEN)
