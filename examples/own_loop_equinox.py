"""Mixing and InfoNCE in a training loop of one's own, on an equinox model (pip install equinox).

scikit-learn's digits: two views of each image are encoded, one is mixed with similar images of the
batch, and nearest neighbours judge the encoder before and after. Twenty seconds on two cores.
"""

import os

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

from mmix_jax.evaluation import knn_accuracy
from mmix_jax.losses import info_nce
from mmix_jax.mixing import mix_pairs

STEPS = int(os.environ.get("MMIX_EXAMPLE_STEPS", "400"))
NUM_TRAIN, OPTIMIZER = 1297, optax.adam(3e-3)


def make_model(key):
    """The encoder of one image [1, 8, 8], and a head for the loss alone."""
    keys, plain = jax.random.split(key, 4), {"use_bias": False}  # drawn biases hide the image
    relu, mean = eqx.nn.Lambda(jax.nn.relu), eqx.nn.Lambda(lambda x: x.mean((1, 2)))
    first = eqx.nn.Conv2d(1, 32, 3, padding=1, key=keys[0], **plain)
    second = eqx.nn.Conv2d(32, 64, 3, stride=2, padding=1, key=keys[1], **plain)
    out, head = (eqx.nn.Linear(64, 64, key=key, **plain) for key in keys[2:])
    return eqx.nn.Sequential([first, relu, second, relu, mean, out]), head


def view(key, image):
    """The image moved by up to a pixel each way, a tenth of its pixels blank."""
    shift_key, mask_key = jax.random.split(key)
    moved = jnp.roll(image, jax.random.randint(shift_key, (2,), -1, 2), (1, 2))
    return moved * jax.random.bernoulli(mask_key, 0.9, image.shape)


@eqx.filter_value_and_grad
def loss_fn(model, images, key):
    encoder, head = map(jax.vmap, model)
    keys = jax.random.split(key, (2, len(images)))
    z_a, z_b = (encoder(jax.vmap(view)(of_view, images)) for of_view in keys)
    z_mixed = mix_pairs(z_a, rule="mo", candidates="op", threshold=0.9).z_mixed
    return info_nce(head(z_mixed), head(z_b), temperature=0.2)


@eqx.filter_jit
def step(model, opt_state, images, key):
    loss, gradients = loss_fn(model, images, key)
    updates, opt_state = OPTIMIZER.update(gradients, opt_state)
    return eqx.apply_updates(model, updates), opt_state, loss


def main() -> None:
    pixels, labels = load_digits(return_X_y=True)
    images = np.float32(pixels / 16).reshape(-1, 1, 8, 8)
    train, test = np.split(labels, [NUM_TRAIN])

    def accuracy(model) -> float:
        bank, queries = np.split(np.asarray(jax.vmap(model[0])(images)), [NUM_TRAIN])
        return knn_accuracy(bank, train, queries, test, num_classes=10, k=20)["top1"]

    model = make_model(jax.random.key(0))
    untrained = accuracy(model)
    opt_state = OPTIMIZER.init(eqx.filter(model, eqx.is_array))
    rng, key = np.random.default_rng(0), jax.random.key(1)
    for number in range(STEPS):
        batch = images[rng.choice(NUM_TRAIN, 256, replace=False)]
        model, opt_state, loss = step(model, opt_state, batch, jax.random.fold_in(key, number))
        if number in (0, STEPS - 1):
            print(f"step {number + 1}: loss {loss:.3f}")
    print(f"kNN accuracy: untrained {untrained:.3f}, trained {accuracy(model):.3f}")


if __name__ == "__main__":
    main()
