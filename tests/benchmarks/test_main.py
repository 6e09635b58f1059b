"""The benchmark suite through its command line, on tiny sizes."""

import json

import jax
import pytest

from benchmarks import __main__ as program

pytestmark = pytest.mark.slow


def test_results_hold_rows_and_what_they_ran_on(written):
    document = json.loads(written.read_text())
    assert document["quick"] is True
    assert document["date"].startswith("20")
    assert document["hardware"]["platform"] == "cpu"
    assert document["hardware"]["threads"] >= 1
    assert document["versions"]["jax"] == jax.__version__
    assert document["options"]["repeats"] == 1
    assert list(document["parts"]) == ["roofline", "diffusion"]
    for part in document["parts"].values():
        assert part["seconds"] > 0
        for row in part["rows"]:
            assert row["seconds"] > 0
            assert row["n"] == 1
    roofline = document["parts"]["roofline"]["rows"]
    assert document["options"]["peaks"] == program.peaks_of(roofline)
    peak = document["options"]["peaks"]["bytes"]
    for row in document["parts"]["diffusion"]["rows"]:
        share = row["bytes"] / row["seconds"] / peak
        assert row["share_of_bandwidth"] == pytest.approx(share)
    assert [path.name for path in written.parent.iterdir()] == [written.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_part"], "unknown part 'no_such_part'; expected one of: roofline, info_nce"),
        (["--rows", "0"], "must be a positive number, found '0'"),
        (["--rows", "many"], "must be a positive number, found 'many'"),
        (["--limit_gb=nan"], "must be a positive number, found 'nan'"),
        (["--data_dir=no_such_folder"], "--data_dir must be a folder"),
        (["--out=benchmarks"], "--out must be a file that can be written"),
        (["--out=README.md/results.json"], "--out must be a file that can be written"),
        (["--no_such_flag"], "unrecognized arguments"),
        (["frontier", "--datasets", "dblp"], "invalid choice: 'dblp'"),
        (["frontier", "--seeds=0"], "must be a positive number, found '0'"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert out == ""


def test_help_names_every_part(capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for name in [*program.PARTS, *program.ON_REQUEST]:
        assert f"\n  {name} " in shown


@pytest.mark.parametrize(
    ("named", "expected"), [([], list(program.PARTS)), (["frontier"], ["roofline", "frontier"])]
)
def test_whole_trainings_run_only_where_they_are_named(named, expected, monkeypatch, capsys):
    taken: list[str] = []

    def run_part(function, name, options, environment):
        taken.append(name)
        rows = [{"what": "copy", "bytes": 1.0, "seconds": 1.0}]
        return {"rows": rows, "machine": program.timing.machine()}

    monkeypatch.setattr(program.timing, "apart", run_part)
    document = program.run(program.parse([*named, "--quick"]))
    assert taken == expected
    assert list(document["parts"]) == expected
    assert document["options"]["datasets"] == ("cora",)
    assert "frontier: accuracy over seconds" in capsys.readouterr().out or not named


def test_a_part_that_fails_leaves_no_file(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(program, "PARTS", program.PARTS | {"no_such_module": "nothing"})
    with pytest.raises(SystemExit) as ended:
        program.main(
            ["no_such_module", "--quick", "--repeats=1", f"--out={tmp_path / 'results.json'}"]
        )
    assert ended.value.code == 1
    assert list(tmp_path.iterdir()) == []
    assert "no_such_module" in capfd.readouterr().err
