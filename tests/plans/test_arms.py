"""Sweeps over arms that are no product, from made records; and records that sweeps write."""

import re

import pytest

from mmix_jax import sweep as program
from mmix_jax.errors import InputError
from mmix_jax.plans import sweeping, work
from mmix_jax.plans.runs import Found, write_record
from mmix_jax.plans.sweeping import Sweep, arms_of, table_of
from tests.example_results import result

ARMS = ("variant=none", "variant=mo,width=8", "variant=none,sizes=(1,2),width=8")


def asked(folder, **changes):
    values = {"given": "cora", "changes": (), "vary": (), "baseline": "", "seeds": range(3)}
    return Sweep(**(values | {"folder": folder, "arms": ARMS[:2]} | changes))


def test_commas_part_fields_and_stay_in_values():
    assert arms_of(ARMS)[2] == (("variant", "none"), ("sizes", "(1,2)"), ("width", "8"))
    assert arms_of(["variant=none, width=8"])[0] == (("variant", "none"), ("width", "8"))


def test_arms_are_rows_against_one_of_them(tmp_path):
    first, second = table_of(asked(tmp_path)).lines
    assert (first.row, first.against) == ("none", "")
    assert (second.row, second.against) == ("mo, width=8", "none")
    first, second = table_of(asked(tmp_path, baseline=ARMS[1])).lines
    assert (first.against, second.against) == ("mo, width=8", "")
    assert "other things equal" not in table_of(asked(tmp_path)).caption
    names = {table_of(asked(tmp_path, baseline=b)).name for b in ("", *ARMS[:2])}
    assert len(names) == 2  # the first is what an empty one means


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--arm=variant=none"], "found one; add another"),
        (["--arm=variant=none", "--arm=variant"], "--arm must be KEY=V,KEY=V"),
        (["--arm=variant=none", "--arm="], "--arm must be KEY=V,KEY=V"),
        (["--arm=width=8,width=9", "--arm=variant=none"], "an arm sets a field once"),
        (["--arm=variant=none", "--arm=variant=none"], "must be different runs"),
        (["--arm=variant=none", "--arm=variant=mo", "--vary=width=8,9"], "--vary or --arm"),
        (["--arm=variant=none", "--arm=variant=mo", "--baseline=variant=mp"], "one of the arms"),
        (["--arm=variant=none", "--arm=variant=mo,seed=3"], "set by --seeds, found seed"),
        (["--arm=variant=none", "--arm=hardness=1000"], r"\(1 \+ hardness\) must be at least"),
        (["--arm=width=8", "--arm=width=9", "--config.width=7"], "in --vary or --arm"),
    ],
)
def test_bad_arms_are_one_line(tmp_path, capsys, arguments, told):
    assert program.main(["sweep", "--config=cora", f"--runs={tmp_path}/runs", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().split("\n")
    assert line.startswith("error: ") and re.search(told, line), line


def test_records_are_collected_and_read_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(work, "check", lambda *args: None)  # the records tell no settings
    runs, kept = tmp_path / "runs", tmp_path / "kept"
    for place, line in enumerate(table_of(asked(runs)).lines):
        made = result([0.8 + place / 100] * 3, seeds=range(3), beyond="debiased=0.1")
        write_record(line.setting, Found({"seed": 0, "num_seeds": 3}, [made]), runs)
    sweeping.sweep(asked(runs, read=True, collect=kept), lambda: False)
    shown = capsys.readouterr().out
    assert "+1.00" in shown and "wrote records of 2 runs" in shown
    sweeping.sweep(asked(kept, read=True), lambda: False)
    assert "+1.00" in capsys.readouterr().out
    records = sorted(path.name for path in runs.glob("*.jsonl"))
    assert records == sorted(path.name for path in kept.glob("*.jsonl"))
    for name in records:
        assert (runs / name).read_text() == (kept / name).read_text()
        assert '"beyond": "debiased=0.1"' in (kept / name).read_text()


def test_where_records_cannot_go_nothing_is_run(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sweeping, "carried_out", lambda *args, **kwargs: pytest.fail("it ran"))
    with pytest.raises(InputError, match="--collect must be a folder"):
        sweeping.sweep(asked(tmp_path / "runs", collect=tmp_path / "file"), lambda: False)


def test_nothing_is_made_by_a_dry_run(tmp_path, capsys):
    sweeping.sweep(asked(tmp_path / "runs", dry=True, collect=tmp_path / "kept"), lambda: False)
    assert "2 of 2 runs" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
