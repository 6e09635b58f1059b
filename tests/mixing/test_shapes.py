"""Arrays of other shapes are refused, and what stands in padded rows reaches no other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.losses import virtual_labels
from mmix_jax.mixing import mix_edges, mix_pairs

N = 6
Z = jax.random.normal(jax.random.key(0), (N, 4))
SENDERS, RECEIVERS = np.array([0, 1, 2, 3]), np.array([1, 0, 3, 2])


@pytest.mark.parametrize(
    "options",
    [
        {"mask": np.ones((N, 1))},
        {"mask": True},
        {"mask": np.ones(3)},
        {"mask": [1, 1, np.nan, 1, 1, 1]},
        {"labels": np.arange(N)[:, None]},
        {"labels": [0, 1, 2]},
        {"rule": "mp", "q": Z[:, :1], "k": Z},
        {"rule": "mp", "q": Z[:, 0], "k": Z[:, 0]},
        {"rule": "mp", "q": Z[:3], "k": Z[:3]},
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused(options):
    for mix in (
        lambda: mix_pairs(Z, candidates="all", **options),
        lambda: mix_edges(Z, SENDERS, RECEIVERS, **options),
    ):
        with pytest.raises(ValueError, match=r"must|rank|width") as caught:
            mix()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rule", ["mo", "binary", "random", "mp"])
@pytest.mark.parametrize("block_size", [None, 2])
def test_nan_in_padded_rows_changes_neither_values_nor_gradients(rule, block_size):
    mask = np.arange(N) < 4
    more = {"rule": rule, "candidates": "all", "mask": mask, "block_size": block_size}
    if rule == "random":
        more["key"] = jax.random.key(1)

    def real_rows(z):
        projections = {"q": z, "k": -z} if rule == "mp" else {}
        return jnp.sum(mix_pairs(z, **more, **projections).z_mixed[:4] ** 2)

    padded = jnp.where(mask[:, None], Z, jnp.nan)
    value, gradient = jax.value_and_grad(real_rows)(padded)
    wanted, wanted_gradient = jax.value_and_grad(real_rows)(Z)
    np.testing.assert_allclose(value, wanted, rtol=1e-6)
    np.testing.assert_allclose(gradient[:4], wanted_gradient[:4], rtol=1e-5, atol=1e-6)
    assert (gradient[4:] == 0).all()


@pytest.mark.parametrize("partners", [np.arange(N)[:, None], np.arange(1), 0])
def test_partners_and_coefficients_are_one_a_row(partners):
    with pytest.raises(ValueError, match=r"partners must have shape \(6,\)"):
        virtual_labels(Z, Z[::-1], np.full(N, 0.5), partners)
    with pytest.raises(ValueError, match=r"coefficients must have shape \(6,\)"):
        virtual_labels(Z, Z[::-1], np.full((N, 1), 0.5), np.arange(N))
