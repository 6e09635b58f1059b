"""Every script of examples/, shortened: it runs as it stands, and prints what it promises."""

import importlib.util
import math
import pathlib
import re
import runpy
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

FOLDER = pathlib.Path(__file__).parents[2] / "examples"
FILES = sorted(path.name for path in FOLDER.glob("*.py"))
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")


def learns(out: str) -> None:
    """Nearest neighbours find more than before the training, and the loss has fallen."""
    untrained, trained = (float(x) for x in re.findall(r"trained (\d\.\d+)", out))
    assert trained > untrained > 0.5
    first, last = (float(x) for x in re.findall(r"loss (\d+\.\d+)", out))
    assert last < first


def equals_one_device(out: str) -> None:
    assert out.startswith("4 devices, 512 images, ")
    one, many = re.findall(r"(\d+\.\d+) to (\d+\.\d+)", out)
    assert one == many and float(one[1]) < float(one[0])
    loss, parameters = (float(x) for x in re.findall(r"(?:loss|parameters) (\S+e\S\d+)", out))
    assert loss < 1e-4 and parameters < 1e-5


def compares(out: str) -> None:
    head, *rows = (line.split() for line in out.splitlines())
    assert head == ["rule", "candidates", "untrained", "trained", "gain"]
    assert [row[:2] for row in rows] == [["none", "-"], ["propagate", "wp"]]
    for *_, untrained, trained, gain in rows:
        assert float(gain) == pytest.approx(float(trained) - float(untrained), abs=0.0011)
        assert 0.5 < float(untrained) < float(trained) <= 1.0


def nearer_than_untrained(out: str) -> None:
    untrained, trained = (float(x) for x in re.findall(r"trained: a linked .* (\d+\.\d) %", out))
    assert trained > untrained > 60
    assert "Enjolras: " in out and "features of structure (both)" in out


def classifies(out: str) -> None:
    pixels, untrained, trained = (float(x) for x in re.findall(r": (\d+\.\d) ± \d", out))
    assert trained > untrained > pixels > 60


def embeds_others(out: str) -> None:
    found = re.findall(r"(\d+\.\d) % of 797 new nodes by kNN", out)
    assert len(found) == 2 and all(float(share) > 90 for share in found)


def tells_kinds(out: str) -> None:
    found = re.findall(r"of the same kind for (\d+)%", out)
    assert len(found) == 2 and all(int(share) > 80 for share in found)
    # The same kind of molecule: an amino acid is nearest to amino acids.
    assert all(name.startswith("N") for name in re.findall(r"NC\(C\(C\)C\)C\(=O\)O: (.*)", out))


def features(out: str) -> None:
    found = re.findall(r"(\w+): (\d+\.\d) % untrained, (\d+\.\d) % trained", out)
    assert [name for name, *_ in found] == ["kNN", "linear"]
    # Three steps teach it nothing yet; another encoder than the untrained one it is.
    assert all(float(after) != float(before) > 50 for _, before, after in found)


class Run(NamedTuple):
    """How a script is shortened, and what is asserted of what it prints."""

    check: Callable[[str], None]
    steps: int = 40
    arguments: tuple[str, ...] = ()
    needs: str = ""


# A new script gets its entry here, and its line in examples/README.md.
RUNS = {
    "compare_rules.py": Run(compares, arguments=("none", "propagate")),
    "inductive.py": Run(embeds_others, steps=5),
    "molecules.py": Run(tells_kinds, steps=5),
    "node_classification.py": Run(classifies, steps=30),
    "own_graph_pandas.py": Run(nearer_than_untrained, steps=100),
    "own_images.py": Run(features, steps=3),
    "own_loop_equinox.py": Run(learns, steps=60, needs="equinox"),
    "own_loop_nnx.py": Run(learns),
    "shard_map_devices.py": Run(equals_one_device, steps=10),
}


def test_every_script_has_an_entry():
    assert list(RUNS) == FILES


@pytest.mark.parametrize("name", RUNS)
def test_it_runs_and_shows_what_it_promises(name, monkeypatch, capsys):
    run = RUNS[name]
    if run.needs and importlib.util.find_spec(run.needs) is None:
        pytest.skip(f"{run.needs} is not installed (requirements-test.txt has it)")
    monkeypatch.setenv("MMIX_EXAMPLE_STEPS", str(run.steps))
    monkeypatch.setenv("XLA_FLAGS", "")  # what a script sets is for a process of its own
    monkeypatch.setattr(sys, "argv", [name, *run.arguments])
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    out = capsys.readouterr().out
    numbers = [float(number) for number in NUMBER.findall(out)]
    assert numbers and all(map(math.isfinite, numbers))
    assert not re.search(r"\b(nan|inf)\b", out)
    run.check(out)
