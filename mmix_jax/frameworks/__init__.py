"""Frameworks join encoders, mixing, heads and losses into one `loss_fn`.

Their names are light; the modules are imported where they are used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmix_jax.frameworks.base import NodeFramework

# For nodes, by name: the module in this package.
NODE_FRAMEWORKS = {"mvgrl": "mvgrl_nodes", "grace": "grace"}
GRAPH_FRAMEWORKS = {"mvgrl": "mvgrl_graphs"}
IMAGE_FRAMEWORKS = {"simclr": "simclr"}
# What becomes of the vectors of a graph's nodes.
READOUTS = ("mean", "sum")


def node_framework(name: str) -> "NodeFramework":
    """The module of a framework for nodes."""
    return importlib.import_module(f"{__name__}.{NODE_FRAMEWORKS[name]}")  # type: ignore[return-value]
