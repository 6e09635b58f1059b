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


@pytest.mark.parametrize("name", set(TABLES) - {"table6", "table9"})
def test_every_data_set_has_a_random_initialised_row(tables, name):
    groups = {line.group for line in tables[name].lines}
    untrained = [line.group for line in tables[name].lines if not line.trained]
    assert sorted(untrained, key=str) == sorted(groups, key=str)


def test_seeds_are_the_data_set_s_or_what_is_asked(tables):
    for line in tables["table4"].lines:
        assert line.seeds == SEEDS[line.dataset]
    assert {line.seeds for line in table_of("table4", seeds=2).lines} == {2}


def test_only_some_data_sets():
    assert datasets_of("table5") == ["cora", "citeseer", "pubmed"]
    assert {line.dataset for line in table_of("table5", only=["cora"]).lines} == {"cora"}
    grace = table_of("further_nodes", only=["cora"])
    assert {line.dataset for line in grace.lines} == {"cora, GRACE"}
    with pytest.raises(InputError, match="unknown --only 'core'"):
        check_only(["table5"], ["core"])
