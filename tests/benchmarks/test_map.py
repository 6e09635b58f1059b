"""The map: what it measures, that it goes on where it stopped, and what it makes of its lines."""

import json

import numpy as np
import pytest

from benchmarks.map import __main__ as program
from benchmarks.map import picture, places, work
from benchmarks.map.lines import FILE, Lines, key_of
from benchmarks.map.summary import difference, document

pytestmark = pytest.mark.slow

GRID = work.QUICK._replace(homophilies=(-0.5, 0.0, 0.5), signals=(0.1, 0.4))


def run(folder, *flags: str) -> int:
    return program.main(["--quick", f"--runs={folder}", "--seeds=7:8", *flags])


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The folder of a quick run."""
    folder = tmp_path_factory.mktemp("map") / "new"
    assert run(folder) == 0
    return folder


def test_a_cell_is_measured_whole_and_told(quick):
    lines = [json.loads(line) for line in (quick / FILE).read_text().splitlines()]
    assert [line["rule"] for line in lines] == ["features", "none", "mo"]
    place, none, mo = (line["accuracy"] for line in lines)
    assert place.keys() == none.keys() == {"2", "5"}
    # Branch b is not mixed, so before training it is the same; branch a is.
    assert none["5"]["b"][0] == mo["5"]["b"][0] and none["5"]["a"][0] != mo["5"]["a"][0]
    assert none["2"]["mean"] != none["5"]["mean"]
    told = json.loads((quick / "map.json").read_text())
    (row,) = [
        r for r in told["rows"]
        if (r["rule"], r["labels_per_class"], r["representation"]) == ("mo", 5, "mean")
    ]  # fmt: skip
    assert row["gain"] == {"mean": mo["5"]["mean"][1] - none["5"]["mean"][1], "interval": None}
    assert row["learnt"]["mean"] == mo["5"]["mean"][1] - mo["5"]["mean"][0]
    assert (row["homophily"], row["signal"], row["n"]) == (0.6, 0.2, 1)
    assert told["settings"]["config"]["num_steps"] == 2
    assert (quick / "map.png").read_bytes()[1:4] == b"PNG"


def test_a_killed_run_goes_on_to_the_same_lines(quick, tmp_path, capsys):
    lines = (quick / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(lines[:-40])  # in the middle of the last line
    assert run(tmp_path) == 0
    assert (tmp_path / FILE).read_bytes() == lines
    assert "was cut off; what it told is measured anew" in capsys.readouterr().out
    assert run(tmp_path, "--read") == 0
    assert (tmp_path / "map.json").read_bytes() == (quick / "map.json").read_bytes()


def planted(_plan, item):
    """Values that need no training."""
    if item.rule == work.FEATURES:
        return {"adjusted_homophily": item.homophily, "accuracy": {"2": 0.4, "5": item.signal}}
    trained = 0.5 + 0.01 * (item.seed + 1) * (item.rule == "mo")
    return {"accuracy": {n: {name: [0.4, trained] for name in work.NAMES} for n in ("2", "5")}}


def test_an_interrupt_keeps_what_is_known(tmp_path, monkeypatch, capsys):
    def interrupted(plan, item):
        if item.rule == "mo":
            raise KeyboardInterrupt
        return planted(plan, item)

    monkeypatch.setattr(work, "measured", interrupted)
    assert run(tmp_path) == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("interrupted; what is known is kept")
    assert len((tmp_path / FILE).read_text().splitlines()) == 2
    monkeypatch.setattr(work, "measured", planted)
    assert run(tmp_path) == 0
    assert len((tmp_path / FILE).read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--seeds=5:5"], "must be seeds FIRST:END such as 0:5, found '5:5'"),
        (["--sedes=0:5"], "unrecognized arguments: --sedes=0:5"),
        (["--data_dir=nowhere"], "--data_dir must be a folder, found 'nowhere'"),
        (["--read"], "must have lines of --seeds to draw, found none"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(flags, told, tmp_path, capsys):
    assert run(tmp_path, *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and told in line


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{not JSON}\n", "found another in line 1; take it out, or choose another --runs"),
        (b'{"settings": "other"}\n', "found other in line 1; choose another --runs"),
    ],
)
def test_lines_of_other_runs_are_refused(line, told, quick, tmp_path, capsys):
    (tmp_path / FILE).write_bytes(line + (quick / FILE).read_bytes())
    assert run(tmp_path) == 2
    assert told in capsys.readouterr().err


def test_an_interval_is_student_s_t_of_paired_differences():
    # Differences 1, 2, 3 %: deviation 1 %, two degrees of freedom, t = 4.302653.
    found = difference([0.51, 0.62, 0.73], [0.50, 0.60, 0.70])
    half = 4.302653 * 0.01 / 3**0.5
    assert found["mean"] == pytest.approx(0.02)
    assert found["interval"] == pytest.approx([0.02 - half, 0.02 + half], abs=1e-7)


@pytest.mark.parametrize(
    ("labels", "expected"),
    # A path 0 – 1 – 2 – 3: of six ends two thirds meet their class.
    [([0, 0, 1, 1], (4 / 6 - 1 / 2) / (1 / 2)), ([0, 0, 0, 1], (4 / 6 - 26 / 36) / (10 / 36))],
)
def test_adjusted_homophily_by_hand(labels, expected):
    senders, receivers = np.array([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    found = work.adjusted_homophily(senders, receivers, np.array(labels))
    assert found == pytest.approx(expected)
    # A node without a class, joined to the first, changes nothing.
    found = work.adjusted_homophily(
        np.append(senders, [0, 4]), np.append(receivers, [4, 0]), np.array([*labels, -1])
    )
    assert found == pytest.approx(expected)


def known(seeds: range) -> dict:
    items = work.items_of(GRID, seeds)
    lines = {key_of(item._asdict()): planted(GRID, item) for item in items}
    lines[key_of({"set": "Cora"})] = {
        "adjusted_homophily": 0.25, "accuracy": {"2": 0.5, "5": 0.25}, "num_classes": 2,
        "num_splits": 5,
    }  # fmt: skip
    return lines


def test_every_cell_has_its_number_and_the_sure_ones_are_bold():
    told = document(GRID, known(range(3)), range(3), ["Cora", "DBLP"])
    assert [found["name"] for found in told["sets"]] == ["Cora"]
    assert told["sets"][0]["features_above_chance"] == {"2": 0.0, "5": -0.5}
    (graph, *_) = told["graphs"]
    assert graph["adjusted_homophily"] == -0.5 and graph["n"] == 3
    assert graph["features_above_chance"]["2"] == pytest.approx(0.2)  # four classes
    figure = picture.draw(told)
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert {"mo less none", "none: trained less untrained"} <= panels.keys()
    texts = [text for text in panels["mo less none"].texts if text.get_text() != "C"]
    # Gains of 1, 2, 3 points have an interval that reaches below 0.
    assert [text.get_text() for text in texts] == ["+2.0"] * 6
    assert {text.get_weight() for text in texts} == {"normal"}
    # Cora: homophily 0.25 is halfway between the second and the third column.
    (point,) = panels["mo less none"].lines
    assert point.get_xdata()[0] == pytest.approx(1.5)

    raised = known(range(3))
    for key, line in raised.items():
        if key[0] == "mo":
            line["accuracy"]["2"]["mean"][1] += 0.1
    figure = picture.draw(document(GRID, raised, range(3), []))
    few, many = (axes for axes in figure.axes if axes.get_title() == "mo less none")
    assert {text.get_weight() for text in few.texts} == {"bold"}
    assert {text.get_text() for text in few.texts} == {"+12.0"}
    assert {text.get_weight() for text in many.texts} == {"normal"}


def test_points_that_would_cover_each_other_are_moved_apart():
    moved = picture.apart([(1.0, 2.0), (1.1, 2.1), (4.0, 2.0)])
    assert moved[1][1] - moved[0][1] == pytest.approx(0.34) and moved[2] == (4.0, 2.0)
    assert moved[0][1] + moved[1][1] == pytest.approx(4.1)  # both by as much
    assert [x for x, _ in moved] == [1.0, 1.1, 4.0]


def test_marks_of_data_sets_differ():
    assert picture.marks_of(["Cora", "DBLP", "chameleon"]) == ["Co", "D", "Ch"]
    assert picture.marks_of(["Cora", "Cornell", "CS"]) == ["Cora", "Corn", "Cs"]


def test_a_set_without_files_is_left_out_and_said(tmp_path, capsys):
    lines = Lines(tmp_path, work.QUICK.digest)
    program.place(work.QUICK, lines, str(tmp_path))
    out = capsys.readouterr().out
    for name in places.SETS:
        assert f"left out: {name}: " in out
    assert not lines.known
