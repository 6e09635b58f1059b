"""The losses inside `jax.shard_map` with its default settings; `test_devices.py` has pmap."""

import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax import losses
from tests import shard_maps
from tests.shard_maps import AXIS

pytestmark = pytest.mark.slow

N, D = 16, 5
DRAW = np.random.default_rng(0)
U, V = DRAW.normal(size=(2, N, D))
MASK, SEGMENTS = np.arange(N) % 7 != 3, np.arange(N) % 3
STREAMED = {"block_size": 3}
CASES = {
    "gather": {},
    "ring": {"exchange": "ring"},
    "gather_streamed": STREAMED,
    "ring_streamed": STREAMED | {"exchange": "ring"},
    "ring_cross": {"exchange": "ring", "negatives": "cross"},
}


def rows(*names: str):
    every = {"u": U, "v": V, "mask": MASK, "segments": SEGMENTS}
    return {name: jnp.asarray(every[name]) for name in ("u", "v", *names)}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("names", [(), ("mask", "segments")], ids=["plain", "segments"])
def test_info_nce_by_rows_and_by_a_shared_temperature(x64, options, names):
    def local(temperature, rows, axis_name=AXIS):
        return losses.info_nce(
            **rows, temperature=temperature["tau"], axis_name=axis_name, **options
        )

    shared = {"tau": jnp.asarray(0.5)}
    shard_maps.check(local, lambda t, r: local(t, r, None), shared, rows(*names))


def test_anchors_of_one_view_whatever_their_lengths(x64):
    def local(shared, rows, axis_name=AXIS):
        options = {"normalise": False, "temperature": 2.0, "exchange": "ring"}
        return losses.anchor_info_nce(**rows, axis_name=axis_name, **options)

    shard_maps.check(local, lambda s, r: local(s, r, None), {}, rows("mask"))


def test_virtual_labels(x64):
    """Partners are drawn within four rows, which one device has on four devices and on two."""
    partners = np.arange(N) // 4 * 4 + (np.arange(N) + 1) % 4
    coefficients = jnp.asarray(DRAW.uniform(size=N))

    def local(shared, rows, axis_name=AXIS):
        rows = dict(rows)
        rows["partners"] = rows["partners"] - jnp.min(rows["partners"])  # the device's first row
        return losses.virtual_labels(**rows, axis_name=axis_name)

    given = rows("mask") | {"partners": jnp.asarray(partners), "coefficients": coefficients}
    shard_maps.check(local, lambda s, r: local(s, r, None), {}, given)


def test_diversity_and_discrimination(x64):
    def local(shared, rows, axis_name=AXIS):
        u, v, common = rows["u"] @ shared, rows["v"], {"mask": rows["mask"], "axis_name": axis_name}
        return losses.diversity(u, v, **common) + losses.discrimination(
            u, v, v - 1, u + 1, **common
        )

    shard_maps.check(local, lambda s, r: local(s, r, None), jnp.eye(D), rows("mask"))
