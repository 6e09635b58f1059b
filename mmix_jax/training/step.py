"""The state of a training and the step that updates it, on all devices.

`jax.pmap` is in this file alone. A loss is written for one device, its shard of the batch and the
axis by which it asks the others for theirs; pmap is what runs such a function on every device, and
leaves nothing to the compiler to split as it likes. Losses know only the axis's name, so they run
in `jax.shard_map` as well, and another way over the devices is a change of this file.
"""

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


class Optimization(NamedTuple):
    """How parameters are updated; static.

    learning_rate: the highest. weight_decay: added to the gradient (L2), as in torch's optimizers.
    optimizer: `adam`, `sgd` with Nesterov's momentum, or `lars` with momentum: there each matrix
    moves by a thousandth of its own length times the rate, and vectors (biases, scales) neither
    decay nor are scaled so. warmup_steps: the rate rises linearly to
    its highest. cosine_steps: then it falls to 0 along half a cosine, this many steps after the
    first; 0: it stays.
    """

    learning_rate: float
    weight_decay: float = 0.0
    optimizer: str = "adam"
    momentum: float = 0.9
    warmup_steps: int = 0
    cosine_steps: int = 0


def learning_rate_at(settings: Optimization) -> float | optax.Schedule:
    """The learning rate as a number, or as a function of the steps done."""
    rate, warmup = settings.learning_rate, settings.warmup_steps
    if not warmup and not settings.cosine_steps:
        return rate
    if not settings.cosine_steps:
        return optax.linear_schedule(0.0, rate, warmup)
    return optax.warmup_cosine_decay_schedule(
        0.0 if warmup else rate, rate, warmup, settings.cosine_steps
    )


def make_optimizer(
    learning_rate: float | Optimization, weight_decay: float = 0.0
) -> optax.GradientTransformation:
    """The optimizer of an `Optimization`; of two numbers, Adam."""
    settings = learning_rate
    if not isinstance(settings, Optimization):
        settings = Optimization(settings, weight_decay)
    rate = learning_rate_at(settings)
    if settings.optimizer == "sgd":
        update = optax.sgd(rate, momentum=settings.momentum, nesterov=True)
    elif settings.optimizer == "lars":
        decay = settings.weight_decay
        return optax.lars(
            rate, decay, _matrices, trust_ratio_mask=_matrices, momentum=settings.momentum
        )
    else:
        update = optax.adam(rate)
    if not settings.weight_decay:
        return update
    return optax.chain(optax.add_decayed_weights(settings.weight_decay), update)


def _matrices(params: Any) -> Any:
    """Which parameters are more than vectors."""
    return jax.tree.map(lambda x: x.ndim > 1, params)


def init_state(
    params: Any, optimizer: optax.GradientTransformation, batch_stats=None
) -> TrainState:
    """The state before the first step."""
    return TrainState(jnp.zeros((), jnp.int32), params, batch_stats or {}, optimizer.init(params))


def replicate(tree: Any, devices: Sequence) -> Any:
    """The arrays on every device: a step then neither copies them anew nor compiles twice."""
    mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    if everywhere.is_fully_addressable:
        return jax.tree.map(lambda x: jax.device_put(x, everywhere), tree)

    def own_copy(x):  # of several processes each has it already: nothing is sent
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, everywhere, lambda index: x[index])

    return jax.tree.map(own_copy, tree)


def _make_update(loss_fn: Callable, optimizer: optax.GradientTransformation) -> Callable:
    """One step on one device, inside the axis: (state, tables, shard, key) -> (state, metrics)."""

    def update(state: TrainState, tables, shard, key):
        key = jax.random.fold_in(key, state.step)
        compute = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, aux), gradient = compute(state.params, state.batch_stats, (tables, shard), key)
        loss, gradient, metrics = jax.lax.psum((loss, gradient, aux.metrics), AXIS)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {"loss": loss, "gradient_norm": optax.tree.norm(gradient), **metrics}
        return TrainState(state.step + 1, params, aux.batch_stats, opt_state), metrics

    return update


def make_step(
    loss_fn: Callable, optimizer: optax.GradientTransformation, *, devices: Sequence | None = None
) -> Callable:
    """`step(state, tables, shards, key) -> (state, metrics)`, one program on all `devices`.

    `loss_fn(params, batch_stats, (tables, shard), key) -> (loss, Aux)` returns its device's share
    of the loss; shares, gradients and metrics are summed over devices. State and `tables` are the
    same on every device (`replicate` them first), `shards` has a leading device axis. The
    randomness of a step is a function of (key, state.step).
    """
    update = _make_update(loss_fn, optimizer)
    return jax.pmap(
        update, AXIS, in_axes=(None, None, 0, None), out_axes=(None, None), devices=devices
    )


def make_steps(
    loss_fn: Callable, optimizer: optax.GradientTransformation, *, devices: Sequence | None = None
) -> Callable:
    """`steps(state, tables, shards, count, key) -> (state, metrics)`: `count` steps a dispatch.

    As `make_step`, with a step axis behind the device axis of `shards`, of which the first `count`
    are taken, one after the other; metrics are their means. `count` is data: one program serves
    every number of steps, and gives what as many single steps give.
    """
    update = _make_update(loss_fn, optimizer)

    def on_device(state: TrainState, tables, shards, count, key):
        def shard_of(number):
            return jax.tree.map(lambda x: x[number], shards)

        def body(number, carry):
            state, sums = carry
            state, metrics = update(state, tables, shard_of(number), key)
            return state, jax.tree.map(jnp.add, sums, metrics)

        shapes = jax.eval_shape(update, state, tables, shard_of(0), key)[1]
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        state, sums = jax.lax.fori_loop(0, count, body, (state, zeros))
        return state, jax.tree.map(lambda x: x / count, sums)

    return jax.pmap(
        on_device,
        AXIS,
        in_axes=(None, None, 0, None, None),
        out_axes=(None, None),
        devices=devices,
    )
