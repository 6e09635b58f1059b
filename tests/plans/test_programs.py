"""`sweep` and `reproduce` as they are called, on made scores."""

import json
import os
import re

import pytest

from mmix_jax import reproduce, sweep
from mmix_jax.data.store.download import DownloadFailed
from mmix_jax.errors import InputError
from mmix_jax.plans import catalog, reproduction
from mmix_jax.plans.runs import Setting
from mmix_jax.plans.table import Line, Measure, Table
from mmix_jax.results import read_results
from tests.example_results import result
from tests.main.program import BAR

SMALL = (("width", "8"), ("num_devices", "1"))
NONE, MO = (Setting("digits_graph", f"smoke+{rule}", SMALL) for rule in ("none", "mo"))
ABSENT = Setting("citeseer", "smoke", SMALL)
ACCURACY = Measure("accuracy", "mean")
SWEEP = ("--config=digits_graph:smoke", "--config.width=8", "--config.num_devices=1")


def small_table():
    return Table(
        "small",
        "a small table",
        "For tests.",
        (
            Line("citeseer", "none", ABSENT, ACCURACY, 2),
            Line("digits_graph", "none", NONE, ACCURACY, 2),
            Line("digits_graph", "mo", MO, ACCURACY, 2, against="none"),
        ),
    )


@pytest.fixture(autouse=True)
def around(monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "TABLES", {"small": small_table})
    monkeypatch.setattr(reproduction, "TABLES", {"small": small_table})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MMIX_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """Citeseer is nowhere, and nothing is downloaded."""

    def fail(files, folder):
        raise DownloadFailed("no network")

    monkeypatch.setattr("mmix_jax.data.store.files.download", fail)


@pytest.fixture
def made_scores(monkeypatch):
    """In place of trainings: scores that follow from mixing and seed."""
    from mmix_jax.experiments import records, run

    def train(config, workdir, interrupted, report):
        run.load(config)
        seeds = range(config.seed, config.seed + config.num_seeds)
        better = 0.1 * (config.mixing.rule == "mo")
        values = [0.5 + better + 0.01 * seed * (1 + better) for seed in seeds]
        about = {"dataset": config.dataset, "mixing": config.mixing.rule, "seeds": tuple(seeds)}
        records.record(config, workdir)
        results = [result(values, **about), result(values, **about, trained=False, steps=0)]
        report(results)
        return results

    monkeypatch.setattr(run, "train", train)


def call(program, *arguments):
    return program.main(["", *arguments])


def told(capsys):
    captured = capsys.readouterr()
    lines = captured.err.replace("\r", "\n").split("\n")
    return captured.out, [line for line in lines if line.strip() and not BAR.search(line)]


def test_a_table_by_one_command(tmp_path, made_scores, ran, capsys, monkeypatch):
    fields = " ".join(f"--config.{key}={value}" for key, value in SMALL)
    assert call(reproduce, "small", "--seeds=1", "--dry") == 0
    out, _ = told(capsys)
    assert f"--config=digits_graph:smoke+mo {fields} --config.num_seeds=1" in out
    assert "3 of 3 runs, 3 trainings: about" in out
    assert not (tmp_path / "runs").exists()

    # A data set that is nowhere costs its own row, and is told once, with the way out.
    assert call(reproduce, "small", "--seeds=1") == 0
    out, err = told(capsys)
    assert ran == [(ABSENT.name, 1), (NONE.name, 1), (MO.name, 1)]
    assert [line for line in err if "ind.citeseer" in line] == err
    assert len(err) == 1
    assert "data absent" in out
    assert "no network" in err[0]
    path = tmp_path / "runs" / "reproduce" / "small.json"
    assert [row["n"] for row in json.loads(path.read_text())["rows"]] == [0, 1, 1]
    path = path.with_name("small-digits_graph.json")  # a part leaves the whole as it is

    # What is there is read; more seeds are run.
    ran.clear()
    assert call(reproduce, "small", "--seeds=1", "--only=digits_graph") == 0
    assert ran == []
    assert call(reproduce, "small", "--seeds=3", "--only=digits_graph") == 0
    assert ran == [(NONE.name, 3), (MO.name, 3)]
    none, mo = json.loads(path.read_text())["rows"]
    assert (none["mean"], mo["mean"]) == pytest.approx((0.51, 0.611))
    assert mo["difference"] == pytest.approx(0.101)
    assert call(reproduce, "small", "--seeds=2", "--only=digits_graph") == 0
    assert [row["n"] for row in json.loads(path.read_text())["rows"]] == [3, 3]
    assert ran[2:] == []
    assert "--config.num_seeds=3" in json.loads(path.read_text())["rows"][0]["command"]

    # Records give the same table without the runs, and a page.
    arguments = ("--only=digits_graph", "--seeds=3", "--read")
    assert call(reproduce, "small", *arguments, "--collect=records") == 0
    table = (tmp_path / "runs/reproduce/small-digits_graph.md").read_text().partition("\n")[2]
    assert call(reproduce, "small", *arguments, "--runs=records", "--page=page.md") == 0
    assert table.strip() in (tmp_path / "page.md").read_text()
    assert sorted(os.listdir("records")) == sorted([f"{NONE.name}.jsonl", f"{MO.name}.jsonl"])
    assert ran[2:] == []

    # A longer training is another setting, also for a record.
    with monkeypatch.context() as patch:
        longer = (*SMALL, ("num_steps", "9"))
        patch.setattr(
            Setting,
            "asked",
            lambda self, seeds, of=Setting.asked: of(self._replace(changes=longer), seeds),
        )
        for folder in ("records", "runs/reproduce"):
            assert call(reproduce, "small", *arguments, f"--runs={folder}") == 2
            assert "num_steps (4 there, 9 asked)" in told(capsys)[1][-1]

    # Other settings in the folder of runs: nothing is run, and one line names them.
    path = tmp_path / "runs/reproduce" / NONE.name / "config.json"
    path.write_text(path.read_text().replace('"width": 8', '"width": 16'))
    capsys.readouterr()
    assert call(reproduce, "small", "--seeds=4", "--only=digits_graph") == 2
    _, err = told(capsys)
    assert len(err) == 1
    assert "width (16 there, 8 asked)" in err[0]
    assert err[0].endswith("choose another --runs")


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        (reproduce, [], "a table must be named"),
        (reproduce, ["table99"], "unknown table 'table99'; expected one of: all,"),
        (reproduce, ["small", "--seeds=0"], "argument --seeds: must be a whole number from 1 on"),
        (reproduce, ["small", "--only=nowhere"], "unknown --only 'nowhere'"),
        (reproduce, ["small", "--nothing"], "unrecognized arguments: --nothing"),
        (reproduce, ["small", "--read"], "a table needs scores, found none"),
        (reproduce, ["small", "--runs=file"], "--runs must be a folder"),
        (reproduce, ["small", "--read", "--page=."], "--page must be a file"),
        (reproduce, ["small", "--read", "--collect=file"], "--collect must be a folder"),
        (reproduce, ["figure2", "--only=citeseer"], "--only names data sets of tables"),
        (sweep, [], "a config must be given"),
        (sweep, ["--config=digits_graph"], "found no --vary"),
        (sweep, ["--config=digits_graph", "--vary=mixing"], "--vary must be KEY=V1,V2"),
        (sweep, ["--config=digits_graph", "--vary=mixing=mo,mo"], "each value once"),
        (sweep, ["--config=digits_graph", "--vary=mixing=mo,fly"], "unknown mixing 'fly'"),
        (sweep, ["--config=digits_graph", "--vary=fly=1,2"], "a flag or config cannot be read"),
        (sweep, ["--config=digits_graph", "--vary=variant=mo,fly"], "unknown variant 'fly'"),
        (sweep, ["--config=digits_graph", "--vary=mixing=mo,mp", "--baseline=mixing=none"],
         r"--baseline must be one of the values varied \(mixing=mo,mp\)"),
        (sweep, ["--config=digits_graph", "--vary=mixing=mo,mp", "--seeds=a:5"], "FIRST:END"),
        (sweep, ["--config=digits_graph", "--vary=mixing=mo,mp", "--seeds=5:5"], "FIRST:END"),
        (sweep, ["--config=coil_del", "--vary=mixing=mo,mp"], "a task whose runs have scores"),
        (sweep, [*SWEEP, "--vary=num_seeds=1,2"], "seeds of a sweep are set by --seeds"),
        (sweep, [*SWEEP, "--config.seed=3", "--vary=mixing=mo,mp"], "set by --seeds, found seed"),
        (sweep, [*SWEEP, "--vary=width=8,16"], "set or varied, found width"),
        (sweep, [*SWEEP, "--vary=learning_rate=1e-3,0.001"], "must be different runs"),
        (sweep, [*SWEEP, "--vary=mixing=mo,mp", "--read"], "run it without --read"),
        (sweep, ["--config=mutag", "--vary=mixing=mo,mp", "--validation"], "task 'graph'"),
        (sweep, ["--config=digits_graph", "--vary=mixing=mo", "--config.width"], "KEY=VALUE"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(tmp_path, capsys, program, arguments, words):
    (tmp_path / "file").write_text("")
    assert call(program, *arguments) == 2
    _, err = told(capsys)
    assert len(err) == 1, err
    assert re.search(words, err[0]), err[0]
    assert err[0].startswith("error: ")


def rows_of(path):
    return json.loads(path.read_text())["rows"]


def test_two_factors_are_compared_other_things_equal(tmp_path, made_scores, capsys):
    vary = ("--vary=mixing_temperature=1,0.5", "--vary=mixing=none,mo")
    assert call(sweep, *SWEEP, *vary, "--seeds=0:3", "--baseline=mixing=none") == 0
    (path,) = (tmp_path / "runs" / "sweep").glob("*.json")
    pairs = [(row["row"], row["against"]) for row in rows_of(path)]
    assert pairs == [
        ("mixing_temperature=1, mixing=none", ""),
        ("mixing_temperature=1, mixing=mo", "mixing_temperature=1, mixing=none"),
        ("mixing_temperature=0.5, mixing=none", ""),
        ("mixing_temperature=0.5, mixing=mo", "mixing_temperature=0.5, mixing=none"),
    ]
    # The first value varied is the baseline where none is named; that is another table.
    assert call(sweep, *SWEEP, *vary, "--seeds=0:3") == 0
    (other,) = set((tmp_path / "runs" / "sweep").glob("*.json")) - {path}
    assert [row["against"] for row in rows_of(other)] == [
        *("", "", "mixing_temperature=1, mixing=none", "mixing_temperature=1, mixing=mo")
    ]


def test_a_run_that_fails_costs_its_own_row(tmp_path, made_scores, capsys, monkeypatch):
    from mmix_jax.experiments import run

    train = run.train

    def failing(config, *rest):
        if config.mixing.rule == "mo":
            raise InputError("the loss is not finite")
        return train(config, *rest)

    monkeypatch.setattr(run, "train", failing)
    assert call(sweep, *SWEEP, "--vary=mixing=none,mo,mp") == 0
    _, err = told(capsys)
    assert len(err) == 1
    assert "mixing=mo: the loss is not finite" in err[0]
    (path,) = (tmp_path / "runs" / "sweep").glob("*.json")
    assert [row["missing"] for row in rows_of(path)] == ["", "failed", ""]


def test_a_run_cut_off_with_more_seeds_goes_on_with_them(tmp_path, made_scores, capsys):
    arguments = (*SWEEP, "--vary=mixing=none,mo")
    assert call(sweep, *arguments, "--seeds=0:3") == 0
    (path,) = (tmp_path / "runs" / "sweep").glob("*mixing=mo/results.jsonl")
    path.unlink()  # as between a training and its evaluation
    assert call(sweep, *arguments, "--seeds=0:2") == 0
    assert {r.seeds for r in read_results(path)} == {(0, 1, 2)}


def test_a_row_whose_score_is_gone_says_so(tmp_path, made_scores, capsys):
    arguments = (*SWEEP, "--vary=mixing=none,mo")
    assert call(sweep, *arguments) == 0
    (path,) = (tmp_path / "runs" / "sweep").glob("*mixing=mo/results.jsonl")
    path.write_text(path.read_text().splitlines()[1] + "\n")  # the untrained score alone
    capsys.readouterr()
    assert call(sweep, *arguments, "--read") == 0
    assert "no such score" in told(capsys)[0]
    path.write_text("")
    assert call(sweep, *arguments, "--read") == 0
    assert "not run" in told(capsys)[0]


def test_scores_that_cannot_be_written_are_told(tmp_path, made_scores, capsys, monkeypatch):
    def full(path, results):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mmix_jax.plans.runs.write_results", full)
    assert call(sweep, *SWEEP, "--vary=mixing=none") == 2
    err = told(capsys)[1]
    assert "results must be writable" in err[0]
    assert "No space left" in err[0]
    assert "see to what the lines above name" in err[1]


def test_the_list_has_every_name(capsys, monkeypatch):
    monkeypatch.undo()
    assert call(reproduce, "--list") == 0
    out, _ = told(capsys)
    names = [line.split()[0] for line in out.splitlines()]
    assert [f"table{n}" for n in range(2, 11)] == [name for name in names if name[:5] == "table"]
    assert {"figure2", "figure3", "figure4", "figure5", "theorem32", "all"} <= set(names)
