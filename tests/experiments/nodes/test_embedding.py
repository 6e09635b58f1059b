"""Embedding in chunks: the values of one batch, in arrays that no graph makes larger."""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

from mmix_jax.experiments import read, run
from mmix_jax.experiments.nodes import embedding as node_embedding
from mmix_jax.experiments.nodes.embedding import Chunks, chunks_of, cut_up, in_chunks
from mmix_jax.experiments.nodes.inputs import settings_of
from mmix_jax.frameworks import mvgrl_nodes as mvgrl
from mmix_jax.graphs.neighbours import NeighbourTable
from mmix_jax.graphs.types import make_graph
from tests.experiments.nodes import small
from tests.frameworks import problem

pytestmark = pytest.mark.slow

D = 8
LABELS = np.arange(problem.N) % 3
RULES = ("none", "mo", "mp", "binary", "neighbour_mean", "propagate", "i_mix")


def config_with(**changes):
    config = small.config(Path("none"))
    config.update({"sampler": "nodes", "batch_size": 4, "width": D} | changes)
    return read(config)


def by_edges(config) -> dict:
    return {"width": config.width, "by_edges": config.mixing.by_edges}


def tables_of(config):
    return mvgrl.make_tables(settings_of(config, problem.N), problem.GRAPH)


def represent_of(config, graph=problem.GRAPH, labels=LABELS):
    """`represent` of a config, and its parameters."""
    settings = settings_of(config, graph.num_nodes)
    params = mvgrl.init_params(settings, graph.x.shape[1], jax.random.key(3))
    tables = mvgrl.make_tables(settings, graph)
    embed = partial(mvgrl.embed, settings)
    represent = node_embedding.make_represent(
        embed, tables, graph, mvgrl.batch_to_embed, labels, **by_edges(config)
    )
    return represent, params


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of as many edges as the largest neighbourhood has."""
    monkeypatch.setattr(node_embedding, "WHOLE_VALUES", 0)
    monkeypatch.setattr(node_embedding, "CHUNK_VALUES", 1)


def check_same(found, wanted):
    assert set(found) == set(wanted)
    for name, z in wanted.items():
        np.testing.assert_allclose(found[name], z, atol=2e-6)


@pytest.mark.parametrize("embed_from", ["g", "z"])
@pytest.mark.parametrize("mixing", RULES)
def test_chunks_give_the_values_of_one_batch(mixing, embed_from, request):
    config = config_with(mixing=mixing, embed_from=embed_from)
    at_once, params = represent_of(config)
    key = jax.random.key(0)
    whole, mixture = at_once(params, key)
    request.getfixturevalue("small_chunks")
    assert in_chunks(tables_of(config), problem.GRAPH, **by_edges(config))
    in_parts, _ = represent_of(config)
    found, parts_mixture = in_parts(params, key)
    check_same(found, whole)
    assert all(isinstance(z, np.ndarray) for z in found.values())
    assert set(parts_mixture.stats) == set(mixture.stats)
    for name, value in mixture.stats.items():
        np.testing.assert_allclose(parts_mixture.stats[name], value, atol=1e-5)


@pytest.mark.parametrize("forced", [False, True], ids=["at_once", "in_chunks"])
def test_some_nodes_in_any_order_by_some_names(forced, request):
    if forced:
        request.getfixturevalue("small_chunks")
    represent, params = represent_of(config_with(mixing="mp"))
    key = jax.random.key(0)
    whole, _ = represent(params, key)
    some = np.array([7, 0, 9, 3])
    found, _ = represent(params, key, some, ("b", "mean"))
    check_same(found, {name: whole[name][some] for name in ("b", "mean")})


def test_no_nodes_still_measure_the_mixing(small_chunks):
    represent, params = represent_of(config_with(mixing="mo"))
    found, mixture = represent(params, jax.random.key(0), np.zeros(0, np.int64))
    assert found == {}
    assert np.isfinite(mixture.stats["agreement"])


def test_chunks_share_one_program(small_chunks):
    config, graph = config_with(mixing="mo"), problem.GRAPH
    settings = settings_of(config, graph.num_nodes)
    params = mvgrl.init_params(settings, graph.x.shape[1], jax.random.key(3))
    traced = []

    def embed(params, tables, batch, key, labels=None):
        traced.append(batch.rows.shape)
        return mvgrl.embed(settings, params, tables, batch, key, labels)

    tables = mvgrl.make_tables(settings, graph)
    represent = node_embedding.make_represent(
        embed, tables, graph, mvgrl.batch_to_embed, None, **by_edges(config)
    )
    for some in (None, np.arange(2), np.array([9, 1, 4, 5, 6])):
        represent(params, jax.random.key(0), some)
    assert len(traced) == 2  # representations, and what is measured of the mixing


def test_a_hub_decides_the_size_of_a_chunk(monkeypatch):
    monkeypatch.setattr(node_embedding, "CHUNK_VALUES", 4 * D)
    star = make_graph(np.eye(30), np.zeros(29, int), np.arange(1, 30))
    table = NeighbourTable(star)
    chunks = chunks_of(table, D)
    assert chunks.num_edges == 29
    for nodes_wanted in (np.arange(30), np.array([5, 0, 7, 9]), np.zeros(0, int)):
        parts = list(cut_up(table, nodes_wanted, chunks))
        np.testing.assert_array_equal(np.concatenate([nodes_wanted[:0], *parts]), nodes_wanted)
        for part in parts:
            found = table.find(part)
            assert 0 < len(part) <= chunks.num_anchors
            assert len(found.edges) <= chunks.num_edges
            assert chunks.num_anchors + len(found.others) <= chunks.num_rows


def test_a_graph_without_edges_is_cut_too():
    table = NeighbourTable(make_graph(np.eye(5), [], []))
    assert chunks_of(table, D) == Chunks(5, 10, node_embedding.CHUNK_VALUES // D)
    assert len(list(cut_up(table, np.arange(5), chunks_of(table, D)))) == 1


@pytest.mark.parametrize(
    "changes", [{"depth": 2}, {"candidates": "all"}], ids=["two_layers", "all_pairs"]
)
def test_what_needs_all_nodes_is_not_cut_up(small_chunks, changes):
    config = config_with(mixing="mo", **changes)
    assert not in_chunks(tables_of(config), problem.GRAPH, **by_edges(config))


def test_a_run_in_chunks_reports_and_embeds_as_one_at_once(tmp_path, request):
    path = small.save(tmp_path / "rings.npz")
    config = small.config(path, sampler="nodes", batch_size=14, num_clusterings=0)
    results = run.train(config, tmp_path / "run", lambda: False)
    z = run.embed(config, tmp_path / "run", None)["z"]
    request.getfixturevalue("small_chunks")
    again = run.train(config, tmp_path / "again", lambda: False)
    assert [row.values for row in again] == [row.values for row in results]
    found = run.embed(config, tmp_path / "run", None)
    np.testing.assert_allclose(found["z"], z, atol=2e-6)
    assert set(found) == {"z", "labels"}
