"""Data sets: found, checked, downloaded where missing, and read into the types of `types`."""

from typing import TYPE_CHECKING

from mmix_jax.lazy import importer

if TYPE_CHECKING:
    from mmix_jax.data.catalog import load_graphs, load_images, load_nodes
    from mmix_jax.data.frames import from_edges, from_tables
    from mmix_jax.data.graphs.graph_folder import read_graph_folder
    from mmix_jax.data.graphs.tudataset import read_tudataset
    from mmix_jax.data.images.image_folder import read_image_folder
    from mmix_jax.data.libraries import from_pyg, from_scipy
    from mmix_jax.data.natural import graph_dataset, node_dataset
    from mmix_jax.data.natural_images import image_dataset
    from mmix_jax.data.networkx_graphs import from_networkx, from_networkx_graphs
    from mmix_jax.data.nodes.graph_file import read_graph_file
    from mmix_jax.data.nodes.ppi import read_ppi
    from mmix_jax.data.splits import random_split, stratified_split, validate_split
    from mmix_jax.data.types import (
        GraphDataset,
        ImageDataset,
        NodeDataset,
        make_graph_dataset,
        make_image_dataset,
    )

__all__ = [
    "GraphDataset",
    "ImageDataset",
    "NodeDataset",
    "from_edges",
    "from_networkx",
    "from_networkx_graphs",
    "from_pyg",
    "from_scipy",
    "from_tables",
    "graph_dataset",
    "image_dataset",
    "load_graphs",
    "load_images",
    "load_nodes",
    "make_graph_dataset",
    "make_image_dataset",
    "node_dataset",
    "random_split",
    "read_graph_file",
    "read_graph_folder",
    "read_image_folder",
    "read_ppi",
    "read_tudataset",
    "stratified_split",
    "validate_split",
]

__getattr__ = importer(
    __name__,
    {
        **dict.fromkeys(("load_graphs", "load_images", "load_nodes"), "catalog"),
        **dict.fromkeys(("from_edges", "from_tables"), "frames"),
        **dict.fromkeys(("from_networkx", "from_networkx_graphs"), "networkx_graphs"),
        **dict.fromkeys(("graph_dataset", "node_dataset"), "natural"),
        "image_dataset": "natural_images",
        **dict.fromkeys(("from_pyg", "from_scipy"), "libraries"),
        **dict.fromkeys(("random_split", "stratified_split", "validate_split"), "splits"),
        **dict.fromkeys(("GraphDataset", "ImageDataset", "NodeDataset"), "types"),
        **dict.fromkeys(("make_graph_dataset", "make_image_dataset"), "types"),
        "read_graph_file": "nodes.graph_file",
        "read_graph_folder": "graphs.graph_folder",
        "read_image_folder": "images.image_folder",
        "read_ppi": "nodes.ppi",
        "read_tudataset": "graphs.tudataset",
    },
)
