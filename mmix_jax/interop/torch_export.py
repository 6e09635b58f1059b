"""Parameters of this package under the names that PyTorch has for them.

Graph convolutions are torch_geometric's `GCNConv`, attention layers its `GATConv`, a ResNet-18 is
torchvision's, heads are `Sequential`s. docs/export.md lists every name.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from flax import traverse_util

from mmix_jax.interop.torch_resnet import LEAVES, TO_TORCH, encoder_name

_Layout = Callable[[np.ndarray], np.ndarray]


def _kernel(x: np.ndarray) -> np.ndarray:
    """(out, in) from (in, out), OIHW from HWIO; vectors stay."""
    return x.transpose(TO_TORCH[x.ndim])


def _slope(x: np.ndarray) -> np.ndarray:
    """A PReLU's one slope is a vector of one in torch."""
    return x.reshape(1)


def _heads(x: np.ndarray) -> np.ndarray:
    """[H, D] with the axis of one row that torch_geometric broadcasts over nodes."""
    return x[None]


def _same(x: np.ndarray) -> np.ndarray:
    return x


_ENCODER = r"(encoder\w*)"
_SHARED: tuple[tuple[str, str, _Layout], ...] = (
    (rf"{_ENCODER}\.dense_(\d+)\.kernel", r"\1.convs.\2.lin.weight", _kernel),
    (rf"{_ENCODER}\.bias_(\d+)", r"\1.convs.\2.bias", _same),
    # A message goes from a source to a destination: the sender, and the receiver.
    (rf"{_ENCODER}\.to_sender_(\d+)", r"\1.convs.\2.att_src", _heads),
    (rf"{_ENCODER}\.to_receiver_(\d+)", r"\1.convs.\2.att_dst", _heads),
    (rf"{_ENCODER}\.prelu_(\d+)\.negative_slope", r"\1.prelus.\2.weight", _slope),
    (r"predictor\.Dense_0\.kernel", "predictor.0.weight", _kernel),
    (r"predictor\.PReLU_0\.negative_slope", "predictor.1.weight", _slope),
    (r"predictor\.Dense_1\.kernel", "predictor.2.weight", _kernel),
    (r"projections\.(p_m|p_n)\.kernel", r"projection.\1.weight", _kernel),
)
_HEAD = re.compile(r"head\.(hidden|norm|output)\.(\w+)")
_RESNET = re.compile(r"encoder\.((?:conv|norm|stage_\d+_block_\d+\.\w+)\.\w+)")


def torch_tensors(params: Any, batch_stats: Any) -> dict[str, np.ndarray]:
    """Arrays by the names and in the layouts of PyTorch.

    What has no counterpart there keeps its own path, joined by dots, and its layout.

    Args:
      params, batch_stats: of a state, of any framework of this package; `batch_stats` may be empty.

    Returns:
      {name: array}, matrices (out, in) and convolutions OIHW; types are kept.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.interop.torch_export import torch_tensors
      >>> encoder = {"dense_0": {"kernel": np.zeros((5, 3))}, "bias_0": np.zeros(3)}
      >>> tensors = torch_tensors({"encoder_a": encoder}, {})
      >>> {name: x.shape for name, x in tensors.items()}
      {'encoder_a.convs.0.lin.weight': (3, 5), 'encoder_a.convs.0.bias': (3,)}
    """
    flat = {**_flat(params), **_flat(batch_stats)}  # no leaf of the one is called as of the other
    # SimCLR's head is linear, norm, ReLU, linear; GRACE's is linear, ELU, linear.
    last = 3 if any(path.startswith("head.norm.") for path in flat) else 2
    tensors = {}
    for path, x in flat.items():
        name, layout = _named(path, last)
        tensors[name] = layout(x)
    return tensors


def flax_tensors(params: Any, batch_stats: Any) -> dict[str, np.ndarray]:
    """Arrays as they are, by their paths: `params.encoder_a.dense_0.kernel` and the like.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.interop.torch_export import flax_tensors
      >>> list(flax_tensors({"encoder_a": {"bias_0": np.zeros(3)}}, {}))
      ['params.encoder_a.bias_0']
    """
    return _flat({"params": params, "batch_stats": batch_stats})


def _flat(tree: Any) -> dict[str, np.ndarray]:
    flat = traverse_util.flatten_dict(tree, sep=".")
    return {str(path): np.asarray(x) for path, x in flat.items()}


def _named(path: str, last: int) -> tuple[str, _Layout]:
    """The torch name of a path, and what makes torch's array; `last` is the head's last layer."""
    for pattern, name, layout in _SHARED:
        if found := re.fullmatch(pattern, path):
            return found.expand(name), layout
    if found := _RESNET.fullmatch(path):
        return encoder_name("torchvision", found[1].split(".")), _kernel
    if found := _HEAD.fullmatch(path):
        place = {"hidden": 0, "norm": 1, "output": last}[found[1]]
        return f"head.{place}.{LEAVES[found[2]]}", _kernel
    return path, _same
