"""The state of a training and the step that updates it, on all devices."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

AXIS = "devices"


class TrainState(NamedTuple):
    """Everything that a step changes; plain arrays, the same on every device."""

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any


def make_optimizer(learning_rate: float, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """Adam; `weight_decay` is added to the gradient (L2), as in torch's Adam."""
    adam = optax.adam(learning_rate)
    if not weight_decay:
        return adam
    return optax.chain(optax.add_decayed_weights(weight_decay), adam)


def init_state(
    params: Any, optimizer: optax.GradientTransformation, batch_stats=None
) -> TrainState:
    """The state before the first step."""
    return TrainState(jnp.zeros((), jnp.int32), params, batch_stats or {}, optimizer.init(params))


def replicate(tree: Any, devices: Sequence) -> Any:
    """The arrays on every device: a step then neither copies them anew nor compiles twice."""
    mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.tree.map(lambda x: jax.device_put(x, everywhere), tree)


def make_step(
    loss_fn: Callable, optimizer: optax.GradientTransformation, *, devices: Sequence | None = None
) -> Callable:
    """`step(state, tables, shards, key) -> (state, metrics)`, one program on all `devices`.

    `loss_fn(params, batch_stats, (tables, shard), key) -> (loss, Aux)` returns its device's share
    of the loss; shares, gradients and metrics are summed over devices. State and `tables` are the
    same on every device (`replicate` them first), `shards` has a leading device axis. The
    randomness of a step is a function of (key, state.step).
    """

    def on_device(state: TrainState, tables, shard, key):
        key = jax.random.fold_in(key, state.step)
        compute = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, aux), gradient = compute(state.params, state.batch_stats, (tables, shard), key)
        loss, gradient, metrics = jax.lax.psum((loss, gradient, aux.metrics), AXIS)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {"loss": loss, "gradient_norm": optax.tree.norm(gradient), **metrics}
        return TrainState(state.step + 1, params, aux.batch_stats, opt_state), metrics

    return jax.pmap(
        on_device, AXIS, in_axes=(None, None, 0, None), out_axes=(None, None), devices=devices
    )
