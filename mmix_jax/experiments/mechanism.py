"""What mixing does to negatives and gradients, measured while a training goes on."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mmix_jax.experiments.task import Training
from mmix_jax.losses import Contrast, contrast_statistics
from mmix_jax.mixing import Mixing
from mmix_jax.training.step import TrainState


def without_mixing(settings: Any) -> Any:
    """A framework's settings whose rule is none; all else stays."""
    if hasattr(settings, "mixing"):
        return dataclasses.replace(settings, mixing=settings.mixing.before_start())
    return dataclasses.replace(settings, views=without_mixing(settings.views))


def make_mechanism(
    training: Training, key: jax.Array, first_mixed: int = 0
) -> Callable[[TrainState], dict[str, float]]:
    """`measure(state) -> metrics`, on the batch and with the randomness of the state's next step
    (of the first device's share).

    `contrast/NAME`: `losses.contrast_statistics` of what is contrasted, where that is one set of
    pairs. `gradients/cosine` and `gradients/ratio`: angle and length of the whole loss's gradient,
    held against that of the same loss without mixing; where something is mixed, from step
    `first_mixed` on.
    """
    views: Any = getattr(training.settings, "views", training.settings)
    mixing: Mixing = views.mixing
    contrast: Contrast = views.contrast
    loss = training.make_loss(training.settings)
    plain = training.make_loss(without_mixing(training.settings))

    @partial(jax.jit, static_argnums=0)
    def compute(early, params, batch_stats, tables, shard, step):
        of_step = jax.random.fold_in(key, step)

        def gradient(function):
            differentiate = jax.grad(function, has_aux=True)
            return differentiate(params, batch_stats, (tables, shard), of_step)

        mixed, aux = gradient(plain if early else loss)
        metrics = {}
        if aux.seen is not None:
            options = {"temperature": contrast.temperature, "negatives": contrast.negatives}
            labels = None if training.classes is None else training.classes(tables, shard)
            stats = contrast_statistics(
                aux.seen.u, aux.seen.v, labels=labels, **aux.seen.rows, **options
            )
            metrics |= {f"contrast/{name}": value for name, value in stats.items()}
        if mixing.rule != "none" and not early:
            unmixed, _ = gradient(plain)
            lengths = [optax.tree.norm(tree) for tree in (mixed, unmixed)]
            product = optax.tree.vdot(mixed, unmixed)
            metrics["gradients/cosine"] = product / jnp.maximum(lengths[0] * lengths[1], 1e-30)
            metrics["gradients/ratio"] = lengths[0] / jnp.maximum(lengths[1], 1e-30)
        return metrics

    def measure(state: TrainState) -> dict[str, float]:
        shards = training.batch(int(state.step))
        first = jax.tree.map(lambda x: x[0, 0] if training.chunk > 1 else x[0], shards)
        early = int(state.step) < first_mixed
        found = compute(early, state.params, state.batch_stats, training.tables, first, state.step)
        return {name: float(value) for name, value in jax.device_get(found).items()}

    return measure
