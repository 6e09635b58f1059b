"""A folder of small graphs of two kinds, and a config that trains on it in seconds."""

import pathlib

import numpy as np

from tests.experiments import configs

NUM_GRAPHS = 18


def save(folder: pathlib.Path, *, labelled: bool = True, num_graphs: int = NUM_GRAPHS):
    """Rings and stars of 3 to 9 nodes, and one graph of a single node."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for number in range(num_graphs):
        size = 1 if number == 5 else int(draw.integers(3, 10))
        kind = number % 2
        nodes = np.arange(size)
        ends = (nodes + 1) % size if kind else np.zeros(size, int)
        x = np.concatenate([draw.normal(size=(size, 2)), np.full((size, 1), kind)], axis=1)
        arrays = {"x": x, "edge_index": np.stack([nodes, ends])}
        np.savez(folder / f"g{number:02d}.npz", **arrays, **({"y": kind} if labelled else {}))
    return folder


def config(folder: pathlib.Path, variant: str = "smoke", **changes):
    """`configs/graph_folder.py:smoke` on that folder, on one device."""
    small = configs.load("graph_folder", variant)
    small.update({"data_path": str(folder), "num_devices": 1, "batch_size": 9} | changes)
    return small
