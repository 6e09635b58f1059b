"""Batch normalisation against loops; views are separate forwards, four devices are one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.encoders.batch_norm import BatchNorm

X = np.random.default_rng(0).normal(size=(8, 2, 3, 5)) * [1, 2, 0.1, 5, 1] + [0, 3, -7, 0, 1]
VARIABLES = {
    "params": {"scale": np.linspace(0.5, 1.5, 5), "bias": np.linspace(-1.0, 1.0, 5)},
    "batch_stats": {"mean": np.linspace(-0.3, 0.3, 5), "var": np.linspace(0.5, 2.0, 5)},
}


def apply(x, variables=VARIABLES, *, train=True, **options):
    y, changed = BatchNorm(**options).apply(
        jax.tree.map(jnp.asarray, variables), jnp.asarray(x), train=train, mutable=["batch_stats"]
    )
    return y, changed["batch_stats"]


def expected(x, variables=VARIABLES):
    """torch's definition, channel by channel: output, running mean, running variance."""
    y, means, variances = np.empty(x.shape), [], []
    for channel in range(x.shape[-1]):
        values = x[..., channel].ravel()
        mean = sum(values) / len(values)
        square = sum((value - mean) ** 2 for value in values)
        scale, bias = (variables["params"][name][channel] for name in ("scale", "bias"))
        deviation = np.sqrt(square / len(values) + 1e-5)
        y[..., channel] = (x[..., channel] - mean) / deviation * scale + bias
        before = variables["batch_stats"]
        means.append(0.9 * before["mean"][channel] + 0.1 * mean)
        variances.append(0.9 * before["var"][channel] + 0.1 * square / (len(values) - 1))
    return y, {"mean": np.array(means), "var": np.array(variances)}


def assert_same(found, wanted, **tolerance):
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, **tolerance)


@pytest.mark.parametrize("x", [X, X[:, 0, 0]], ids=["images", "vectors"])
def test_training_against_loops(x64, x):
    assert_same(apply(x), expected(x), rtol=1e-12)


def test_evaluation_uses_the_running_statistics(x64):
    y, after = apply(X, train=False, views=3)  # of no effect here, though 3 does not divide 8
    stats, params = VARIABLES["batch_stats"], VARIABLES["params"]
    wanted = (X - stats["mean"]) / np.sqrt(stats["var"] + 1e-5) * params["scale"] + params["bias"]
    np.testing.assert_allclose(y, wanted, rtol=1e-12)
    assert_same(after, stats)


def test_views_are_forwards_one_after_the_other(x64):
    y, after = apply(X, views=2)
    first, between = expected(X[:4])
    second, last = expected(X[4:], {**VARIABLES, "batch_stats": between})
    np.testing.assert_allclose(y, np.concatenate([first, second]), rtol=1e-12)
    assert_same(after, last, rtol=1e-12)
    assert not np.allclose(y, apply(X)[0])


@pytest.mark.parametrize("views", [1, 2])
def test_four_devices_equal_one(x64, views):
    """Outputs, running statistics, and gradients by x, scale and bias."""
    cotangent = np.random.default_rng(1).normal(size=X.shape)

    def run(x, weights, axis_name=None):
        def value(params, x):
            y, after = apply(x, {**VARIABLES, "params": params}, views=views, axis_name=axis_name)
            return jnp.sum(y * y * weights), (y, after)

        gradient_of = jax.grad(value, argnums=(0, 1), has_aux=True)
        (by_params, by_x), (y, after) = gradient_of(VARIABLES["params"], x)
        if axis_name:
            by_params = jax.lax.psum(by_params, axis_name)
        return y, by_x, after, by_params

    def shard(x):  # each device has its part of every view
        parts = x.reshape(views, 4, -1, *x.shape[1:])
        return np.moveaxis(parts, 1, 0).reshape(4, -1, *x.shape[1:])

    on_four = jax.pmap(lambda x, w: run(x, w, "devices"), "devices", out_axes=(0, 0, None, None))
    y, by_x, after, by_params = on_four(shard(X), shard(cotangent))
    wanted = jax.jit(run)(X, cotangent)
    assert_same((y, by_x), tuple(map(shard, map(np.asarray, wanted[:2]))), atol=1e-10)
    assert_same((after, by_params), wanted[2:], rtol=1e-10)


def test_float32_statistics_do_not_cancel():
    """Values far from zero: E[x²] − E[x]² would lose the variance altogether."""
    far = (X + 1e4).astype(np.float32)
    wanted = expected(far.astype(np.float64))
    single = jax.tree.map(np.float32, VARIABLES)
    y, after = apply(far, single)
    assert y.dtype == after["var"].dtype == jnp.float32
    np.testing.assert_allclose(y, wanted[0], atol=2e-2)  # 1e4 itself is exact to 1e-3 only
    assert_same(after, wanted[1], rtol=1e-5)


def test_a_constant_channel_comes_out_as_the_bias():
    single = jax.tree.map(np.float32, VARIABLES)
    y, after = apply(np.full((4, 2, 2, 5), 0.7, np.float32), single)
    bias = VARIABLES["params"]["bias"]
    np.testing.assert_allclose(y, np.broadcast_to(bias, y.shape), atol=1e-6)
    np.testing.assert_allclose(after["var"], 0.9 * VARIABLES["batch_stats"]["var"], rtol=1e-6)
    by_x = jax.grad(lambda x: jnp.sum(apply(x, single)[0] ** 2))(jnp.full((4, 5), 0.7))
    assert np.isfinite(by_x).all()


def test_bfloat16_has_float32_statistics():
    x = X.astype(jnp.bfloat16)
    y, after = apply(x, jax.tree.map(np.float32, VARIABLES), dtype=jnp.bfloat16)
    assert (y.dtype, after["mean"].dtype) == (jnp.bfloat16, jnp.float32)
    wanted = expected(x.astype(np.float64))
    assert_same(after, wanted[1], rtol=1e-5)
    np.testing.assert_allclose(y.astype(np.float32), wanted[0], rtol=1e-2, atol=1e-2)


def test_initial_values():
    variables = BatchNorm().init(jax.random.key(0), jnp.asarray(X, jnp.float32), train=True)
    assert_same(variables["params"], {"scale": np.ones(5), "bias": np.zeros(5)})
    assert_same(variables["batch_stats"], {"mean": np.zeros(5), "var": np.ones(5)})


@pytest.mark.parametrize(
    ("x", "views", "words"),
    [
        (X, 3, "3 equal parts, found 8 rows"),
        (X, 0, "0 equal parts"),
        (X[:1, 0, 0], 1, "several values per channel, found 1"),
        (X[:2, 0, 0], 2, "several values per channel, found 1"),
    ],
)
def test_batches_without_a_variance_are_refused(x, views, words):
    with pytest.raises(ValueError, match=words):
        apply(x.astype(np.float32), views=views)
