"""The plan for a device: steps that end, fail and are cut off, what is kept, what comes home."""

import json
import sys
import tarfile

import ml_dtypes
import numpy as np
import pytest

from benchmarks.device import __main__ as program
from benchmarks.device import weights
from benchmarks.device.measures import checks
from benchmarks.device.plan import CUT, DONE, FAILED, Kept, Step, carry_out
from mmix_jax.errors import InputError
from mmix_jax.export import read_model
from mmix_jax.pretrained import MODELS
from mmix_jax.training.checkpoint import by_name

ENDS = {
    "ends": ("print(7)", 60.0, DONE),
    "fails": ("raise SystemExit('error: no such file')", 60.0, FAILED),
    "lasts": ("import time; time.sleep(60)", 1.0, CUT),
}


@pytest.mark.parametrize("name", ENDS)
def test_how_a_step_ends_is_told_and_kept(tmp_path, capsys, name):
    code, most, wanted = ENDS[name]
    kept, published = Kept(tmp_path), []
    status = carry_out(
        Step(name, [sys.executable, "-c", code], most), kept, tmp_path / "log",
        environment={}, publish=lambda: published.append(name), interrupted=lambda: False,
    )  # fmt: skip
    assert status == wanted and published
    assert Kept(tmp_path).steps[name]["status"] == wanted
    assert Kept(tmp_path).done(name) == (wanted == DONE)
    said = capsys.readouterr().out
    assert ("error: no such file" in said) == (wanted == FAILED)
    assert Kept(tmp_path).steps[name]["seconds"] < 30


def test_an_interrupt_reaches_the_step(tmp_path):
    """It may save what it has, and its end is no failure."""
    code = (
        "import signal, sys, time, pathlib\n"
        f"signal.signal(signal.SIGINT, lambda *_: sys.exit(pathlib.Path({str(tmp_path)!r}, 'saved')"
        ".write_text('x')))\n"
        f"pathlib.Path({str(tmp_path)!r}, 'ready').touch()\n"
        "time.sleep(60)"
    )
    status = carry_out(
        Step("train", [sys.executable, "-c", code], 60.0), Kept(tmp_path), tmp_path / "log",
        environment={}, publish=lambda: None, interrupted=(tmp_path / "ready").exists,
    )  # fmt: skip
    assert status == CUT and (tmp_path / "saved").exists()


def test_a_damaged_record_is_told(tmp_path):
    (tmp_path / "plan.json").write_text('{"steps": ')
    with pytest.raises(InputError, match="must be a plan's record, found JSONDecodeError"):
        Kept(tmp_path)


# The whole plan, without its processes

ROWS = {
    "machine": [{"hardware": {"platform": "gpu", "processor": "p", "threads": 1, "num_devices": 1,
                              "device": "d"}, "versions": {"jax": "1"}}],
    "epochs": [{"what": "none", "batch": 512, "seconds": 0.5},
               {"what": "mo_op", "batch": 512, "seconds": 1.0},
               {"what": "none", "batch": 2048, "seconds": 99.0}],
}  # fmt: skip


@pytest.fixture
def processes(monkeypatch):
    """What was started: steps with their commands; each is done at once, or ends as told."""
    started, ends = [], {}

    def fake(step, kept, log, *, environment, publish, interrupted):
        started.append(step)
        if step.name in ROWS or step.name in program.MEASURES:
            rows = ROWS.get(step.name, [{"what": step.name}])
            path = log.with_suffix(".jsonl")
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        status = ends.get(step.name, DONE)
        kept.steps[step.name] = {"status": status, "seconds": 1.0}
        kept.write()
        publish()
        return status

    monkeypatch.setattr(program, "carry_out", fake)
    return started, ends


def names(started) -> list[str]:
    return [step.name for step in started]


def test_everything_in_order_and_nothing_twice(tmp_path, processes):
    started, ends = processes
    ends["train_mo_op"] = FAILED
    arguments = ["device", f"--runs={tmp_path}", "--rules", "none", "mo_op"]
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert ended.value.code == 1
    order = [*program.MEASURES, "train_none", "pack_none", "train_mo_op", "versus_torch"]
    assert names(started) == order
    # Half of what is left of 540 s, less what stands around, at 1.1 · 1 s an epoch.
    epochs = Kept(tmp_path).settings["epochs"]
    assert epochs == int((540 / 2 - 45) / 1.1)
    assert f"--config.num_epochs={epochs}" in started[len(program.MEASURES)].command

    started.clear()
    ends.clear()
    assert program.main([*arguments, "--budget_s=100"]) == 0
    assert names(started) == ["train_mo_op", "pack_mo_op"]
    assert f"--config.num_epochs={epochs}" in started[0].command  # settled by the first call
    told = json.loads((tmp_path / "out/device.json").read_text())
    assert told["measures"]["epochs"] == ROWS["epochs"]
    assert told["steps"]["train_mo_op"]["status"] == DONE
    with tarfile.open(tmp_path / "out/logs.tar.gz") as archive:
        assert {"plan.json", "epochs.jsonl"} <= set(archive.getnames())


def test_out_of_time_ends_with_130_and_goes_on(tmp_path, processes, monkeypatch):
    started, ends = processes
    arguments = ["device", f"--runs={tmp_path}", "--rules", "none"]
    ends["epochs"] = CUT
    monkeypatch.setattr(program, "_LEAST", 1e9)
    monkeypatch.setattr(program.Plan, "left", property(lambda plan: 2e9 - 1.5e9 * bool(started)))
    with pytest.raises(SystemExit) as ended:
        program.main([*arguments, "--budget_s=1e10"])
    assert ended.value.code == 130 and names(started) == ["machine"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rules", "moo"], "unknown rule 'moo'"),
        (["--budget_s=3"], "--budget_s must be 20 or more, found 3"),
        (["--epochs=0"], "must be a whole number from 1 on, found '0'"),
    ],
)
def test_bad_arguments_are_told(tmp_path, capsys, processes, arguments, told):
    assert program.main(["device", f"--runs={tmp_path}", *arguments]) == 2
    assert told in capsys.readouterr().err and not processes[0]


def test_a_cpu_is_refused(tmp_path, capsys, processes, monkeypatch):
    cpu = ROWS["machine"][0]
    hardware = cpu["hardware"] | {"platform": "cpu"}
    monkeypatch.setitem(ROWS, "machine", [cpu | {"hardware": hardware}])
    assert program.main(["device", f"--runs={tmp_path}"]) == 2
    assert "for an accelerator, found a CPU alone; --quick" in capsys.readouterr().err
    assert names(processes[0]) == ["machine"]
    assert program.main(["device", f"--runs={tmp_path}", "--quick"]) == 2
    assert "found one without --quick" in capsys.readouterr().err


# What comes home


def test_an_encoder_leaves_in_parts_and_is_put_together(tmp_path):
    source = MODELS / "digits-mo_op"
    files = weights.pack(source, tmp_path, "digits", part=20_000)
    assert len(files) > 3 and all(path.stat().st_size <= 20_000 for path in files)
    weights.unpack(tmp_path, "digits", tmp_path / "workdir")
    before, after = (read_model(folder)[1] for folder in (source, tmp_path / "workdir"))
    assert after.progress["step"] == before.progress["step"]
    for tree in ("params", "batch_stats"):
        found, given = (by_name(getattr(of.state, tree)) for of in (after, before))
        assert found.keys() == given.keys()
        for name, x in given.items():
            rounded = np.asarray(x).astype(ml_dtypes.bfloat16).astype(np.float32)
            np.testing.assert_array_equal(found[name], rounded)
    with pytest.raises(InputError, match="weights start a workdir, found checkpoints"):
        weights.unpack(tmp_path, "digits", tmp_path / "workdir")
    files[1].unlink()
    with pytest.raises(InputError, match=r"in parts in .*, found FileNotFoundError"):
        weights.unpack(tmp_path, "digits", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_checks_hold_on_this_machine():
    rows = list(checks(True))
    assert len(rows) == 5
    for row in rows:
        differences = [value for name, value in row.items() if "differ" in name]
        assert differences and max(differences) < (1e-2 if "bfloat16" in row["what"] else 1e-5)
