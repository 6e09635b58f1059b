"""Flags and config files: every way to get them wrong is told in one line."""

import contextlib
import io
import signal

import pytest

from mmix_jax import main
from tests.main.program import CONFIGS, contents, refused, run


@pytest.mark.parametrize("form", ["joined", "apart", "one_dash"])
@pytest.mark.parametrize(("variant", "name"), [("", "graph_file"), (":mo", "graph_file-mo")])
def test_the_default_workdir_is_told_first(smoke, tmp_path, monkeypatch, form, variant, name):
    monkeypatch.chdir(tmp_path)
    path = f"{CONFIGS}/graph_file.py{variant}"
    config = {"joined": [f"--config={path}"], "apart": ["--config", path]}
    config["one_dash"] = [f"-config={path}"]
    ran = run(*config[form], smoke[1], "--mode=eval")  # there is nothing to evaluate
    assert ran.out.split("\n")[0] == f"workdir: runs/{name}"
    refused(ran, "no checkpoint", f"runs/{name}")
    assert contents(tmp_path) == {}


def test_help_shows_the_flags():
    ran = run("--help")
    assert (ran.status, ran.told) == (0, [])
    for word in ("--config", "workdir", "mode", "checkpoint", "Exit status"):
        assert word in ran.out
    assert "a folder of checkpoints" in ran.out  # what a flag is for


def test_help_without_a_config_lists_what_there_is():
    out = run("--help").out
    assert "\n  cora: Cora, public split." in out
    assert "\n  mp (all): mp-mix" in out


def test_help_of_a_config_has_its_variants_and_values():
    ran = run("--config=cora:mo", "--config.width=32", "--help")
    assert (ran.status, ran.told) == (0, [])
    assert "\n  mp_nodiv: mp-mix without L_div [mixing=mp, diversity_weight=0.0]\n" in ran.out
    assert "\n    width=32: " in ran.out and "\n    mixing=mo: " in ran.out
    assert "citeseer: " not in ran.out


@pytest.mark.parametrize("returned", ["None", "ConfigDict()", "ConfigDict({'task': 'fly'})"])
def test_help_of_a_config_without_a_task_is_told_in_one_line(returned, tmp_path):
    text = "from ml_collections import ConfigDict\n"
    text += f"def get_config(variant=''):\n    return {returned}\n"
    (tmp_path / "own.py").write_text(text)
    refused(run(f"--config={tmp_path}/own.py", "--help"), "task")


def test_calls_do_not_hear_of_each_other(smoke, tmp_path):
    """Flags of one call are gone in the next, and so are its signal handlers."""
    refused(run(*smoke, f"--workdir={tmp_path}/a", "--mode=eval", "--config.width=4"))
    ran = run(smoke[0], smoke[1], "--mode=embed", f"--workdir={tmp_path}/b")
    refused(ran, f"{tmp_path}/b")

    def mine(*_):
        raise AssertionError

    before = signal.signal(signal.SIGINT, mine)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            main.main(["mmix_jax.main", "--mode=fly"])
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_arguments_count_and_not_those_of_the_process(smoke, tmp_path):
    ran = run(*smoke, f"--workdir={tmp_path}/run", "--mode=eval", process=("notebook", "-f", "x"))
    refused(ran, "no checkpoint")


GRAPH_FILE = f"--config={CONFIGS}/graph_file.py"
DIGITS = f"--config={CONFIGS}/digits_graph.py:smoke"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], ["must be given", "--config=digits_graph", "--help"]),
        (["--mode=train"], ["must be given"]),
        (["--config=nowhere.py"], ["nowhere.py"]),
        (["--config", "nowhere.py"], ["nowhere.py"]),
        (["--config="], ["config"]),
        ([f"--config={CONFIGS}"], [str(CONFIGS)]),
        ([DIGITS + "r"], ["unknown variant 'smoker'", "expected one of", "smoke"]),
        ([DIGITS, "--mode=fly"], ["unknown mode 'fly'", "train, eval, embed"]),
        ([DIGITS, "--mode"], ["mode"]),
        ([DIGITS, "--wordir=x"], ["wordir"]),
        ([DIGITS, "--flagfile=nowhere"], ["nowhere"]),
        ([DIGITS, "train"], ["found 'train'"]),
        ([DIGITS, "--config.mixin=mo"], ["mixin", "mixing"]),
        ([DIGITS, "--config.width=abc"], ["width", "abc"]),
        ([DIGITS, "--config.width=3.5"], ["width", "3.5"]),
        ([DIGITS, "--config.width="], ["width"]),
        ([DIGITS, "--config.stop_gradient=maybe"], ["stop_gradient", "maybe"]),
        ([DIGITS, "--config.mixing=mo_mix"], ["unknown mixing 'mo_mix'", "i_mix, mo, mp"]),
        ([DIGITS, "--config.candidates=near"], ["unknown candidates 'near'", "all, op, wp"]),
        ([DIGITS, "--config.dataset=coral"], ["unknown", "'coral'", "digits_graph, graph_file"]),
        ([DIGITS, "--config.temperature=0"], ["temperature", "found 0"]),
        ([DIGITS, "--config.mixing_temperature=0"], ["mixing_temperature", "found 0"]),
        ([DIGITS, "--config.feature_mask=2"], ["feature_mask", "found 2"]),
        ([DIGITS, "--config.learning_rate=nan"], ["learning_rate", "found nan"]),
        ([DIGITS, "--config.num_steps=0"], ["num_steps", "found 0"]),
        ([GRAPH_FILE], ["graph_file", "path"]),
        ([DIGITS, "--config.data_path=x.npz"], ["graph_file", "x.npz"]),
    ],
    ids=lambda value: " ".join(value).replace(str(CONFIGS), "") if isinstance(value, list) else "",
)
def test_bad_flags_are_told_in_one_line(flags, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(run(*flags), *words)
    assert not any(name.endswith(".jsonl") for name in contents(tmp_path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def get_config(:\n", ["config.py"]),
        ("import nowhere\n", ["nowhere"]),
        ("x = 1\n", ["get_config"]),
        ("def get_config(variant=''):\n    return 1 / 0\n", ["division by zero"]),
        (
            "from ml_collections import ConfigDict\n"
            "def get_config(variant=''):\n    return ConfigDict()\n",
            ["task"],
        ),
        (
            "from ml_collections import ConfigDict\n"
            "def get_config(variant=''):\n    return ConfigDict({'task': 'node'})\n",
            ["framework"],
        ),
        ("def get_config(variant=''):\n    return None\n", ["config"]),
    ],
    ids=["syntax", "import", "no_function", "raises", "empty", "incomplete", "nothing"],
)
def test_a_broken_config_file_is_told_in_one_line(text, words, tmp_path):
    (tmp_path / "config.py").write_text(text)
    refused(run(f"--config={tmp_path}/config.py", f"--workdir={tmp_path}/run"), *words)
    assert not (tmp_path / "run").exists()
