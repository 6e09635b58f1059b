"""A small encoder with its head, away from its initial statistics, and how to run it."""

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.encoders.heads import ProjectionHead
from mmix_jax.encoders.resnet import ResNet18
from mmix_jax.ops.similarity import normalise

SMALL = {"stages": (1, 1), "width": 4}


def variables(options=SMALL, seed: int = 0, dtype=np.float32, size: int = 8):
    """{"params": …, "batch_stats": …} with parts `encoder` and `head`, every entry moved."""
    draw = np.random.default_rng(seed)
    images = jnp.zeros((1, size, size, 3))
    encoder = ResNet18(**options).init(jax.random.key(seed), images)
    width = options["width"] * 2 ** (len(options["stages"]) - 1)
    head = ProjectionHead(6).init(jax.random.key(seed + 1), jnp.zeros((1, width)))

    def moved(leaf):  # variances stay positive
        return jnp.asarray(leaf + 0.2 * draw.uniform(size=leaf.shape), dtype)

    return {
        collection: jax.tree.map(moved, {"encoder": encoder[collection], "head": head[collection]})
        for collection in ("params", "batch_stats")
    }


def images(num: int, seed: int = 1, dtype=np.float32, size: int = 8) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(num, size, size, 3)), dtype)


def forward(params, batch_stats, x, *, train: bool, features: int = 6, options=SMALL, **both):
    """(unit features, unit outputs, batch statistics afterwards); `both` are of both modules."""
    dtype = both.pop("dtype", None)
    encoder = ResNet18(**options, dtype=dtype, **both)
    parts = {"encoder": encoder, "head": ProjectionHead(features, **both)}
    outputs, after = [x], {}
    for name, module in parts.items():
        collections = {"params": params[name], "batch_stats": batch_stats[name]}
        output, changed = module.apply(
            collections, outputs[-1], train=train, mutable=["batch_stats"]
        )
        outputs.append(output)
        after[name] = changed["batch_stats"]
    return normalise(outputs[1]), normalise(outputs[2]), after
