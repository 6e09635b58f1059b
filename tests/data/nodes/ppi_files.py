"""Writes six small graphs in both forms in which PPI is published: 4 to train on, 1 and 1 others.

As in PPI, features are 0 or 1, links loop here and there, and one training graph's rows hold three
nodes apart from its main component, which both forms count to the first training graph.
"""

import json
import pathlib
import zipfile
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

NUM_GRAPHS, NUM_NODES, NUM_FEATURES, NUM_LABELS = (4, 1, 1), 12, 8, 5
PARTS = ("train", "valid", "test")


class Rows(NamedTuple):
    """The graphs in the order of GraphSAGE's rows.

    x: 0.0 or 1.0 [N, 8].
    labels: int64 [N, 5]: label l is there where feature l or l + 3 is.
    links: every undirected one once, self-loops included, [E, 2].
    part: 0, 1, 2 for train, valid, test, [N].
    graph: 0 … 5, [N]; it falls where the three nodes apart begin.
    """

    x: np.ndarray
    labels: np.ndarray
    links: np.ndarray
    part: np.ndarray
    graph: np.ndarray


def make_rows(seed: int = 0) -> Rows:
    """Graphs whose neighbours are alike, so that features and labels survive propagation."""
    rng = np.random.default_rng(seed)
    blocks, links, graph, start = [], [], [], 0
    for number in range(sum(NUM_GRAPHS)):
        block = rng.integers(0, 2, (NUM_NODES, NUM_FEATURES))
        blocks.append(block[np.lexsort(block.T)])
        here = start + np.arange(NUM_NODES)
        ring = np.stack([here, np.roll(here, -1)], axis=1)
        chords = np.stack([here[::4], here[2::4]], axis=1)
        links += [ring, chords, np.repeat(here[:2, None], 2, axis=1)]
        graph += [number] * NUM_NODES
        start += NUM_NODES
        if number == 1:  # a pair, and a node with nothing but a self-loop
            blocks.append(rng.integers(0, 2, (3, NUM_FEATURES)))
            links.append(np.array([[start, start + 1], [start + 2, start + 2]]))
            graph += [0] * 3
            start += 3
    x = np.concatenate(blocks).astype(np.float64)
    labels = np.maximum(x[:, :NUM_LABELS], x[:, 3 : 3 + NUM_LABELS]).astype(np.int64)
    index = np.array(graph)
    part = np.repeat(np.arange(3), NUM_GRAPHS)[index]
    return Rows(x, labels, np.concatenate(links), part, index)


def write_graphsage(folder: pathlib.Path, *, seed: int = 0) -> pathlib.Path:
    """The four files of GraphSAGE's form in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = make_rows(seed)
    nodes = [
        {"test": bool(part == 2), "id": node, "val": bool(part == 1)}
        for node, part in enumerate(rows.part)
    ]
    _write_graph(folder / "ppi-G.json", nodes, rows.links, directed=False)
    np.save(folder / "ppi-feats.npy", rows.x)
    write_json(folder / "ppi-id_map.json", {str(i): i for i in range(len(nodes))})
    labels = {str(i): row for i, row in enumerate(rows.labels.tolist())}
    write_json(folder / "ppi-class_map.json", labels)
    return folder


def write_per_split(folder: pathlib.Path, *, seed: int = 0) -> pathlib.Path:
    """The twelve files of DGL's form in `folder`: both directions, a self-loop at every node."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = make_rows(seed)
    for number, part in enumerate(PARTS):
        here = np.flatnonzero(rows.part == number)
        here = here[np.argsort(rows.graph[here], kind="stable")]
        place = {node: position for position, node in enumerate(here.tolist())}
        inside = [(place[i], place[j]) for i, j in rows.links.tolist() if i in place and i != j]
        loops = [(i, i) for i in range(here.size)]
        links = np.array(sorted({*inside, *((j, i) for i, j in inside), *loops}))
        nodes = [{"id": position} for position in range(here.size)]
        _write_graph(folder / f"{part}_graph.json", nodes, links, directed=True)
        np.save(folder / f"{part}_feats.npy", rows.x[here])
        np.save(folder / f"{part}_labels.npy", rows.labels[here])
        np.save(folder / f"{part}_graph_id.npy", rows.graph[here] + 1)
    return folder


def write_zip(folder: pathlib.Path, path: pathlib.Path, *, inside: str = "") -> pathlib.Path:
    """The files of `folder` as a zip at `path`; their names begin with `inside`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as zipped:
        for file in folder.iterdir():
            zipped.write(file, inside + file.name)
    return path


def edit(folder: pathlib.Path, file: str, change: Callable[[Any], Any] | bytes) -> None:
    """Writes a file anew: given bytes as they are, or its changed array or JSON."""
    path = folder / file
    if isinstance(change, bytes):
        path.write_bytes(change)
    elif file.endswith(".npy"):
        np.save(path, change(np.load(path)))
    else:
        write_json(path, change(json.loads(path.read_text())))


def make_links(pairs: Iterable[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """Links as in node-link JSON."""
    return [{"source": source, "target": target} for source, target in pairs]


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file."""
    path.write_text(json.dumps(value))


def _write_graph(path: pathlib.Path, nodes: list, links: np.ndarray, *, directed: bool) -> None:
    graph = {"directed": directed, "graph": {}, "multigraph": False, "nodes": nodes}
    write_json(path, graph | {"links": make_links(links.tolist())})
