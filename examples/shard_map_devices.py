"""Mixing and InfoNCE inside jax.shard_map: a batch shared by all devices, equal to one device.

Each device encodes its own rows and mixes and contrasts them with everybody's. On a CPU four
devices are simulated. Losses and parameters of a few steps are compared with those of one device.
Ten seconds on two cores.
"""

import os

# Simulated devices of a CPU; must be set before jax is imported.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from sklearn.datasets import load_digits

from mmix_jax.losses import info_nce
from mmix_jax.mixing import mix_pairs

STEPS = int(os.environ.get("MMIX_EXAMPLE_STEPS", "50"))
ROWS_OF_A_DEVICE, LEARNING_RATE = 128, 0.3


def loss_fn(params, x_a, x_b, axis_name=None):
    """With an axis: this device's share of the loss over the rows of all of them."""
    z_a, z_b = (jnp.tanh(x @ params["encoder"]) for x in (x_a, x_b))
    mixed = mix_pairs(z_a, rule="mo", candidates="op", threshold=0.9, axis_name=axis_name).z_mixed
    # block_size streams: no device ever holds a matrix of all pairs.
    return info_nce(
        mixed @ params["head"], z_b, temperature=0.2, axis_name=axis_name, block_size=64
    )


def on_one_device(params, x_a, x_b):
    loss, gradient = jax.value_and_grad(loss_fn)(params, x_a, x_b)
    return loss, jax.tree.map(lambda p, g: p - LEARNING_RATE * g, params, gradient)


def on_each_device(params, x_a, x_b):
    share, gradient = jax.value_and_grad(loss_fn)(params, x_a, x_b, axis_name="devices")
    # Parameters are the same everywhere: shard_map has summed their gradient over the devices.
    params = jax.tree.map(lambda p, g: p - LEARNING_RATE * g, params, gradient)
    return jax.lax.psum(share, "devices"), params


def train(step, images):
    """The losses of all steps, and the parameters after them."""
    rng = np.random.default_rng(0)
    shapes = {"encoder": (64, 32), "head": (32, 32)}
    params = {name: jnp.float32(rng.normal(size=s) / s[0] ** 0.5) for name, s in shapes.items()}
    losses = []
    for _ in range(STEPS):
        x_a, x_b = (np.float32(images * (rng.random(images.shape) < 0.8)) for _ in "ab")
        loss, params = step(params, x_a, x_b)
        losses.append(float(loss))
    return losses, params


def main() -> None:
    mesh = Mesh(np.array(jax.devices()), ("devices",))
    rows, everywhere = PartitionSpec("devices"), PartitionSpec()
    sharded = jax.shard_map(
        on_each_device, mesh=mesh, in_specs=(everywhere, rows, rows), out_specs=everywhere
    )
    images = load_digits().data[: ROWS_OF_A_DEVICE * jax.device_count()] / 16
    images -= images.mean(0)
    steps = (jax.jit(on_one_device), jax.jit(sharded))
    (one, many), ends = zip(*(train(step, images) for step in steps), strict=True)
    print(f"{jax.device_count()} devices, {len(images)} images, {STEPS} steps")
    print(f"loss on one: {one[0]:.4f} to {one[-1]:.4f}, on all: {many[0]:.4f} to {many[-1]:.4f}")
    largest = max(jax.tree.leaves(jax.tree.map(lambda p, q: abs(p - q).max(), *ends)))
    print(f"differences: loss {np.abs(np.subtract(one, many)).max():.1e}, parameters {largest:.1e}")


if __name__ == "__main__":
    main()
