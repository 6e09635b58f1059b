"""Ten images with a fixed pair of views each, a linear encoder, and the loss as loops."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import naive
from mmix_jax.augment.images import ImageAugmentation
from mmix_jax.frameworks import simclr
from mmix_jax.frameworks.simclr import ImageSettings, ImageTables, init_variables
from tests.frameworks import problem
from tests.frameworks.changes import changed

NUM, SIZE, D = 10, 6, 6
SHAPE = (SIZE, SIZE, 3)
KEY = jax.random.key(7)
ROWS = np.array([8, 1, 4, 9, 0, 3, 6, 7])  # the batch: neither all images nor in their order
LABELS = np.array([0, 1, 0, 1, 1, -1, 0, 1, 0, 0])
PLAIN = ImageAugmentation(crop_scale=None, flip=0.0, jitter=0.0, grayscale=0.0)
# Cosines of these outputs lie within ±0.8: at 0.3 some rows have several candidates, some none.
BASE = changed(
    ImageSettings(stages=(1,), width=4, features=D, dtype="float64", augmentation=PLAIN),
    threshold=0.3,
)
# Settings that draw nothing.
CASES = {
    "none": {"mixing": "none"},
    "mo_op": {"mixing": "mo"},
    "mo_all": {"mixing": "mo", "candidates": "all", "mixing_temperature": 0.5, "temperature": 0.7},
    "mo_flowing": {"mixing": "mo", "stop_gradient": False},
    "mo_lengths": {"mixing": "mo", "mix_normalised": False},
    "mo_cross": {"mixing": "mo", "negatives": "cross"},
    "mp_op": {"mixing": "mp", "threshold": 0.0},
    "mp_flowing": {"mixing": "mp", "threshold": 0.0, "stop_gradient": False},
    "mp_margin": {
        "mixing": "mp",
        "threshold": 0.0,
        "diversity_weight": 0.3,
        "diversity_margin": 0.1,
        "symmetric": True,
    },
    "binary": {"mixing": "binary", "candidates": "all"},
    "binary_op": {"mixing": "binary"},
    "symmetric": {"mixing": "mo", "symmetric": True, "stop_gradient": False},
    "not_renormalised": {"mixing": "mo", "renormalise": False},
    "authors": {"mixing": "mo", "self_weight": None, "renormalise": False},
}


def make_views() -> np.ndarray:
    """Views a and b of every image [2, NUM, *SHAPE]; those of one image are alike."""
    draw = np.random.default_rng(3)
    own = draw.normal(size=(NUM, *SHAPE))
    return own[None] + 0.5 * draw.normal(size=(2, NUM, *SHAPE))


VIEWS = make_views()
# Each pixel is its image's number, by which `fixed_views` finds the views.
TABLES = ImageTables(
    jnp.broadcast_to(jnp.arange(NUM, dtype=jnp.uint8)[:, None, None, None], (NUM, *SHAPE)),
    jnp.asarray(LABELS),
)


def fixed_views(settings, images, key, *, first=0) -> tuple[jax.Array, jax.Array]:
    """In the place of `two_views`."""
    number = images[:, 0, 0, 0].astype(jnp.int32)
    return jnp.asarray(VIEWS[0])[number], jnp.asarray(VIEWS[1])[number]


class Linear:
    """In the place of the model: head outputs z = W x, projected where the settings mix by mp."""

    def __init__(self, settings: ImageSettings, *, views: int, axis_name: str | None = None):
        self.projected, self.views = settings.mixing.rule == "mp", views

    def apply(self, variables, x, *, train, mutable):
        assert train and self.views == 2 and mutable == ["batch_stats"]
        params = variables["params"]
        z = x.reshape(x.shape[0], -1) @ params["w"]
        kernels = [params["projections"][name]["kernel"] for name in ("p_m", "p_n")]
        projected = (z @ kernels[0], z @ kernels[1]) if self.projected else None
        return (z, projected), {"batch_stats": variables["batch_stats"]}


def use_linear(monkeypatch) -> None:
    """Losses that are made from now on read fixed views and the linear encoder."""
    monkeypatch.setattr(simclr, "two_views", fixed_views)
    monkeypatch.setattr(simclr, "make_model", Linear)


def linear_parameters() -> Any:
    draw = np.random.default_rng(5)
    p_m, p_n = (jnp.asarray(draw.normal(size=(D, D))) for _ in range(2))
    w = 0.1 * draw.normal(size=(np.prod(SHAPE), D))
    return {"w": jnp.asarray(w), "projections": {"p_m": {"kernel": p_m}, "p_n": {"kernel": p_n}}}


def variables(settings: ImageSettings, dtype: Any = np.float64) -> Any:
    """Those of the real model, moved a little: biases and running statistics start alike."""
    fresh = jax.jit(lambda key: init_variables(settings, SHAPE, key))(jax.random.key(0))
    draw = np.random.default_rng(2)
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf + 0.2 * draw.uniform(size=leaf.shape), dtype), fresh
    )


# The same as loops


def linear_outputs(params, rows=ROWS, views=VIEWS) -> tuple[np.ndarray, np.ndarray]:
    """z^a and z^b."""
    w = np.asarray(params["w"])
    return tuple(view[rows].reshape(len(rows), -1) @ w for view in views)


def loss_of_outputs(settings: ImageSettings, params, outputs, held=None) -> float:
    """NT-Xent of mixtures and view b, with L_div (eq. 8) for mp-mix, of `outputs` (z^a, z^b).

    `held` are the parameters and outputs that weights are made of where no gradient flows through
    them.
    """
    held_params, held_outputs = (params, outputs) if held is None else held

    def mixed(view: int) -> np.ndarray:
        weights = problem.weights(settings, held_params, held_outputs[view])
        z = outputs[view]
        return naive.mix(weights, naive.normalise(z) if settings.mixing.mix_normalised else z)

    u = mixed(0)
    v = mixed(1) if settings.symmetric else naive.normalise(outputs[1])
    if settings.contrast.negatives == "cross":
        value = naive.info_nce(u, v, temperature=settings.contrast.temperature, negatives="cross")
    else:
        similarity = naive.cosine if settings.renormalise else naive.dot
        value = naive.nt_xent(
            u, v, temperature=settings.contrast.temperature, similarity=similarity
        )
    if settings.mixing.rule == "mp":
        views = outputs if settings.symmetric else outputs[:1]
        pairs = [problem.project(params["projections"], naive.normalise(z)) for z in views]
        terms = [
            naive.diversity(*map(naive.normalise, pair), margin=settings.contrast.diversity_margin)
            for pair in pairs
        ]
        value += settings.contrast.diversity_weight * sum(terms) / len(terms)
    return value
