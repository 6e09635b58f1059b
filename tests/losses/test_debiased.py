"""Losses with debiased, harder and synthetic negatives: against the loops, and their laws."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
import naive_beyond
from mmix_jax import losses
from tests import shard_maps
from tests.shard_maps import AXIS

pytestmark = pytest.mark.slow

NUM, DIM = 12, 3
MASK = np.arange(NUM) % 5 != 2
SEGMENTS = np.array([4, 0, 0, 4, 9, 4, 0, 9, 0, 0, 4, -3])  # −3 is one row alone, 7 of 9 is padding
EVERY, TOGETHER = np.ones(NUM, bool), np.zeros(NUM, int)


class Form(NamedTuple):
    """A loss, what is fixed when it is compiled, and whose synthetic negatives it is given."""

    loss: str = "info_nce"
    options: tuple[tuple[str, Any], ...] = ()
    synthetic: tuple[str, ...] = ("synthetic_u", "synthetic_v")


CROSS, STREAMED = ("negatives", "cross"), ("block_size", 5)
FORMS = {
    "dense": Form(),
    "streamed": Form(options=(STREAMED,)),
    "cross": Form(options=(CROSS,), synthetic=("synthetic_u",)),
    "cross streamed": Form(options=(CROSS, STREAMED), synthetic=()),
    "anchors": Form("anchor_info_nce", synthetic=("synthetic_u",)),
    "as they are": Form(options=(("normalise", False), STREAMED)),
}


class Setting(NamedTuple):
    temperature: float
    debiased: float
    hardness: float
    mask: Any = EVERY
    segments: Any = TOGETHER


SETTINGS = {
    "debiased": Setting(1.0, 0.1, 0.0),
    "harder": Setting(0.4, 0.0, 1.5, MASK),
    "both": Setting(0.7, 0.2, 1.0, MASK, SEGMENTS),
    "floored": Setting(0.8, 0.45, 0.3),
    "neither": Setting(0.5, 0.0, 0.0, EVERY, SEGMENTS),
}


def make_inputs(form, setting, seed=0):
    """What has a gradient. The first synthetic negative of every third anchor is none."""
    draws = np.random.default_rng(seed)
    u = draws.normal(size=(NUM, DIM))
    v = u + draws.normal(size=u.shape)
    synthetic = {"synthetic_u": draws.normal(size=(NUM, 2, DIM))}
    synthetic["synthetic_v"] = draws.normal(size=(NUM, 3, DIM))
    for vectors in synthetic.values():
        vectors[::3, 0] = 0.0
    if ("normalise", False) in form.options:
        u, v = 0.9 * naive.normalise(u), 1.2 * naive.normalise(v)
    numbers = {name: np.array(getattr(setting, name)) for name in Setting._fields[:3]}
    return {"u": u, "v": v} | numbers | {name: synthetic[name] for name in form.synthetic}


@functools.cache
def compiled(form):
    """(inputs, mask, segments) -> the loss and its gradient by every input."""

    def loss(inputs, mask, segments):
        given = dict(form.options) | {"mask": mask, "segments": segments}
        return getattr(losses, form.loss)(**inputs, **given)

    return jax.jit(jax.value_and_grad(loss))


def naive_loss(form, inputs, setting):
    options = {name: value for name, value in form.options if name != "block_size"}
    loss = getattr(naive_beyond, form.loss)
    return loss(**inputs, **options, mask=setting.mask, segments=setting.segments)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_value_and_gradient_match_the_loops(x64, form, setting):
    """The gradient along one direction for every input; a padded row has none."""
    inputs, draws = make_inputs(form, setting), np.random.default_rng(1)
    value, gradient = compiled(form)(inputs, setting.mask, setting.segments)
    np.testing.assert_allclose(value, naive_loss(form, inputs, setting), rtol=1e-12)
    for name, x in inputs.items():
        direction = np.array(draws.normal(size=x.shape))
        if name.startswith("synthetic"):  # a row of zeros is none, and any other is one
            direction *= np.any(x != 0, axis=-1, keepdims=True)
        slope = naive.numerical_slope(
            lambda x, name=name: naive_loss(form, inputs | {name: x}, setting), x, direction
        )
        found = np.sum(gradient[name] * direction)
        np.testing.assert_allclose(found, slope, rtol=1e-7, atol=1e-9, err_msg=name)
        assert np.isfinite(gradient[name]).all(), name
        if x.ndim:
            np.testing.assert_array_equal(gradient[name][~setting.mask], 0.0, err_msg=name)


def test_the_floor_stands_for_some_anchors_of_that_setting():
    setting = SETTINGS["floored"]
    inputs = make_inputs(FORMS["anchors"], setting)
    del inputs["synthetic_u"]
    held = naive_beyond.floored(**inputs)
    assert 2 < sum(held) < NUM - 2


@pytest.mark.parametrize("name", ["dense", "streamed"])
def test_what_stands_in_padding_changes_nothing(x64, name):
    form, setting = FORMS[name], SETTINGS["both"]
    inputs = make_inputs(form, setting)
    spoilt = {
        name: np.where(MASK.reshape(-1, *[1] * (x.ndim - 1)), x, np.nan) if x.ndim else x
        for name, x in inputs.items()
    }
    expected = compiled(form)(inputs, MASK, SEGMENTS)
    jax.tree.map(np.testing.assert_array_equal, compiled(form)(spoilt, MASK, SEGMENTS), expected)


def test_permuting_the_pairs_permutes_the_gradient(x64):
    form, order = FORMS["dense"], np.random.default_rng(2).permutation(NUM)
    inputs = make_inputs(form, SETTINGS["both"])
    permuted = {name: x[order] if x.ndim else x for name, x in inputs.items()}
    value, gradient = compiled(form)(inputs, MASK, SEGMENTS)
    found, found_gradient = compiled(form)(permuted, MASK[order], SEGMENTS[order])
    np.testing.assert_allclose(found, value, rtol=1e-12)
    for name, x in gradient.items():
        expected = x[order] if x.ndim else x
        np.testing.assert_allclose(found_gradient[name], expected, atol=1e-13, err_msg=name)


def test_synthetic_negatives_of_zeros_add_nothing(x64):
    form, setting = FORMS["dense"], SETTINGS["both"]
    inputs = make_inputs(form, setting)
    none = inputs | {name: np.zeros_like(inputs[name]) for name in form.synthetic}
    value, gradient = compiled(form)(none, MASK, SEGMENTS)
    for name in form.synthetic:
        np.testing.assert_array_equal(gradient[name], 0.0)
        del none[name]
    np.testing.assert_allclose(value, naive_loss(form, none, setting), rtol=1e-12)


@pytest.mark.parametrize("name", ["dense", "streamed"])
def test_one_sample_alone_has_its_synthetic_negatives_only(x64, name):
    form, alone = FORMS[name], SETTINGS["both"]._replace(mask=np.arange(NUM) == 1)
    inputs = make_inputs(form, alone)
    value, _ = compiled(form)(inputs, alone.mask, TOGETHER)
    assert value > 0.1
    np.testing.assert_allclose(value, naive_loss(form, inputs, alone), rtol=1e-12)
    none = inputs | {name: np.zeros_like(inputs[name]) for name in form.synthetic}
    value, gradient = compiled(form)(none, alone.mask, TOGETHER)
    assert abs(value) < 1e-12
    for name, x in gradient.items():
        np.testing.assert_allclose(x, 0.0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("loss", "block_size", "num_powers", "num_products"),
    [("info_nce", None, 3, 7), ("anchor_info_nce", 5, 4, 12)],
)
def test_off_is_the_loss_as_it_was(loss, block_size, num_powers, num_products):
    """One program, so the same bits, with as many powers and products as before the options."""
    u, v = np.ones((2, NUM, DIM), np.float32)

    def program(**options):
        def value(u, v):
            return getattr(losses, loss)(u, v, temperature=0.4, block_size=block_size, **options)

        return jax.jit(jax.value_and_grad(value, argnums=(0, 1))).lower(u, v).as_text()

    as_it_was = program()
    for zero in (0, jnp.float32(0)):
        assert program(debiased=zero, hardness=zero, synthetic_u=None) == as_it_was
    assert as_it_was.count("stablehlo.exponential") == num_powers
    assert as_it_was.count("stablehlo.dot_general") == num_products


@pytest.mark.parametrize(
    ("temperature", "debiased", "hardness"),
    [(1.0, 0.0, 65.0), (0.03, 0.0, 0.95), (0.015, 0.3, 0.0), (0.1, 0.9, 5.0)],
)
def test_powers_stay_within_float32(temperature, debiased, hardness):
    """At τ/(1 + β) near 0.015 the weighted powers span e^{±66}."""
    form, setting = FORMS["streamed"], Setting(temperature, debiased, hardness)
    inputs = make_inputs(form, setting)
    value, gradient = compiled(form)(jax.tree.map(np.float32, inputs), None, None)
    assert value.dtype == gradient["u"].dtype == jnp.float32
    np.testing.assert_allclose(value, naive_loss(form, inputs, setting), rtol=1e-4)
    assert all(np.isfinite(x).all() for x in gradient.values())


@pytest.mark.parametrize(
    "numbers",
    [
        {"debiased": 1.0},
        {"debiased": -0.1},
        {"hardness": -0.5},
        {"hardness": np.nan},
        {"temperature": 0.01},
        {"temperature": 0.1, "hardness": 6.0},
    ],
    ids=str,
)
def test_a_traced_number_out_of_range_makes_the_loss_nan(numbers):
    form, setting = FORMS["streamed"], SETTINGS["both"]
    inputs = jax.tree.map(np.float32, make_inputs(form, setting))
    numbers = {name: np.float32(value) for name, value in numbers.items()}
    assert np.isfinite(compiled(form)(inputs, None, None)[0])
    assert np.isnan(compiled(form)(inputs | numbers, None, None)[0])


@pytest.mark.parametrize(
    ("temperature", "hardness", "within"), [(0.5, 1.0, 0.05), (1.0, 65.0, 0.3)]
)
def test_half_precision_is_summed_in_float32(temperature, hardness, within):
    form, setting = FORMS["dense"], Setting(temperature, 0.1, hardness)
    inputs = make_inputs(form, setting)
    half = {name: x.astype(jnp.bfloat16) if x.ndim else np.float32(x) for name, x in inputs.items()}
    value, gradient = compiled(form)(half, None, None)
    assert value.dtype == jnp.float32 and gradient["u"].dtype == jnp.bfloat16
    np.testing.assert_allclose(value, naive_loss(form, inputs, setting), rtol=within)
    assert all(np.isfinite(x.astype(np.float32)).all() for x in gradient.values())


@pytest.mark.parametrize(("num_devices", "exchange"), [(3, "ring"), (4, "gather")])
def test_devices_equal_one(x64, num_devices, exchange):
    """Blocks of two rows do not divide the devices' four or three evenly."""
    form, setting = FORMS["dense"], SETTINGS["both"]
    inputs = make_inputs(form, setting)

    def run(inputs, mask, segments):
        def loss(inputs):
            options = {"axis_name": "devices", "exchange": exchange, "block_size": 2}
            return losses.info_nce(**inputs, mask=mask, segments=segments, **options)

        value, gradient = jax.value_and_grad(loss)(inputs)
        shared = {name: x for name, x in gradient.items() if not x.ndim}
        return jax.lax.psum(value, "devices"), gradient | jax.lax.psum(shared, "devices")

    def cut(x):
        return np.stack(np.split(x, num_devices)) if x.ndim else np.stack([x] * num_devices)

    cuts = jax.tree.map(cut, (inputs, setting.mask, setting.segments))
    value, gradient = jax.pmap(run, axis_name="devices")(*cuts)
    expected, expected_gradient = compiled(form)(inputs, setting.mask, setting.segments)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for name, x in expected_gradient.items():
        found = np.concatenate(gradient[name]) if x.ndim else gradient[name]
        np.testing.assert_allclose(found, x, rtol=1e-10, atol=1e-13, err_msg=name)


def test_inside_shard_map(x64):
    """All three numbers are what the devices share."""
    inputs = make_inputs(FORMS["dense"], SETTINGS["both"])
    shared = {name: jnp.asarray(x) for name, x in inputs.items() if not x.ndim}
    rows = {name: jnp.asarray(x) for name, x in inputs.items() if x.ndim}
    rows |= {"mask": jnp.asarray(MASK), "segments": jnp.asarray(SEGMENTS)}

    def local(shared, rows):
        return losses.info_nce(**shared, **rows, axis_name=AXIS, exchange="ring")

    whole = jax.jit(lambda shared, rows: losses.info_nce(**shared, **rows))
    shard_maps.check(local, whole, shared, rows)


@pytest.mark.parametrize("loss", ["info_nce", "anchor_info_nce"])
@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"debiased": 1.0}, ("debiased", "1.0")),
        ({"debiased": -0.1}, ("debiased", "-0.1")),
        ({"debiased": "0.1"}, ("debiased", "0.1")),
        ({"hardness": -1}, ("hardness", "-1")),
        ({"hardness": float("nan")}, ("hardness", "nan")),
        ({"temperature": 0.1, "hardness": 6.0}, ("hardness", "0.015")),
        ({"synthetic_u": jnp.ones((3, 2))}, ("synthetic_u", "(3, 2)")),
        ({"synthetic_u": jnp.ones((4, 1, 2))}, ("synthetic_u", "(4, 1, 2)")),
        ({"synthetic_u": jnp.ones((3, 1, 5))}, ("synthetic_u", "(3, 1, 5)")),
    ],
    ids=str,
)
def test_errors_name_what_was_found_in_one_line(loss, options, found):
    with pytest.raises(ValueError) as caught:
        getattr(losses, loss)(jnp.ones((3, 2)), jnp.ones((3, 2)), **options)
    message = str(caught.value)
    assert all(word in message for word in found) and "\n" not in message
