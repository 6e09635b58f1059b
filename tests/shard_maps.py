"""Functions of rows inside `jax.shard_map` with its default settings, against one device."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

AXIS = "devices"


def check(local: Callable, whole: Callable, shared, rows) -> None:
    """Values and gradients on 2 and 4 devices are those of one, taken outside and inside.

    Args:
      local: (shared, rows of this device) -> its share of a scalar.
      whole: (shared, all rows) -> that scalar.
      shared: what all devices have, a tree of floats; differentiated.
      rows: arrays [N, ...] by name; those of floats are differentiated.
    """
    floats = {name: x for name, x in rows.items() if jnp.issubdtype(x.dtype, jnp.floating)}
    rest = {name: x for name, x in rows.items() if name not in floats}
    split, everywhere = PartitionSpec(AXIS), PartitionSpec()

    def of(function):
        def value(shared, floats, rest):
            return function(shared, floats | rest)

        return value

    alone = jax.jit(jax.value_and_grad(of(whole), argnums=(0, 1)))
    expected = alone(shared, floats, rest)
    for num_devices in (2, 4):
        mesh = Mesh(np.array(jax.devices()[:num_devices]), (AXIS,))
        sharded = jax.shard_map(
            lambda *args: jax.lax.psum(of(local)(*args), AXIS),
            mesh=mesh,
            in_specs=(everywhere, split, split),
            out_specs=everywhere,
        )
        outside = jax.jit(jax.value_and_grad(sharded, argnums=(0, 1)))

        def on_device(*args):
            share, gradients = jax.value_and_grad(of(local), argnums=(0, 1))(*args)
            return jax.lax.psum(share, AXIS), gradients

        inside = jax.jit(
            jax.shard_map(
                on_device,
                mesh=mesh,
                in_specs=(everywhere, split, split),
                out_specs=(everywhere, (everywhere, split)),
            )
        )
        for compute in (outside, inside):
            results = compute(shared, floats, rest)
            for one, other in zip(*map(jax.tree.leaves, (results, expected)), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-12)
