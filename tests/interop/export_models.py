"""States of every framework with drawn numbers; nothing is compiled for them."""

import jax
import numpy as np

from mmix_jax.frameworks import grace, mvgrl_nodes, simclr
from mmix_jax.mixing import Mixing

F, H, D = 5, 2, 6  # features; heads, and the width that they share


def drawn(spec, seed: int = 0):
    """Numbers in place of shapes, of both signs and of a size that layers keep."""
    draw = np.random.default_rng(seed)

    def numbers(path, x):
        if path[-1].key in ("scale", "var"):
            return draw.uniform(0.5, 1.5, x.shape).astype(x.dtype)
        size = 0.3 if x.ndim < 2 else np.sqrt(6 / np.prod(x.shape[:-1]))
        return draw.uniform(-size, size, x.shape).astype(x.dtype)

    return jax.tree_util.tree_map_with_path(numbers, spec)


def params(framework, settings):
    key = jax.random.key(0)
    return drawn(jax.eval_shape(lambda: framework.init_params(settings, F, key)))


def mvgrl():
    return params(mvgrl_nodes, mvgrl_nodes.MVGRLSettings(widths=(4, D))), {}


def of_grace(**options):
    settings = {"widths": (4, D), "head_width": 3, "mixing": Mixing(rule="mo"), **options}
    return params(grace, grace.GraceSettings(**settings)), {}


def gcn():
    return of_grace(activation="prelu", mixing=Mixing(rule="mp"))


def gat():
    return of_grace(encoder="gat", num_heads=H)


def images(stages=(1, 1), width: int = 4):
    settings = simclr.ImageSettings(stages=stages, width=width, features=7)
    key = jax.random.key(0)
    variables = drawn(jax.eval_shape(lambda: simclr.init_variables(settings, (8, 8, 3), key)))
    return variables["params"], variables["batch_stats"]


MODELS = {"mvgrl": mvgrl, "gcn": gcn, "gat": gat, "images": images}
