"""The notebook colab/nodes.ipynb: careful on Colab, executed as a whole."""

import importlib.metadata
import pathlib
import subprocess
import sys
import tomllib
import types
from importlib.metadata import PackageNotFoundError

import pytest

from tests.colab import notebooks
from tests.colab.notebooks import ROOT

pytestmark = pytest.mark.slow

NOTEBOOK = ROOT / "colab" / "nodes.ipynb"
DEPENDENCIES = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "dependencies"
]
FIGURES = ["map", "mixtures", "own-run"]  # cells that draw one

# Appended to the notebook: what its variables hold at the end, as JSON.
FACTS = """
import json

print(json.dumps({
    "steps": [model.n_iter_ for model in models.values()],
    "scores": scores.to_dict("index"),
    "own scores": own_scores.to_dict("index"),
    "z": {name: z.shape for name, z in representations.items()},
    "rows": [float(own) + float(weights.sum()) for _, own, _, weights in rows],
    "partners": [len(partners) for _, _, partners, _ in rows],
    "losses": losses,
}))
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook after a run, and its facts."""
    return notebooks.executed_once(NOTEBOOK, tmp_path_factory, FACTS)


def test_the_steps_come_from_the_environment(executed):
    assert executed[1]["steps"] == [4, 4]


def test_the_trained_stand_beside_the_untrained(executed):
    scores = executed[1]["scores"]
    assert list(scores) == ["pixels", "untrained", "trained, none", "trained, mo"]
    assert all(
        60 < score["accuracy %"] < 100 and 0.5 < score["NMI"] < 1 for score in scores.values()
    )
    assert set(map(tuple, executed[1]["z"].values())) == {(1797, 128)}


def test_every_figure_is_shown_once(executed):
    notebooks.check_figures(executed[0], FIGURES)


def test_the_mixtures_shown_are_whole(executed):
    assert executed[1]["rows"] == pytest.approx([1.0] * 4, abs=1e-5)
    assert min(executed[1]["partners"]) >= 5


def test_the_loop_of_ones_own_learns_with_and_without_mixing(executed):
    losses, scores = executed[1]["losses"], executed[1]["own scores"]
    assert list(losses) == ["no mixing", "mo, threshold 0.8"]
    for name, curve in losses.items():
        assert sum(curve[-10:]) / 10 < 0.95 * curve[0]
        assert scores[name]["accuracy %"] > scores["untrained"]["accuracy %"] + 5


def _first_cell() -> str:
    return notebooks.cell(notebooks.read(NOTEBOOK), "install").source


@pytest.mark.parametrize("folder", [ROOT, ROOT / "colab"], ids=["root", "colab"])
def test_the_first_cell_finds_the_package_of_the_checkout(folder):
    source = _first_cell() + "\nimport mmix_jax; print(mmix_jax.__file__)"
    # -I: neither the current folder nor PYTHONPATH helps.
    command = [sys.executable, "-I", "-c", source]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert pathlib.Path(found.stdout.strip()) == ROOT / "mmix_jax" / "__init__.py"


@pytest.fixture
def colab(monkeypatch):
    """`run(source, installed)` executes the first cell as on Colab and returns pip's arguments."""
    calls = []

    def pip(command, check):
        assert check
        arguments = command[command.index("install") + 1 :]
        if "--constraint" in arguments:
            held = pathlib.Path(arguments[arguments.index("--constraint") + 1])
            arguments.append(held.read_text())
        else:
            installed["mmix-jax"] = "0.1.0"
        calls.append(arguments)

    def version(package):
        try:
            return installed[package.lower().replace("_", "-")]
        except KeyError:
            raise PackageNotFoundError(package) from None

    installed = {}
    extra = ["matplotlib<4,>=3.9; extra == 'plots'"]
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: DEPENDENCIES + extra)

    def run(source, **there):
        installed.update({name.lower().replace("_", "-"): found for name, found in there.items()})
        exec(compile(source, "install", "exec"), {})
        return calls

    return run


def _all_but(*names: str) -> dict[str, str]:
    listed = [line.split(">=")[0].split("[")[0].replace("-", "_") for line in DEPENDENCIES]
    assert set(names) <= set(listed)
    return {name: "1.2.3" for name in listed if name not in names}


def _with_repository() -> str:
    source = _first_cell()
    assert 'REPOSITORY = ""' in source
    return source.replace('REPOSITORY = ""', 'REPOSITORY = "somewhere/mmix_jax"')


def test_colab_gets_the_package_and_what_is_missing_with_jax_held(colab):
    calls = colab(_with_repository(), **_all_but("jraph", "tensorboardX"))
    (package, others) = calls
    assert package == ["--quiet", "--no-deps", "git+somewhere/mmix_jax"]
    assert others[:2] == ["--quiet", "--constraint"]
    wanted = [line for line in DEPENDENCIES if line.startswith(("jraph", "tensorboardX"))]
    assert others[3:] == [*wanted, "jax==1.2.3\njaxlib==1.2.3\n"]


def test_colab_installs_nothing_twice(colab):
    assert colab(_with_repository(), mmix_jax="0.1.0", **_all_but()) == []


def test_colab_without_an_address_says_so(colab):
    with pytest.raises(SystemExit, match="REPOSITORY is empty"):
        colab(_first_cell(), **_all_but())
