"""What `--help` says: the configs, variants and settings that there are, or a config's own."""

import pytest

from mmix_jax import config_files
from mmix_jax.config_files import load_config, shipped
from mmix_jax.experiments import listing
from mmix_jax.experiments.configs import TASK_VARIANTS, TASKS, finish, node_config
from mmix_jax.experiments.flat import entries
from mmix_jax.experiments.listing import help_text
from mmix_jax.experiments.variants import WORDS, UnknownVariant

ALL = help_text().splitlines()


def test_every_config_is_listed_with_its_docstrings_first_line():
    for name, path in shipped().items():
        docstring = path.read_text("utf-8").split('"""')[1]
        assert f"  {name}: {docstring.splitlines()[0]}" in ALL
    assert len(shipped()) >= 20


def test_a_file_that_cannot_be_read_hides_no_other(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("def (:\n")
    (tmp_path / "silent.py").write_text("x = 1\n")
    paths = {name: tmp_path / f"{name}.py" for name in ("broken", "gone", "silent")}
    monkeypatch.setattr(listing, "shipped", lambda: paths | config_files.shipped())
    lines = help_text().splitlines()
    assert "  broken: (cannot be read: SyntaxError)" in lines
    assert "  gone: (cannot be read: FileNotFoundError)" in lines
    assert "  silent: " in lines
    assert any(line.startswith("  cora: Cora") for line in lines)


def test_every_variant_of_a_task_is_described_and_says_who_has_it():
    names = {name for variants in TASK_VARIANTS.values() for name in variants}
    assert names == set(WORDS)
    assert TASK_VARIANTS.keys() == TASKS.keys()
    assert "  none (all): no mixing" in ALL
    assert any(line.startswith("  i_mix (node, image): ") for line in ALL)
    assert any(line.startswith("  small (image): ") for line in ALL)


def test_every_setting_is_listed_with_its_default():
    assert any(line.startswith("    probe_copies (0): ") for line in ALL)
    assert any(line.startswith("    width (node: 256; graph, edit_distance: 512; ") for line in ALL)
    for of in TASKS.values():
        for name in entries(of):
            assert sum(line.startswith(f"    {name} (") for line in ALL) == 1, name


@pytest.mark.parametrize("name", ["cora", "mutag", "coil_del", "digits"])
def test_a_config_has_its_own_variants_and_no_settings_of_others(name):
    path = shipped()[name]
    config = load_config(path, "")
    lines = help_text(config, path).splitlines()
    variants = [
        line.split(":")[0].strip() for line in lines if line.endswith("]") and line[2] != " "
    ]
    assert variants == list(TASK_VARIANTS[config.task])
    settings = {line.split("=")[0].strip() for line in lines if line.startswith("    ")}
    assert settings == set(entries(TASKS[config.task]))


def test_variants_show_what_they_change_in_this_config():
    path = shipped()["dblp"]
    lines = help_text(load_config(path, ""), path).splitlines()
    (grace,) = (line for line in lines if line.startswith("  grace: "))
    assert grace.endswith(" [as it is]")  # the config is GRACE-style itself
    (paper,) = (line for line in lines if line.startswith("  paper: "))
    assert paper.endswith(" [mixing=mp, sampler=full, learning_rate=0.001, num_steps=1000]")


def test_a_config_of_ones_own_has_its_values_and_variants(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from mmix_jax.experiments import finish, node_config\n"
        "def get_config(variant=''):\n"
        "    config = node_config('graph_file')\n"
        "    config.width = 33\n"
        "    return finish(config, variant, {'wide': {'width': 99}})\n"
    )
    lines = help_text(load_config(path, "wide"), path).splitlines()
    assert "  wide: of this config [width=99]" in lines
    assert any(line.startswith("    width=99: Output dimension D") for line in lines)


@pytest.mark.parametrize("parameters", ["", "variant=''"])
def test_a_config_without_variants_lists_none(tmp_path, parameters):
    path = tmp_path / "mine.py"
    path.write_text(
        "from mmix_jax.experiments import node_config\n"
        f"def get_config({parameters}):\n"
        "    return node_config('graph_file')\n"
    )
    text = help_text(load_config(path, ""), path)
    assert "variants" not in text and "    width=256: " in text


def test_a_field_that_a_config_lacks_is_shown_as_missing():
    config = node_config("cora")
    del config.width
    assert "    width=(missing): " in help_text(config)


def test_an_unknown_variant_tells_those_there_are():
    with pytest.raises(UnknownVariant, match="unknown variant 'x'; expected one of: none") as told:
        finish(node_config("cora"), "none+x", {"none": {"mixing": "none"}})
    assert told.value.variants == {"none": {"mixing": "none"}}
