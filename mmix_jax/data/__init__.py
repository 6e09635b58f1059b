"""Data sets: found, checked, downloaded where missing, and read into ``NodeDataset``."""

from mmix_jax.data.catalog import load_nodes
from mmix_jax.data.convert import from_networkx, from_pyg, from_scipy
from mmix_jax.data.custom import read_graph_file
from mmix_jax.data.splits import random_split, stratified_split, validate_split
from mmix_jax.data.types import NodeDataset

__all__ = [
    "NodeDataset",
    "from_networkx",
    "from_pyg",
    "from_scipy",
    "load_nodes",
    "random_split",
    "read_graph_file",
    "stratified_split",
    "validate_split",
]
