"""The record of a config in its workdir."""

import json

import pytest

from mmix_jax.errors import InputError
from mmix_jax.experiments import flat, records
from mmix_jax.experiments.configs import TASKS
from mmix_jax.experiments.schema import Run


def config_with(**changes) -> Run:
    of = TASKS["node"]
    return flat.view(of, flat.defaults(of) | {"dataset": "digits_graph"} | changes)


def image_config_with(**changes) -> Run:
    of = TASKS["image"]
    return flat.view(of, flat.defaults(of) | {"dataset": "digits"} | changes)


def recorded(config, workdir):
    """A workdir as a run with a checkpoint leaves it."""
    records.record(config, workdir)
    (workdir / "checkpoints").mkdir(exist_ok=True)


def test_a_fresh_workdir_gets_the_full_config(tmp_path):
    config = config_with(width=32)
    records.check_record(config, tmp_path / "a" / "run", mode="train")
    assert not (tmp_path / "a").exists()
    records.record(config, tmp_path / "a" / "run")
    recorded = json.loads((tmp_path / "a" / "run" / "config.json").read_text())
    assert recorded == flat.flat(config)
    assert [path.name for path in (tmp_path / "a" / "run").iterdir()] == ["config.json"]


@pytest.mark.parametrize("mode", ["train", "eval", "embed"])
def test_other_settings_are_told_by_name(tmp_path, mode):
    recorded(config_with(), tmp_path)
    other = config_with(width=32, mixing="mo", learning_rate=0.5)
    with pytest.raises(InputError) as caught:
        records.check_record(other, tmp_path, mode=mode)
    told = str(caught.value)
    for words in ("width (256 there, 32 asked)", "mixing ('mp' there, 'mo' asked)", str(tmp_path)):
        assert words in told
    assert "learning_rate" in told
    assert "seed" not in told
    assert "\n" not in told
    assert json.loads((tmp_path / "config.json").read_text())["width"] == 256


def test_records_older_than_a_field_mean_its_default(tmp_path):
    recorded(config_with(), tmp_path)
    path = tmp_path / "config.json"
    older = json.loads(path.read_text())
    del older["drop_edge_a"], older["num_heads"]
    path.write_text(json.dumps(older))
    records.check_record(config_with(), tmp_path, mode="train")
    with pytest.raises(InputError, match="num_heads \\(4 there, 2 asked\\)"):
        records.check_record(config_with(num_heads=2), tmp_path, mode="train")


def test_without_a_checkpoint_a_workdir_is_free(tmp_path):
    records.record(config_with(), tmp_path)
    records.check_record(config_with(width=32), tmp_path, mode="train")


def test_steps_may_grow_and_not_shrink(tmp_path):
    recorded(config_with(num_steps=10), tmp_path)
    records.check_record(config_with(num_steps=20), tmp_path, mode="train")
    recorded(config_with(num_steps=20), tmp_path)
    with pytest.raises(InputError, match="found 20 there and 10 asked"):
        records.check_record(config_with(num_steps=10), tmp_path, mode="train")
    records.check_record(config_with(num_steps=10), tmp_path, mode="eval")


def test_seeds_may_be_added_and_not_taken_away(tmp_path):
    recorded(config_with(num_seeds=2), tmp_path)
    records.check_record(config_with(num_seeds=5), tmp_path, mode="train")
    told = r"num_seeds may only grow .* found 2 there and 1 asked; choose another --workdir$"
    with pytest.raises(InputError, match=told):
        records.check_record(config_with(num_seeds=1), tmp_path, mode="train")


@pytest.mark.parametrize(("there", "asked"), [(10, 20), (10, 0), (0, 0)])
def test_epochs_may_grow_and_not_shrink(tmp_path, there, asked):
    """None given is no limit."""
    recorded(image_config_with(num_epochs=there), tmp_path)
    records.check_record(image_config_with(num_epochs=asked), tmp_path, mode="train")
    if there == asked:
        return
    recorded(image_config_with(num_epochs=asked), tmp_path)
    with pytest.raises(InputError, match=f"found {asked or 'no limit'} there and 10 asked"):
        records.check_record(image_config_with(num_epochs=there), tmp_path, mode="train")
    cosine = {"schedule": "cosine"}
    recorded(image_config_with(num_epochs=there, **cosine), tmp_path)
    with pytest.raises(InputError, match="num_epochs"):
        records.check_record(image_config_with(num_epochs=asked, **cosine), tmp_path, mode="train")


def test_the_data_may_lie_elsewhere_when_it_goes_on(tmp_path):
    recorded(config_with(), tmp_path)
    records.check_record(config_with(data_dir="/elsewhere"), tmp_path, mode="train")


def test_a_checkpoint_may_be_evaluated_otherwise_than_its_run_was(tmp_path):
    recorded(config_with(), tmp_path)
    other = config_with(num_classifiers=3, protocol="reference", num_clusterings=0)
    records.check_record(other, tmp_path, mode="eval")
    with pytest.raises(InputError, match="num_classifiers"):
        records.check_record(other, tmp_path, mode="train")


def test_a_workdir_below_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the workdir must be writable") as caught:
        records.record(config_with(), tmp_path / "file" / "run")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[1]", '"text"', "{}", '{"num_steps": "many"}'])
def test_a_damaged_record_is_told(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match=r"config\.json|belongs to one set of settings"):
        records.check_record(config_with(), tmp_path, mode="train")
    assert (tmp_path / "config.json").read_text() == content


def test_steps_of_a_cosine_schedule_stay(tmp_path):
    recorded(image_config_with(num_steps=10, schedule="cosine"), tmp_path)
    longer = image_config_with(num_steps=20, schedule="cosine")
    with pytest.raises(InputError, match=r"num_steps \(10 there, 20 asked\)"):
        records.check_record(longer, tmp_path, mode="train")
    records.check_record(longer, tmp_path, mode="eval")
