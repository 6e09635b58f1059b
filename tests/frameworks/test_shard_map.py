"""A loss of a framework inside `jax.shard_map` with its default settings: GRACE."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from mmix_jax.frameworks import grace
from mmix_jax.graphs.samplers import NodeSampler
from tests.frameworks import grace_problem as problem
from tests.frameworks.changes import changed
from tests.frameworks.problem import to_device
from tests.shard_maps import AXIS

pytestmark = pytest.mark.slow


def test_loss_and_gradient_are_those_of_one_device(x64):
    settings = changed(problem.BASE, mixing="mo", mixing_temperature=0.5)
    params, tables = problem.parameters(settings), problem.tables()
    split, everywhere = PartitionSpec(AXIS), PartitionSpec()

    def batch_on(num_devices: int):
        sampler = NodeSampler(
            problem.GRAPH, sampler="nodes", batch_size=8, seed=1, num_devices=num_devices,
            one_shape=True,
        )  # fmt: skip
        return to_device(sampler.batch(0))

    def one(params):
        batch = jax.tree.map(lambda x: x[0], batch_on(1))
        return grace.make_loss(settings)(params, {}, (tables, batch), problem.KEY)[0]

    def on_device(params, batch):
        shard = jax.tree.map(lambda x: x[0], batch)
        loss, _ = grace.make_loss(settings, AXIS)(params, {}, (tables, shard), problem.KEY)
        return jax.lax.psum(loss, AXIS)

    expected = jax.jit(jax.value_and_grad(one))(params)
    for num_devices in (2, 4):
        mesh = Mesh(np.array(jax.devices()[:num_devices]), (AXIS,))
        sharded = jax.shard_map(
            on_device, mesh=mesh, in_specs=(everywhere, split), out_specs=everywhere
        )
        results = jax.jit(jax.value_and_grad(sharded))(params, batch_on(num_devices))
        for ours, theirs in zip(*map(jax.tree.leaves, (results, expected)), strict=True):
            np.testing.assert_allclose(jnp.asarray(ours), theirs, rtol=1e-6, atol=1e-10)
