"""Dense and sparse features give one product, masked or not."""

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.encoders.features import (
    Linear,
    SparseFeatures,
    num_features_of,
    num_rows_of,
    stored_features,
)


def features(density: float, shape=(60, 50)) -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.normal(size=shape) * (draw.uniform(size=shape) < density)


def test_few_entries_are_stored_sparse_and_padded():
    few, many = stored_features(features(0.005), 64), stored_features(features(0.5), 64)
    assert isinstance(few, SparseFeatures) and isinstance(many, np.ndarray)
    for x in (few, many):
        assert (num_rows_of(x), num_features_of(x)) == (64, 50)
    np.testing.assert_array_equal(many[60:], 0.0)


def test_sparse_features_give_the_dense_product_and_gradient(x64):
    x = features(0.005)
    sparse = jax.tree.map(jnp.asarray, stored_features(x, 60))
    mask = jnp.asarray(np.random.default_rng(1).integers(0, 2, 50).astype(float))
    params = Linear(4).init(jax.random.key(0), jnp.asarray(x))
    assert jax.tree.map(jnp.shape, params) == {"params": {"kernel": (50, 4)}}
    cotangent = np.random.default_rng(2).normal(size=(60, 4))

    def loss(params, x):
        return jnp.sum(Linear(4).apply(params, x, mask) * cotangent)

    kernel = np.asarray(params["params"]["kernel"])
    wanted = (x * np.asarray(mask)[None, :]) @ kernel
    for given in (jnp.asarray(x), sparse):
        np.testing.assert_allclose(Linear(4).apply(params, given, mask), wanted, rtol=1e-10)
        gradient = jax.grad(loss)(params, given)["params"]["kernel"]
        np.testing.assert_allclose(
            gradient, (x * np.asarray(mask)[None, :]).T @ cotangent, rtol=1e-9, atol=1e-12
        )
