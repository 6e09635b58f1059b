"""Three small trainings in whatever group of processes this is; a process of its own as a program.

python -m tests.processes.worker OUT PORT SIZE RANK
"""

import sys
from pathlib import Path

import jax
import numpy as np

STEPS = 4  # of which two are evaluated


def _tasks(num_devices: int, tables: str):
    """A task of each kind, on drawn data; that of nodes with its tables in files."""
    from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph, load_synthetic_graph
    from mmix_jax.data.types import GraphDataset, make_image_dataset
    from mmix_jax.experiments import graph_config, image_config, node_config, task_of
    from mmix_jax.graphs.types import make_graph

    draw = np.random.default_rng(0)
    small = {"num_steps": STEPS, "eval_every": 2, "num_devices": num_devices, "seed": 3}
    config = node_config("synthetic_graph")
    config.update(small | {"width": 8, "num_classifiers": 1, "sampler": "nodes", "batch_size": 24})
    config.mixing, config.candidates = "mo", "wp"
    config.tables = tables
    shape = SyntheticGraph(num_nodes=100, num_classes=2, num_features=9)
    yield task_of(config, load_synthetic_graph(shape))

    graphs = tuple(
        make_graph(draw.normal(size=(5, 3)).astype(np.float32), [0, 1, 2, 3], [1, 2, 3, 4])
        for _ in range(8)
    )
    labels = np.arange(8, dtype=np.int32) % 2
    config = graph_config("mutag")
    config.update(small | {"width": 8, "depth": 1, "batch_size": 4, "features": "attributes"})
    yield task_of(config, GraphDataset("drawn", graphs, labels, 2, "attributes", None))

    images = draw.integers(0, 256, size=(24, 8, 8, 3)).astype(np.uint8)
    labels = np.arange(24, dtype=np.int32) % 3
    config = image_config("digits")
    config.update(
        small | {"stages": (1,), "width": 4, "head_width": 4, "batch_size": 8, "num_neighbours": 3}
    )
    yield task_of(config, make_image_dataset("drawn", images, labels, classes=("a", "b", "c")))


def trained(num_devices: int = 0, tables: str = "mapped") -> dict[str, np.ndarray]:
    """Losses and final parameters of each training."""
    from mmix_jax.experiments import pretrain

    found = {}
    for place, task in enumerate(_tasks(num_devices, tables)):
        done = pretrain(task, show=False)
        found[f"{place}/losses"] = np.array([row["loss"] for row in done.history])
        for number, x in enumerate(jax.tree.leaves(done.state.params)):
            found[f"{place}/{number}"] = np.asarray(x)
    return found


def main(out: str, port: str, size: str, rank: str) -> None:
    from mmix_jax.processes.exchange import told
    from mmix_jax.processes.group import enter
    from mmix_jax.processes.joining import Joining, join, leave

    jax.config.update("jax_num_cpu_devices", 1)
    join(Joining(f"127.0.0.1:{port}", int(size), int(rank)))
    enter(jax.process_index(), jax.process_count())
    found = trained(tables="shared")
    assert told(lambda: [rank, float("inf")]) == ["0", float("inf")]
    np.savez(Path(out) / f"{rank}.npz", **found)
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
