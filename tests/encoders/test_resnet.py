"""The ResNet's shapes, its initialisation and its laws; golden numbers are in test_golden."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from mmix_jax.encoders.resnet import ResNet18
from tests.encoders import image_problem as problem

pytestmark = pytest.mark.slow


def test_shapes_and_number_of_parameters():
    """Without computing: a ResNet-18 of 3×3 stem has 11,168,832 parameters before its head."""
    images = jnp.zeros((2, 32, 32, 3))
    variables = jax.eval_shape(ResNet18().init, jax.random.key(0), images)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == 11_168_832
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    shapes = {
        "/".join(path): leaf.shape
        for path, leaf in traverse_util.flatten_dict(variables["params"]).items()
    }
    assert shapes["conv/kernel"] == (3, 3, 3, 64)
    assert shapes["stage_3_block_0/shortcut_conv/kernel"] == (1, 1, 256, 512)
    assert len([name for name in shapes if "shortcut_conv" in name]) == 3
    for options, width in (({}, 512), ({"stages": (1, 1, 1), "width": 16}, 64)):
        model = ResNet18(**options)
        features, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
        assert (features.shape, features.dtype) == ((2, width), jnp.float32)


def test_initial_convolutions_are_kaiming_normal_over_the_fan_out():
    model = ResNet18(stages=(1,), width=64)
    params = model.init(jax.random.key(0), jnp.zeros((1, 4, 4, 3)))["params"]
    for kernel in (params["conv"]["kernel"], params["stage_0_block_0"]["conv_1"]["kernel"]):
        deviation = np.sqrt(2 / (9 * 64))
        np.testing.assert_allclose(np.std(kernel), deviation, rtol=0.05)
        assert np.abs(kernel).max() > 2.5 * deviation  # not truncated
    np.testing.assert_array_equal(params["norm"]["scale"], 1.0)


def shapes_inside(size: int) -> list[tuple[int, ...]]:
    """Height and width after stem and each stage of an image of this size."""
    model = ResNet18(stages=(1, 1, 1), width=2)
    images = jnp.zeros((1, size, size, 3))

    def inside(key):
        return model.init_with_output(key, images, capture_intermediates=True)[1]["intermediates"]

    found = jax.eval_shape(inside, jax.random.key(0))
    names = ("conv", *(f"stage_{stage}_block_0" for stage in range(3)))
    return [found[name]["__call__"][0].shape[1:3] for name in names]


def test_no_max_pool_and_one_halving_a_stage():
    assert shapes_inside(32) == [(32, 32), (32, 32), (16, 16), (8, 8)]
    assert shapes_inside(9) == [(9, 9), (9, 9), (5, 5), (3, 3)]  # torch's rounding


def run(variables, x, **options):
    def apply(variables, x):
        return problem.forward(variables["params"], variables["batch_stats"], x, **options)

    return jax.jit(apply)(variables, x)


def assert_same(found, expected, **tolerance):
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, **tolerance)


def test_two_views_are_two_forwards(x64):
    variables, x = problem.variables(dtype=np.float64), problem.images(6, dtype=np.float64)
    feature, out, after = run(variables, x, train=True, views=2)
    first = run(variables, x[:3], train=True)
    second = run({**variables, "batch_stats": first[2]}, x[3:], train=True)
    np.testing.assert_allclose(feature, np.concatenate([first[0], second[0]]), atol=1e-12)
    np.testing.assert_allclose(out, np.concatenate([first[1], second[1]]), atol=1e-12)
    assert_same(after, second[2], atol=1e-12)


def test_four_devices_equal_one(x64):
    """Outputs, running statistics and gradients of encoder and head, two views each."""
    variables, x = problem.variables(dtype=np.float64), problem.images(16, dtype=np.float64)
    cotangent = np.random.default_rng(2).normal(size=(16, 6))

    def gradient(variables, x, weights, axis_name=None):
        def value(params):
            _, out, after = problem.forward(
                params, variables["batch_stats"], x, train=True, views=2, axis_name=axis_name
            )
            return jnp.sum(out * weights), (out, after)

        by_params, (out, after) = jax.grad(value, has_aux=True)(variables["params"])
        if axis_name:
            by_params = jax.lax.psum(by_params, axis_name)
        return out, after, by_params

    def shard(rows):  # each device has two rows of either view
        return np.moveaxis(np.asarray(rows).reshape(2, 4, 2, *rows.shape[1:]), 1, 0).reshape(
            4, 4, *rows.shape[1:]
        )

    on_four = jax.pmap(
        lambda v, x, w: gradient(v, x, w, "devices"),
        "devices",
        in_axes=(None, 0, 0),
        out_axes=(0, None, None),
    )
    found = on_four(variables, shard(x), shard(cotangent))
    out, *expected = jax.jit(gradient)(variables, x, cotangent)
    assert_same(found, (shard(out), *expected), rtol=1e-8, atol=1e-10)


def test_bfloat16_stays_close_to_float32():
    variables, x = problem.variables(), problem.images(16)
    feature, out, after = run(variables, x, train=True, dtype=jnp.bfloat16)
    expected = run(variables, x, train=True)
    assert {leaf.dtype for leaf in jax.tree.leaves((feature, out, after))} == {
        jnp.dtype(jnp.float32)
    }
    for found, exact in zip((feature, out), expected[:2], strict=True):
        cosines = np.sum(np.asarray(found) * np.asarray(exact), axis=1)
        assert cosines.min() > 0.99 and cosines.max() < 1 - 1e-9  # close, and yet bfloat16
    assert_same(after, expected[2], rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((8, 8, 3), np.float32), r"found float32 \(8, 8, 3\)"),
        (np.zeros((2, 8, 8, 3), np.uint8), "found uint8"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(x, words):
    with pytest.raises(ValueError, match=words):
        ResNet18(stages=(1,), width=2).init(jax.random.key(0), jnp.asarray(x))


def test_views_must_divide_the_batch():
    variables = problem.variables()
    with pytest.raises(ValueError, match="2 equal parts, found 3 rows"):
        run(variables, problem.images(3), train=True, views=2)
