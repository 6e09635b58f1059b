"""The program where paths, terminals, folders and other runs are not as usual."""

import os
import subprocess
import sys

import pytest

from mmix_jax.data.store.files import cache_folder
from mmix_jax.surroundings import locked
from tests.experiments.nodes import small
from tests.main.program import CONFIGS, ROOT, contents, numbers, refused, run

pytestmark = pytest.mark.slow

NAMES = [
    "a b",
    "ü日本",
    "100%25",
    "#hash?query=1&x",
    "a:b",
    "[a-z]*{x}",
    'it\'s "quoted"',
    "back\\slash",
    "$HOME`x`",
    "line\nbreak",
    "~tilde",
    "-dash",
    "=equals,comma;",
    "gs:",
    os.fsdecode(b"not-utf8-\xff"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_paths_may_hold_every_character(name, smoke, tmp_path, first_run):
    """Data, config and workdir lie in a folder of that name; then they are read back."""
    folder = tmp_path / name
    folder.mkdir()
    graph = small.save(folder / "rings.npz")
    config = folder / f"{name} config.py"
    config.write_bytes((CONFIGS / "graph_file.py").read_bytes())
    workdir = folder / "run"
    flags = [f"--config={config}:smoke", f"--workdir={workdir}", *smoke[2:]]
    flags.append(f"--config.data_path={graph}")
    ran = run(*flags)
    assert ran.status == 0, ran.err
    wanted = {(r.metric, r.representation, r.trained): r.mean for r in numbers(first_run[0])}
    found = {(r.metric, r.representation, r.trained): r.mean for r in numbers(workdir)}
    assert found == wanted
    checkpoint = workdir / "checkpoints" / "seed_0"
    assert run(*flags, "--mode=embed", f"--checkpoint={checkpoint}").status == 0
    assert "embeddings.npz" in contents(workdir)
    assert run(*flags).status == 0  # a finished run only reports


def test_a_tilde_is_a_home_in_every_path(smoke, tmp_path, monkeypatch, first_run):
    monkeypatch.setenv("HOME", str(tmp_path))
    small.save(tmp_path / "rings.npz")
    (tmp_path / "mine.py").write_bytes((CONFIGS / "graph_file.py").read_bytes())
    flags = ["--config=~/mine.py:smoke", "--config.data_path=~/rings.npz", *smoke[2:]]
    assert run(*flags, "--workdir=~/run").status == 0
    assert numbers(tmp_path / "run") == numbers(first_run[0])
    embed = ["--mode=embed", "--workdir=~/z", "--checkpoint=~/run/checkpoints/seed_0"]
    assert run(*flags, *embed).status == 0
    assert set(contents(tmp_path / "z")) == {"embeddings.npz"}
    for flag in ("--workdir", "--config.data_path"):
        refused(run(*flags, f"{flag}=~nobody_of_this_name/x"), "found no home folder of that name")
    refused(run(*flags, "--mode=eval", "--checkpoint=~nobody_of_this_name"), "found no home folder")
    refused(run(*flags, "--checkpoint=~/run"), "eval and embed read, found it with mode train")
    refused(run("--config=~nobody_of_this_name/x.py"), "found no home folder of that name")


def _subprocess(*arguments, **environment) -> subprocess.CompletedProcess:
    changed = {k: v for k, v in environment.items() if v is not None}
    own = {"MMIX_COMPILE_CACHE", "JAX_COMPILATION_CACHE_DIR", *environment}  # as users start it
    kept = {k: v for k, v in os.environ.items() if k not in own}
    return subprocess.run(
        [sys.executable, "-m", "mmix_jax.main", *arguments],
        env=kept | {"PYTHONPATH": str(ROOT)} | changed,
        capture_output=True,
        timeout=300,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_run_is_not_lost_to_the_terminals_encoding(smoke, tmp_path, encoding):
    name = tmp_path / "Läufe 日本"
    name.mkdir()
    graph = small.save(name / "rings.npz")
    ran = _subprocess(
        *smoke,
        f"--config.data_path={graph}",
        f"--workdir={name / 'run'}",
        PYTHONIOENCODING=encoding,
        JAX_COMPILATION_CACHE_DIR=os.environ["JAX_COMPILATION_CACHE_DIR"],
    )
    assert ran.returncode == 0, ran.stderr
    assert (name / "run" / "results.jsonl").exists()
    assert b"random-init" in ran.stdout


def test_without_a_home_it_runs(smoke, tmp_path):
    ran = _subprocess(*smoke, f"--workdir={tmp_path / 'run'}", HOME="", XDG_CACHE_HOME=None)
    assert ran.returncode == 0, ran.stderr
    assert b"no home folder: downloads and compiled programs are kept in" in ran.stdout
    nowhere = str(tmp_path / "file" / "home")
    (tmp_path / "file").write_text("")
    ran = _subprocess(*smoke, f"--workdir={tmp_path / 'run'}", HOME=nowhere, XDG_CACHE_HOME=None)
    assert ran.returncode == 0, ran.stderr
    assert b"Traceback" not in ran.stderr


def test_a_reader_that_has_gone_is_no_fault(smoke, tmp_path):
    command = [sys.executable, "-m", "mmix_jax.main", "--help"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_a_workdir_is_for_one_run_at_a_time(smoke, trained):
    before = contents(trained)
    with locked(trained):
        for mode in ("train", "eval", "embed"):
            ran = run(*smoke, f"--workdir={trained}", f"--mode={mode}")
            refused(ran, "one run at a time", str(os.getpid()), "choose another --workdir")
    assert contents(trained) == before
    assert run(*smoke, f"--workdir={trained}").status == 0
    assert contents(trained).keys() == before.keys()


def test_seeds_may_be_added_in_a_workdir(smoke, trained, tmp_path):
    """Three seeds at once, and one and then two more: the same scores."""
    assert run(*smoke, f"--workdir={trained}", "--config.num_seeds=3").status == 0
    assert run(*smoke, f"--workdir={tmp_path / 'run'}", "--config.num_seeds=3").status == 0
    assert numbers(trained) == numbers(tmp_path / "run")
    assert {result.seeds for result in numbers(trained)} == {(0, 1, 2)}
    refused(run(*smoke, f"--workdir={trained}"), "num_seeds may only grow", "3 there and 1 asked")


@pytest.mark.parametrize("given", ["graph_file:smoke", "graph_file"])
def test_configs_are_found_by_name(given, smoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = run(f"--config={given}", smoke[1], "--mode=eval")
    assert ran.out.startswith(f"workdir: runs/{given.replace(':', '-')}\n")
    refused(ran, "no checkpoint")


def test_unknown_names_are_told_with_the_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(run("--config=coral"), "found no 'coral'", "cora, ", "graph_file")
    refused(run("--config=configs/coral.py:mo"), "found no 'configs/coral.py'")
    refused(run("--config=cora", "--config=dblp"), "given once, found cora and dblp")


def test_the_cache_follows_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "~/cache")
    assert cache_folder() == tmp_path / "cache" / "mmix_jax"
