"""The authors' ResNet-18 with its head, and two training steps, from the library's functions.

Parameters and images follow from a hash; the golden file holds what the released PyTorch code
makes of them.
"""

import contextlib
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from mmix_jax.interop.torch_resnet import entry_table, from_state_dict
from mmix_jax.losses import info_nce
from mmix_jax.mixing import mix_pairs
from mmix_jax.training.step import TrainState, init_state, make_optimizer
from tests.encoders.image_problem import forward

pytestmark = pytest.mark.slow

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
ORDER = json.loads((GOLDEN / "resnet18_state_order.json").read_text("utf-8"))
FULL = {"stages": (2, 2, 2, 2), "width": 64}
OPTIMIZER = make_optimizer(1e-3, weight_decay=1e-6)
OUTPUT = {"f64": 1e-10, "f32": 1e-5}


def hashed(count: int, number: int) -> np.ndarray:
    """Uniform numbers in [0, 1), the same in every language."""
    x = (np.arange(count, dtype=np.uint64) + number * 1000003 % 2**32) % 2**32
    for _ in range(2):
        x = ((x ^ (x >> 16)) * 0x45D9F3B) % 2**32
    return (x ^ (x >> 16)) / 2**32


def entry(number: int, shape: list[int], kind: str) -> np.ndarray:
    u = hashed(int(np.prod(shape)), number).reshape(shape)
    if kind == "weight":
        return (2 * u - 1) * np.sqrt(3) * np.sqrt(2 / np.prod(shape[1:])) * 0.7
    low, width = {
        "bn_weight": (0.5, 1.0),
        "bn_bias": (-0.2, 0.4),
        "bn_running_mean": (-0.1, 0.2),
        "bn_running_var": (0.5, 1.0),
        "lin_bias": (-0.1, 0.2),
        "zero": (0.0, 0.0),
    }[kind]
    return low + width * u


def both_views() -> np.ndarray:
    """[x1; x2], NHWC."""
    shape = (4, 3, 32, 32)
    first, second = (1.5 * (2 * hashed(12288, j) - 1).reshape(shape) for j in (9001, 9002))
    return np.concatenate([first, 0.8 * first + 0.4 * second]).transpose(0, 2, 3, 1)


@pytest.fixture(params=["f64", "f32"])
def precision(request):
    """The golden values' precision; jax computes in it."""
    with jax.enable_x64(request.param == "f64"):
        yield request.param


def dtype_of(precision: str) -> type:
    return {"f64": np.float64, "f32": np.float32}[precision]


@functools.cache
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "resnet18_image.npz") as archive:
        return {name: archive[name] for name in archive.files}


def expected(prefix: str) -> dict[str, np.ndarray]:
    arrays = golden().items()
    return {name.removeprefix(prefix): a for name, a in arrays if name.startswith(prefix)}


@functools.cache
def torch_state() -> dict[str, np.ndarray]:
    return {name: entry(j, shape, kind) for j, name, shape, kind in ORDER["entries"]}


def model(precision: str):
    """The authors' model in our layout."""
    state = torch_state().items()
    return from_state_dict({name: a.astype(dtype_of(precision)) for name, a in state})


def assert_close(found, expected, tolerance):
    """Relative to the largest entry."""
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def test_the_hash_gives_the_authors_numbers():
    for number in (1, 5):
        np.testing.assert_array_equal(hashed(8, number), golden()[f"hash_j{number}_first8"])
    sums = [array.sum() for array in torch_state().values()]
    np.testing.assert_allclose(sums, golden()["param_sum_check"], rtol=1e-9, atol=1e-9)
    views = both_views().transpose(0, 3, 1, 2)
    for view, name in ((views[0], "x1_head"), (views[4], "x2_head")):
        np.testing.assert_allclose(view.ravel()[:8], golden()[name], rtol=1e-12)


def run(precision: str, *, train: bool):
    """(features, outputs, batch statistics afterwards) of the first view, and those before."""
    params, batch_stats, _ = model(precision)
    x = jnp.asarray(both_views()[:4], dtype_of(precision))
    forwards = jax.jit(lambda *args: forward(*args, train=train, features=128, options=FULL))
    return *forwards(params, batch_stats, x), batch_stats


def test_in_evaluation(precision):
    wanted, tolerance = expected(f"{precision}_eval_"), OUTPUT[precision]
    feature, out, after, before = run(precision, train=False)
    assert_close(feature, wanted["feature"], tolerance)
    assert_close(out, wanted["out"], tolerance)
    jax.tree.map(np.testing.assert_array_equal, after, before)


def norm_statistics(batch_stats):
    return batch_stats["encoder"]["norm"]["mean"], batch_stats["encoder"]["norm"]["var"]


def test_in_training(precision):
    wanted, tolerance = expected(f"{precision}_train_"), OUTPUT[precision]
    feature, out, after, _ = run(precision, train=True)
    assert_close(feature, wanted["feature"], tolerance)
    assert_close(out, wanted["out"], tolerance)
    mean, variance = norm_statistics(after)
    assert_close(mean, wanted["bn1_running_mean"], tolerance)
    assert_close(variance, wanted["bn1_running_var"], tolerance)
    head = after["head"]["norm"]["var"][:8]
    assert_close(head, wanted["headbn_running_var_first8"], tolerance)


@jax.jit
def training_step(state: TrainState, x, threshold):
    """One step on [x1; x2] as the authors take it: state, loss, gradient."""

    def loss_fn(params):
        _, out, after = forward(
            params, state.batch_stats, x, train=True, views=2, features=128, options=FULL
        )
        out_1, out_2 = jnp.split(out, 2)
        mixture = mix_pairs(
            out_1,
            rule="mo",
            candidates="op",
            threshold=threshold,
            self_weight=None,
            stop_gradient=True,
        )
        return info_nce(mixture.z_mixed, out_2, temperature=0.4, normalise=False), after

    (loss, after), gradient = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    updates, opt_state = OPTIMIZER.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, params, after, opt_state), loss, gradient


def torch_layout(tree, name: str) -> np.ndarray:
    """A parameter, by its torch name, as torch stores it, flat."""
    path = entry_table("authors")[name].path[1:]
    array = np.asarray(traverse_util.flatten_dict(tree)[path])
    order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
    return array.transpose(order).ravel()


@contextlib.contextmanager
def optimised():
    """Double convolutions are slow without; this pays for compiling longer."""
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", True)


# Of losses, gradients, and what a step leaves. In single precision an activation near zero
# passes its gradient in one program and not in the other.
TWO_STEPS = {"f64": (1e-10, 1e-10, 1e-10), "f32": (1e-3, 5e-3, 2e-3)}


# No two outputs reach a cosine of 0.9 here, so that it and 1.0 mix nothing.
@pytest.mark.parametrize("case", ["f64_thr0.3", "f32_thr0.9"])
def test_two_training_steps(case):
    precision, threshold = case[:3], float(case[-3:])
    wanted, (of_loss, of_gradient, of_params) = expected(f"{case}_"), TWO_STEPS[precision]
    double = precision == "f64"
    with jax.enable_x64(double), optimised() if double else contextlib.nullcontext():
        params, batch_stats, _ = model(precision)
        x = jnp.asarray(both_views(), dtype_of(precision))
        before = init_state(jax.tree.map(jnp.asarray, params), OPTIMIZER, batch_stats)
        first, loss, gradient = training_step(before, x, threshold)
        second, second_loss, _ = training_step(first, x, threshold)
    np.testing.assert_allclose([loss, second_loss], wanted["loss_two_steps"], rtol=of_loss)

    norms = [np.linalg.norm(torch_layout(gradient, name)) for name in ORDER["params"]]
    np.testing.assert_allclose(norms, wanted["step1_grad_l2_per_param"], rtol=of_gradient)
    conv = torch_layout(gradient, "f.0.weight")[:27]
    assert_close(conv, wanted["step1_grad_conv1_first27"], of_gradient)
    assert_close(torch_layout(gradient, "g.3.bias"), wanted["step1_grad_lastbias"], of_gradient)

    # Named "after1", these were recorded as views of torch's memory: they hold the second step's.
    conv = torch_layout(second.params, "f.0.weight")[:27]
    assert_close(conv, wanted["after1_conv1_first27"], of_params)
    mean, variance = norm_statistics(second.batch_stats)
    assert_close(mean, wanted["after1_bn1_running_mean"], of_params)
    assert_close(variance, wanted["after1_bn1_running_var"], of_params)
