"""A PyTorch ResNet-18's weights under the names that they have in this package.

Two namings are known: that of the paper's authors (f.0.weight, …, head g.0.weight, …), and that of
torchvision (conv1.weight, …). `torch_names` takes wrappers off.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from mmix_jax.encoders.heads import ProjectionHead
from mmix_jax.encoders.resnet import ResNet18
from mmix_jax.errors import InputError
from mmix_jax.interop.torch_names import find_encoder, some

_STEM = {
    "authors": {"conv": "f.0", "norm": "f.1"},
    "torchvision": {"conv": "conv1", "norm": "bn1"},
}
# The authors' encoder is a sequence in which stages follow convolution, norm and ReLU.
_STAGE = {
    "authors": lambda stage, block: f"f.{stage + 3}.{block}",
    "torchvision": lambda stage, block: f"layer{stage + 1}.{block}",
}
_BLOCK = {
    "conv_1": "conv1",
    "norm_1": "bn1",
    "conv_2": "conv2",
    "norm_2": "bn2",
    "shortcut_conv": "downsample.0",
    "shortcut_norm": "downsample.1",
}
_HEAD = {"hidden": "g.0", "norm": "g.1", "output": "g.3"}
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
# Axes by rank: OIHW from HWIO, (out, in) from (in, out); and back.
TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
_TO_FLAX = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}


class Entry(NamedTuple):
    """Where a torch entry belongs: (collection, part, modules …, leaf), and its shape in torch."""

    path: tuple[str, ...]
    shape: tuple[int, ...]


class Converted(NamedTuple):
    """`params` and `batch_stats` with parts "encoder" and, if the file has one, "head"; NumPy.

    notes: what was left out, a line each.
    """

    params: dict[str, Any]
    batch_stats: dict[str, Any]
    notes: tuple[str, ...]


def entry_table(
    naming: str, *, stages: tuple[int, ...] = (2, 2, 2, 2), width: int = 64
) -> dict[str, Entry]:
    """Every entry of a model of three channels, by its torch name; `naming` is one of two.

    `authors` includes the head, `torchvision` has none.
    """
    encoder = ResNet18(stages=stages, width=width)
    key, images = jax.random.key(0), jnp.zeros((1, 32, 32, 3))
    parts = {"encoder": jax.eval_shape(encoder.init, key, images)}
    if naming == "authors":
        h = jnp.zeros((1, width * 2 ** (len(stages) - 1)))
        parts["head"] = jax.eval_shape(ProjectionHead().init, key, h)
    table = {}
    for part, variables in parts.items():
        flat = cast(dict[tuple[str, ...], Any], traverse_util.flatten_dict(variables))
        for (collection, *modules, leaf), spec in flat.items():
            name = (
                f"{_HEAD[modules[0]]}.{LEAVES[leaf]}"
                if part == "head"
                else encoder_name(naming, (*modules, leaf))
            )
            table[name] = Entry(
                (collection, part, *modules, leaf),
                tuple(spec.shape[axis] for axis in TO_TORCH[len(spec.shape)]),
            )
    return table


def encoder_name(naming: str, path: Sequence[str]) -> str:
    """The torch name of an encoder's array, by its path inside the encoder.

    Example:
      >>> from mmix_jax.interop.torch_resnet import encoder_name
      >>> encoder_name("torchvision", ("stage_1_block_0", "shortcut_conv", "kernel"))
      'layer2.0.downsample.0.weight'
    """
    *modules, leaf = path
    if len(modules) == 1:
        return f"{_STEM[naming][modules[0]]}.{LEAVES[leaf]}"
    _, stage, _, block = modules[0].split("_")
    return f"{_STAGE[naming](int(stage), int(block))}.{_BLOCK[modules[1]]}.{LEAVES[leaf]}"


def from_state_dict(
    state: Mapping[str, np.ndarray], *, stages: tuple[int, ...] = (2, 2, 2, 2), width: int = 64
) -> Converted:
    """A torch state_dict as parameters and batch statistics of `ResNet18` and `ProjectionHead`.

    Half precision becomes float32. `num_batches_tracked` is of no use here; what is left out with a
    note: a classifier, other heads, a moving copy of the encoder, a profiler's counters. A missing
    head is noted, too.

    Args:
      state: tensors by name, the authors' or torchvision's, under any prefix; convolutions OIHW,
        matrices (out, in).
      stages, width: of the encoder.

    Raises:
      InputError: entries are missing, left over or of another shape, all named in one line; or
        they are no finite floating-point numbers.
    """
    found = find_encoder(list(state))
    notes, table = [], entry_table(found.naming, stages=stages, width=width)
    if not any(name.startswith("g.") for name in found.given):
        notes.append("the file has no projection head (g)")
        table = {name: entry for name, entry in table.items() if entry.path[1] != "head"}
    _check(table, {name: state[own].shape for name, own in found.given.items()})
    arrays = {name: state[found.given[name]] for name in table}
    _check_numbers(arrays)
    leaves = {table[name].path: _to_flax(array) for name, array in arrays.items()}
    tree = traverse_util.unflatten_dict(leaves)
    return Converted(tree["params"], tree["batch_stats"], (*notes, *found.notes))


def _check(table: Mapping[str, Entry], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise one InputError that names all entries that do not fit."""
    wrong = {
        "missing": [name for name in table if name not in shapes],
        "surplus": [name for name in shapes if name not in table],
        "wrongly shaped": [
            f"{name} {shape} instead of {table[name].shape}"
            for name, shape in shapes.items()
            if name in table and shape != table[name].shape
        ],
    }
    faults = [f"{kind}: {some(names)}" for kind, names in wrong.items() if names]
    if faults:
        raise InputError(
            "the state_dict must be that of a ResNet-18 for small images (3×3 stem), found "
            f"{'; '.join(faults)}; convert a model of this form"
        )


def _check_numbers(arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise InputError(
                f"weights must be floating-point numbers, found {array.dtype} at {name}; convert "
                "them, a quantised model cannot be trained on"
            )
        with np.errstate(over="ignore"):
            finite = np.isfinite(array.astype(np.float32)).all()
        if not finite:
            raise InputError(
                f"weights must be finite, found others at {name}; take an earlier checkpoint"
            )


def _to_flax(array: np.ndarray) -> np.ndarray:
    """HWIO from OIHW, (in, out) from (out, in); at least float32."""
    moved = array.transpose(_TO_FLAX[array.ndim])
    return np.ascontiguousarray(moved, np.promote_types(array.dtype, np.float32))
