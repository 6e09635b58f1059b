"""Four devices with two images each take the step that one device takes with all eight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.frameworks.simclr import ImageSettings, ImageTables, make_loss
from mmix_jax.training.step import (
    AXIS,
    Optimization,
    init_state,
    make_optimizer,
    make_step,
    replicate,
)
from tests.frameworks import image_problem as problem
from tests.frameworks.changes import changed

pytestmark = pytest.mark.slow

# Of the linear encoder on fixed views.
CASES = {
    "none": {"mixing": "none"},
    "mo_op": {"mixing": "mo", "stop_gradient": False},
    "mp_op": {"mixing": "mp", "threshold": 0.0, "negatives": "cross"},
    "random": {"mixing": "random", "candidates": "all", "symmetric": True},
    "authors": {"mixing": "mo", "self_weight": None, "renormalise": False, "block_size": 3},
}
# Ratios whose denominators are not the same on every device.
RATIOS = {"mixing/rank_correlation", "mixing/agreement"}


def step_on(num_devices: int, settings: ImageSettings, variables, tables, rows=problem.ROWS):
    """The state after one step of plain descent, and its metrics."""
    devices = jax.devices()[:num_devices]
    optimizer = make_optimizer(Optimization(0.1, 1e-3, "sgd"))
    step = make_step(make_loss(settings, AXIS), optimizer, devices=devices)
    state = init_state(variables["params"], optimizer, variables["batch_stats"])
    state, tables = replicate((state, tables), devices)
    state, metrics = step(state, tables, rows.reshape(num_devices, -1), jax.random.key(0))
    return state, {name: float(value) for name, value in metrics.items()}


def assert_equal_steps(four, one) -> None:
    """Parameters after the step are its gradients; with running statistics and metrics."""
    assert jax.tree.structure(four[0]) == jax.tree.structure(one[0])
    for found, expected in zip(jax.tree.leaves(four[0]), jax.tree.leaves(one[0]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert four[1].keys() == one[1].keys() >= RATIOS | {"loss", "gradient_norm", "contrast"}
    for name in one[1].keys() - RATIOS:
        np.testing.assert_allclose(four[1][name], one[1][name], rtol=1e-5, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_four_devices_equal_one(x64, monkeypatch, case):
    problem.use_linear(monkeypatch)
    settings = changed(problem.BASE, **CASES[case])
    variables = {"params": problem.linear_parameters(), "batch_stats": {}}
    one, four = (step_on(num, settings, variables, problem.TABLES) for num in (1, 4))
    assert_equal_steps(four, one)


def test_four_devices_equal_one_with_encoder_and_augmentation(x64):
    """Colours are left out, which take long to compile."""
    settings = changed(
        problem.BASE,
        augmentation=problem.PLAIN._replace(crop_scale=(0.3, 1.0), flip=0.5),
        mixing="mp",
        threshold=0.0,
        symmetric=True,
        stop_gradient=False,
    )
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (problem.NUM, *problem.SHAPE)).astype(np.uint8)
    tables = ImageTables(jnp.asarray(images), jnp.asarray(problem.LABELS))
    variables = problem.variables(settings)
    one, four = (step_on(num, settings, variables, tables) for num in (1, 4))
    assert_equal_steps(four, one)
    assert 0 < one[1]["mixing/partners"] <= 7
    assert not np.allclose(one[0].batch_stats["head"]["norm"]["mean"], 0.0)
