"""Runs of a plan: their names, commands, records, and what is refused."""

import dataclasses
import json

import pytest

from mmix_jax.errors import InputError
from mmix_jax.experiments import flat, records
from mmix_jax.plans.runs import Found, Setting, check, found, missing, write_record
from mmix_jax.results import write_results
from tests.example_results import result

MO = Setting("digits_graph", "mo", (("mixing_temperature", "0.3"),))
SEEDS = range(2)


def run_in(folder, setting=MO, seeds=SEEDS, **changes):
    """A workdir as a finished run leaves it, with settings changed."""
    config = setting.asked(seeds)
    workdir = folder / setting.name
    records.record(dataclasses.replace(config, **changes), workdir)
    results = [
        result((0.5, 0.6, 0.7)[: len(seeds)], seeds, trained=trained, steps=100 * trained)
        for trained in (True, False)
    ]
    write_results(workdir / "results.jsonl", results)
    return results


def test_a_run_is_named_by_what_differs():
    assert MO.name == "digits_graph-mo,mixing_temperature=0.3"
    assert Setting("configs/cora.py").name == "cora"
    path = Setting("cora", "", (("data_path", "a/b,c=d"),))
    assert path.name == "cora,data_path=a%2Fb%2Cc%3Dd"


def test_its_command_is_the_program_s(tmp_path):
    command = MO.command(range(3, 5), tmp_path)
    assert command == (
        "python -m mmix_jax.main --config=digits_graph:mo --config.mixing_temperature=0.3 "
        f"--config.seed=3 --config.num_seeds=2 --workdir={tmp_path}/{MO.name}"
    )
    config = MO.asked(range(3, 5))
    assert (config.seed, config.num_seeds, config.mixing.temperature) == (3, 2, 0.3)
    with pytest.raises(InputError, match="cannot be read"):
        Setting("digits_graph", "", (("width", "wide"),)).asked(SEEDS)


def test_what_is_there_is_found(tmp_path):
    assert found(MO, tmp_path) is None
    assert missing(MO, SEEDS, tmp_path) == 2
    results = run_in(tmp_path)
    there = found(MO, tmp_path)
    assert there.results == results
    assert (there.seeds, there.seconds) == (SEEDS, 12.5)
    assert [missing(MO, range(n), tmp_path) for n in (1, 2, 5)] == [0, 0, 3]


def test_a_record_holds_what_the_run_does(tmp_path):
    results = run_in(tmp_path)
    there = found(MO, tmp_path)
    path = write_record(MO, there, tmp_path / "records")
    again = found(MO, tmp_path / "records")
    assert path.name == f"{MO.name}.jsonl"
    assert again.results == results
    assert again.seeds == there.seeds
    check(MO, SEEDS, tmp_path / "records")
    usual = json.loads(json.dumps(flat.defaults(type(MO.asked(SEEDS)))))
    assert usual | dict(again.settings) == dict(there.settings)


@pytest.mark.parametrize("kind", ["workdir", "record"])
def test_other_settings_are_refused_by_name(tmp_path, kind):
    run_in(tmp_path, width=32)
    if kind == "record":
        there = found(MO, tmp_path)
        (tmp_path / MO.name / "config.json").unlink()
        write_record(MO, there, tmp_path)
    with pytest.raises(InputError, match=r"width \(32 there, 256 asked\).*choose another --runs"):
        check(MO, SEEDS, tmp_path)


def test_seeds_may_be_more_or_fewer(tmp_path):
    run_in(tmp_path)
    for n in (1, 2, 9):
        check(MO, range(n), tmp_path)
    with pytest.raises(InputError, match="seed"):
        check(MO, range(1, 3), tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "not json", '{"settings": {}}', '{"settings": {}, "versions": {}, "device": ""}\nx'],
)
def test_a_damaged_record_is_told(tmp_path, text):
    (tmp_path / f"{MO.name}.jsonl").write_text(text)
    with pytest.raises(InputError, match=r"found .*damaged"):
        found(MO, tmp_path)


def test_a_wrong_result_in_a_record_is_told_by_its_line(tmp_path):
    run_in(tmp_path)
    path = write_record(MO, found(MO, tmp_path), tmp_path / "records")
    first, second, third = path.read_text().splitlines()
    path.write_text("\n".join([first, second, third.replace('"n": 2', '"n": "two"')]))
    with pytest.raises(InputError, match=f"{path.name}, line 3: n must be a whole number"):
        found(MO, tmp_path / "records")


def test_a_run_without_trainings_has_no_seeds():
    assert Found({}, []).seeds == range(0)
    assert Found({}, []).seconds == 0.0
