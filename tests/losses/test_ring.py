"""Ring = gathered = one device: values and gradients on 2, 4 and 8 simulated devices."""

import functools
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax import losses

pytestmark = pytest.mark.slow

HERE = len(jax.devices())
NUM, DIM = 48, 5
MASK = np.arange(NUM) % 5 != 2
SEGMENTS = np.random.default_rng(1).integers(0, 3, NUM)
FORMS = {
    "full": {},
    "cross": {"negatives": "cross"},
    "segments": {"segments": SEGMENTS},
    "as they are": {"normalise": False},
}


CASES = [
    (num_devices, exchange, form)
    for num_devices in ((2, 3, 4) if HERE < 8 else (8,))
    for exchange in ("ring", "gather")
    for form in FORMS
    # Even numbers of devices share the last meeting, odd ones do not; the rest is the same code.
    if form in ("full", "cross") or num_devices == 4
    if exchange == "ring" or (form == "full" and num_devices != 3)
]


def make_inputs():
    u, v = np.random.default_rng(0).normal(size=(2, NUM, DIM))
    return u, v


def compute(u, v, temperature, mask, segments, *, form, **options):
    """The loss, its gradients by both views and by the temperature; sums over devices."""
    options |= {key: value for key, value in FORMS[form].items() if key != "segments"}
    if form == "segments":
        options["segments"] = segments

    def loss(u, v, temperature):
        return losses.info_nce(u, v, temperature=temperature, mask=mask, **options)

    value, (by_u, by_v, by_temperature) = jax.value_and_grad(loss, argnums=(0, 1, 2))(
        u, v, temperature
    )
    axis = options.get("axis_name")
    if axis is not None:
        value, by_temperature = jax.lax.psum((value, by_temperature), axis)
    return value, by_u, by_v, by_temperature


@functools.cache
def on_one_device(form):
    return jax.jit(functools.partial(compute, form=form))(*make_inputs(), 0.3, MASK, SEGMENTS)


@pytest.mark.parametrize(("num_devices", "exchange", "form"), CASES)
def test_devices_equal_one(x64, num_devices, exchange, form):
    """Blocks of 4 rows do not divide the devices' rows evenly on 8."""

    def cut(x):
        return np.stack(np.split(x, num_devices))

    run = functools.partial(
        compute, form=form, axis_name="devices", exchange=exchange, block_size=4
    )
    u, v = make_inputs()
    value, by_u, by_v, by_temperature = jax.pmap(
        run, axis_name="devices", in_axes=(0, 0, None, 0, 0)
    )(cut(u), cut(v), 0.3, cut(MASK), cut(SEGMENTS))
    expected, *gradients = on_one_device(form)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(by_u), gradients[0], atol=1e-13)
    np.testing.assert_allclose(np.concatenate(by_v), gradients[1], atol=1e-13)
    np.testing.assert_allclose(by_temperature, gradients[2], rtol=1e-10)


def test_no_device_holds_the_gathered_vectors():
    """In the ring's program no array has the rows of all devices; in the other one some do."""
    num_devices, rows, width = HERE, 48, 24

    def largest(exchange):
        def loss(u, v):
            return losses.info_nce(u, v, axis_name="devices", exchange=exchange, block_size=16)

        shape = jax.ShapeDtypeStruct((num_devices, rows, width), jnp.float32)
        gradients = jax.pmap(jax.value_and_grad(loss, argnums=(0, 1)), axis_name="devices")
        text = gradients.lower(shape, shape).compile().as_text()
        found = re.findall(r"f32\[([\d,]+)\]", text)
        return max(int(np.prod([int(n) for n in dimensions.split(",")])) for dimensions in found)

    assert largest("ring") <= 4 * rows * width  # a block of both views, and one that visits
    assert largest("gather") >= num_devices * rows * width


@pytest.mark.skipif(HERE >= 8, reason="these are the eight devices")
def test_eight_devices():
    """The tests above in a process that has them: XLA fixes their number when it starts."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__],
        env=os.environ | {"MMIX_TEST_DEVICES": "8"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    assert "5 passed, 1 skipped" in found.stdout, found.stdout[-300:]


def test_unknown_exchange_is_named():
    with pytest.raises(ValueError, match="unknown exchange 'star'; expected one of: gather, ring"):
        losses.info_nce(jnp.ones((2, 2)), jnp.ones((2, 2)), exchange="star")
