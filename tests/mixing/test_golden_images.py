"""The authors' mixing of images with its NT-Xent, from the library's functions.

Their code selects above the threshold, ours from it on; no cosine here is a threshold itself.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax import losses, mixing
from tests.mixing.test_golden import GRADIENT, OUTPUT, assert_close, load, starting_with

THRESHOLDS = ("0.0", "0.3", "0.9", "1.0")


@functools.cache
def mixed_losses(precision):
    """By threshold: ((loss, Mixture), gradients), from one compilation."""
    inputs, _ = load("image_mix_b8d16", precision)

    def loss(outputs, threshold):
        mixture = mixing.mix_pairs(
            outputs[0],
            rule="mo",
            candidates="op",
            threshold=threshold,
            self_weight=None,
            mix_normalised=True,
            stop_gradient=True,
        )
        temperature = float(inputs["temperature"])
        value = losses.info_nce(
            mixture.z_mixed, outputs[1], temperature=temperature, normalise=False
        )
        return value, mixture

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    outputs = jnp.asarray(inputs["out_1"]), jnp.asarray(inputs["out_2"])
    return {threshold: step(outputs, float(threshold)) for threshold in THRESHOLDS}


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_mixing_and_nt_xent(precision, threshold):
    inputs, expected = load("image_mix_b8d16", precision)
    expected = starting_with(expected, f"thr{threshold}_")
    (value, mixture), (of_1, of_2) = mixed_losses(precision)[threshold]
    out_1 = inputs["out_1"]
    assert_close(value, expected["loss"].astype(out_1.dtype), OUTPUT[precision])
    assert_close(mixture.z_mixed, expected["mixed_1"], OUTPUT[precision])
    # The authors' gradient is by vectors that are unit already; what is normalised here has no
    # gradient along itself.
    along = np.sum(expected["grad_1"] * out_1, axis=1, keepdims=True)
    assert_close(of_1, expected["grad_1"] - along * out_1, GRADIENT[precision])
    assert_close(of_2, expected["grad_2"], GRADIENT[precision])
    if threshold != "1.0":  # where the authors' code does not mix at all
        selected = np.sum(np.asarray(mixture.weights) > 0, axis=1)
        np.testing.assert_array_equal(selected, inputs[f"n_selected_thr{threshold}"])
