"""Four devices with a share of the nodes each take the step that one device takes with all."""

import jax
import numpy as np
import pytest

from mmix_jax.frameworks.mvgrl_nodes import MVGRLSettings, make_loss
from mmix_jax.graphs import Diffusion
from mmix_jax.graphs.samplers import NodeSampler
from mmix_jax.training.step import AXIS, init_state, make_optimizer, make_step, replicate
from tests.frameworks import problem
from tests.frameworks.changes import changed

pytestmark = pytest.mark.slow

BASE = MVGRLSettings(widths=(problem.D,), diffusion=Diffusion(alpha=problem.ALPHA))


class InBlocks(MVGRLSettings):
    """Mixing among pairs in blocks of two rows, which only large graphs have."""

    mixing_block_size = 2


FULL = {"sampler": "full"}
NODES = {"sampler": "nodes", "batch_size": 7}
WINDOWS = {"sampler": "window", "batch_size": 6, "num_windows": 4, "diffusion": {"alpha": 0.2}}
# Every rule, either kind of negatives, both forms of the loss and of mixing, and every sampler.
CASES = {
    "none": (FULL, {"mixing": "none"}),
    "mo_wp": (FULL, {"mixing": "mo", "negatives": "cross", "block_size": 2}),
    "mp_wp": (FULL, {"mixing": "mp", "block_size": 2, "exchange": "ring", "feature_mask": 0.4}),
    "mo_op": (FULL, {"mixing": "mo", "candidates": "op", "threshold": 0.4}),
    "mo_all": (FULL, {"mixing": "mo", "candidates": "all"}),
    "mp_op": (NODES, {"mixing": "mp", "candidates": "op", "threshold": 0.0, "negatives": "cross"}),
    "random_all": (NODES, {"mixing": "random", "candidates": "all"}),
    "negatives": (
        NODES,
        {
            "mixing": "mp",
            "candidates": "all",
            "mix_into": "negatives",
            "num_synthetic": 3,
            "num_mixed": 2,
            "num_hardest": 4,
            "skip_hops": 2,
            "debiased": 0.1,
            "hardness": 0.5,
        },
    ),
    "mvgrl": (FULL, {"mixing": "none", "objective": "mvgrl"}),
    "windows": (WINDOWS, {"mixing": "mo"}),
}


def step_on(num_devices: int, settings: MVGRLSettings, sampling: dict):
    """Two steps; returns the state after them, their metrics, and how many programs they are."""
    traces = []
    loss_fn = make_loss(settings, AXIS)

    def counted(*args):
        traces.append(args)
        return loss_fn(*args)

    devices = jax.devices()[:num_devices]
    optimizer = make_optimizer(1e-2, weight_decay=1e-3)
    step = make_step(counted, optimizer, devices=devices)
    sampler = NodeSampler(problem.GRAPH, num_devices=num_devices, seed=1, **sampling)
    tables = problem.propagated()
    if settings.objective == "mvgrl":
        tables = tables._replace(graph=problem.padded().graph)
    devices = jax.devices()[:num_devices]
    state = replicate(init_state(problem.parameters(settings), optimizer), devices)
    tables, metrics = replicate(tables, devices), []
    for number in range(2):
        batch = problem.to_device(sampler.batch(number))
        state, measured = step(state, tables, batch, jax.random.key(0))
        metrics.append({name: float(value) for name, value in measured.items()})
    return state, metrics, len(traces)


@pytest.mark.parametrize("case", CASES)
def test_four_devices_equal_one(x64, case):
    sampling, options = CASES[case]
    base = InBlocks(BASE.widths, diffusion=BASE.diffusion) if case == "mo_all" else BASE
    settings = changed(base, **options)
    one, metrics, _ = step_on(1, settings, sampling)
    four, measured, num_programs = step_on(4, settings, sampling)
    assert int(one.step) == int(four.step) == 2
    for expected, found in zip(metrics, measured, strict=True):
        assert found.keys() == expected.keys() >= {"loss", "gradient_norm"}
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, err_msg=name)
    for expected, found in zip(
        jax.tree.leaves(one.params), jax.tree.leaves(four.params), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
    if sampling is FULL:  # equal shapes: what a step returns needs no second program
        assert num_programs == 1


def test_the_step_follows_the_gradient_of_the_loss(x64):
    """On one device: one Adam step, its size the learning rate, down the slope of the loss."""
    settings = changed(BASE, mixing="mo")
    params, tables = problem.parameters(settings), problem.propagated()
    optimizer = make_optimizer(1e-3)
    step = make_step(make_loss(settings, AXIS), optimizer, devices=jax.devices()[:1])
    batch = problem.to_device(NodeSampler(problem.GRAPH).batch(0))
    state, metrics = step(init_state(params, optimizer), tables, batch, jax.random.key(0))
    np.testing.assert_allclose(metrics["loss"], problem.loss(settings, params), rtol=1e-6)
    whole = problem.everything()
    gradient = jax.grad(
        lambda p: make_loss(settings)(p, {}, (tables, whole), jax.random.key(0))[0]
    )(params)
    norm = np.sqrt(sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(gradient)))
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-6)
    trees = (params, state.params, gradient)
    for before, after, g in zip(*map(jax.tree.leaves, trees), strict=True):
        np.testing.assert_allclose(after - before, -1e-3 * g / (np.abs(g) + 1e-8), atol=1e-9)
