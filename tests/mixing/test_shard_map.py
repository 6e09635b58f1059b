"""Mixing among pairs inside `jax.shard_map` with its default settings; pmap: `test_devices.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.mixing import RULES, mix_pairs
from tests import shard_maps
from tests.shard_maps import AXIS

pytestmark = pytest.mark.slow

N, D = 16, 5
Z, TARGET = np.random.default_rng(1).normal(size=(2, N, D))
RULES_OF_PAIRS = [name for name, rule in RULES.items() if not rule.edges_only]


@pytest.mark.parametrize("block_size", [None, 3], ids=["dense", "streamed"])
@pytest.mark.parametrize("rule", RULES_OF_PAIRS)
def test_mixtures_and_gradients_are_those_of_one_device(x64, rule, block_size):
    """By the embeddings, and by a projection that all devices share."""

    def local(shared, rows, axis_name=AXIS):
        z = rows["z"]
        mixture = mix_pairs(
            z,
            rule=rule,
            candidates="op",
            threshold=0.0,
            q=z @ shared,
            k=z,
            key=jax.random.key(0),
            mask=rows["mask"],
            axis_name=axis_name,
            block_size=block_size,
        )
        return jnp.sum(jnp.sin(mixture.z_mixed) * rows["target"])

    rows = {"z": jnp.asarray(Z), "target": jnp.asarray(TARGET), "mask": jnp.arange(N) % 7 != 3}
    shared = jnp.asarray(np.eye(D)[:, ::-1] + 0.1)
    shard_maps.check(local, lambda s, r: local(s, r, None), shared, rows)
