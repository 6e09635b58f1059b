"""Every plan of the catalog: its runs are configs, its rows compare with rows that are there."""

import pytest

from mmix_jax.errors import InputError
from mmix_jax.plans.catalog import SEEDS, TABLES, check_only, datasets_of, table_of
from mmix_jax.plans.figures import figure_plans


@pytest.fixture(scope="module")
def tables():
    return {name: table_of(name) for name in TABLES}


def test_every_run_is_a_config(tables):
    settings = {s for table in tables.values() for s in table.settings}
    settings |= {s for plan in figure_plans(None).values() for s in plan.settings}
    names = {setting.name for setting in settings}
    assert len(names) == len(settings) > 100
    for setting in settings:
        assert setting.asked(range(3)).num_seeds == 3


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_compared_with_rows_of_their_own(tables, name):
    trained = {(line.group, line.row) for line in tables[name].lines if line.trained}
    rows = [(line.group, line.row, line.trained) for line in tables[name].lines]
    assert len(set(rows)) == len(rows)
    for line in tables[name].lines:
        assert not line.against or (line.group, line.against) in trained


@pytest.mark.parametrize("name", [n for n in TABLES if n not in ("table6", "table9")])
def test_every_data_set_has_a_random_initialised_row(tables, name):
    groups = {line.group for line in tables[name].lines}
    untrained = [line.group for line in tables[name].lines if not line.trained]
    assert sorted(untrained, key=str) == sorted(groups, key=str)


def test_seeds_are_the_data_set_s_or_what_is_asked(tables):
    for line in tables["table4"].lines:
        assert line.seeds == SEEDS[line.dataset]
    assert {line.seeds for line in table_of("table4", seeds=2).lines} == {2}


def rows_of(table, dataset, trained=True):
    return {
        line.row: line
        for line in table.lines
        if line.dataset == dataset and line.trained == trained
    }


def test_rows_are_the_runs_that_their_names_say(tables):
    """By what a run's config holds, apart from the names of variants."""

    def mixing(line):
        config = line.setting.asked(range(1))
        m = config.mixing
        return m.rule, m.candidates, config.contrast.diversity_weight, config.objective

    nodes = {row: mixing(line) for row, line in rows_of(tables["table2"], "cora").items()}
    assert nodes == {
        "mvgrl": ("none", "wp", 1.0, "mvgrl"),
        "none": ("none", "wp", 1.0, "node"),
        "i_mix": ("i_mix", "wp", 1.0, "node"),
        "mo": ("mo", "wp", 1.0, "node"),
        "mp_nodiv": ("mp", "wp", 0.0, "node"),
        "mp": ("mp", "wp", 1.0, "node"),
    }
    kinds = {row: mixing(line)[:2] for row, line in rows_of(tables["table7"], "pubmed").items()}
    assert kinds == {
        "none": ("none", "wp"),
        "binary": ("binary", "all"),
        "random": ("random", "wp"),
        "neighbour_mean": ("neighbour_mean", "wp"),
        "propagate": ("propagate", "wp"),
        "mo_op": ("mo", "op"),
        "mp": ("mp", "wp"),
    }
    levels = {row: mixing(line)[3] for row, line in rows_of(tables["table4"], "mutag").items()}
    assert levels == {
        **dict.fromkeys(("none", "random", "mo", "mp_nodiv", "mp"), "both"),
        **{"mvgrl": "mvgrl", "node_only": "node", "graph_only": "graph"},
    }
    assert list(rows_of(tables["table3"], "dblp")) == [
        *("none", "gat", "i_mix", "mo", "mp_nodiv", "mp")
    ]
    images = {row: mixing(line)[:2] for row, line in rows_of(tables["table8"], "cifar10").items()}
    assert images == {"none": ("none", "op"), "binary": ("binary", "all"), "mo_op": ("mo", "op")}


def test_what_stands_beside_the_runs(tables):
    methods = {line.measure.method for line in tables["table10"].lines} - {""}
    assert methods == {"histogram kernel", "weisfeiler-lehman kernel", "supervised"}
    (baselines,) = {line.setting for line in tables["table10"].lines if line.measure.method}
    assert baselines.asked(range(1)).baselines
    assert {line.against for line in tables["table5"].lines} == {"", "mvgrl"}
    (ppi,) = {line.measure.metric for line in tables["table3"].lines if line.dataset == "ppi"}
    assert ppi == "micro_f1"
    for line in tables["further_graphs"].lines:
        config = line.setting.asked(range(1))
        assert (config.dataset, config.features) == (line.dataset.upper(), "auto")


def test_only_some_data_sets():
    assert datasets_of("table5") == ["cora", "citeseer", "pubmed"]
    assert {line.dataset for line in table_of("table5", only=["cora"]).lines} == {"cora"}
    grace = table_of("further_nodes", only=["cora"])
    assert {line.dataset for line in grace.lines} == {"cora, GRACE"}
    with pytest.raises(InputError, match="unknown --only 'core'"):
        check_only(["table5"], ["core"])
