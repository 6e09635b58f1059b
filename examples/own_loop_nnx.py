"""Mixing and InfoNCE in a training loop of one's own, on a flax.nnx model.

scikit-learn's digits: two views of each image are encoded, one is mixed with similar images of the
batch, and nearest neighbours judge the encoder before and after. Twenty seconds on two cores.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

from mmix_jax.evaluation import knn_accuracy
from mmix_jax.losses import info_nce
from mmix_jax.mixing import mix_pairs

STEPS = int(os.environ.get("MMIX_EXAMPLE_STEPS", "400"))
NUM_TRAIN = 1297


class Encoder(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.first = nnx.Conv(1, 32, (3, 3), rngs=rngs)
        self.second = nnx.Conv(32, 64, (3, 3), strides=2, rngs=rngs)
        self.out = nnx.Linear(64, 64, rngs=rngs)
        self.head = nnx.Linear(64, 64, rngs=rngs)

    def __call__(self, images):
        return self.out(nnx.relu(self.second(nnx.relu(self.first(images)))).mean((1, 2)))


def view(key, images):
    """Every image moved by up to a pixel each way, a tenth of its pixels blank."""
    shift_key, mask_key = jax.random.split(key)
    shifts = jax.random.randint(shift_key, (len(images), 2), -1, 2)
    moved = jax.vmap(lambda image, by: jnp.roll(image, by, (0, 1)))(images, shifts)
    return moved * jax.random.bernoulli(mask_key, 0.9, images.shape)


def loss_fn(model, images, key):
    key_a, key_b = jax.random.split(key)
    z_a, z_b = model(view(key_a, images)), model(view(key_b, images))
    mixture = mix_pairs(z_a, rule="mo", candidates="op", threshold=0.9)
    loss = info_nce(model.head(mixture.z_mixed), model.head(z_b), temperature=0.2)
    return loss, mixture.stats["unmixed"]


@nnx.jit
def step(model, optimizer, images, key):
    (loss, unmixed), gradients = nnx.value_and_grad(loss_fn, has_aux=True)(model, images, key)
    optimizer.update(model, gradients)
    return loss, unmixed


def main() -> None:
    pixels, labels = load_digits(return_X_y=True)
    images = np.float32(pixels / 16).reshape(-1, 8, 8, 1)
    train, test = np.split(labels, [NUM_TRAIN])

    def accuracy(model) -> float:
        bank, queries = np.split(np.asarray(model(images)), [NUM_TRAIN])
        return knn_accuracy(bank, train, queries, test, num_classes=10, k=20)["top1"]

    model = Encoder(nnx.Rngs(0))
    untrained = accuracy(model)
    optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)
    rng, key = np.random.default_rng(0), jax.random.key(1)
    for number in range(STEPS):
        batch = images[rng.choice(NUM_TRAIN, 256, replace=False)]
        loss, unmixed = step(model, optimizer, batch, jax.random.fold_in(key, number))
        if number in (0, STEPS - 1):
            print(f"step {number + 1}: loss {loss:.3f}, unmixed {unmixed:.2f}")
    print(f"kNN accuracy: untrained {untrained:.3f}, trained {accuracy(model):.3f}")


if __name__ == "__main__":
    main()
