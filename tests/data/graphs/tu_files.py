"""Writes small sets of graphs in TUDataset's format."""

import pathlib
import zipfile
from collections.abc import Mapping

import numpy as np

# Four graphs: a triangle, one without nodes, an edge (listed in one direction), a single node.
TOY = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n1, 3\n3, 1\n5, 4\n",
    "graph_indicator": "1\n1\n1\n3\n3\n4\n",
    "graph_labels": "1\n-1\n-1\n1\n",
    "node_labels": "3\n7\n3\n-2\n3\n7\n",
    "node_attributes": "0.5, 7\n1.5, 7\n-1, 7\n2e1, 7\n0, 7\n0, 7\n",
}
MINIMAL = {part: TOY[part] for part in ("A", "graph_indicator", "graph_labels")}


def write_zip(
    folder: pathlib.Path, name: str, parts: Mapping[str, str], *, inside: str | None = None
) -> pathlib.Path:
    """`name.zip`; names inside begin with `inside`, by default with a double slash."""
    inside = f"{name}//" if inside is None else inside
    with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{inside}README.txt", "about the set")
        for part, text in parts.items():
            archive.writestr(f"{inside}{name}_{part}.txt", text)
    return folder / f"{name}.zip"


def write_folder(folder: pathlib.Path, name: str, parts: Mapping[str, str]) -> pathlib.Path:
    """The same files unpacked in `folder/name`."""
    (folder / name).mkdir(parents=True)
    for part, text in parts.items():
        (folder / name / f"{name}_{part}.txt").write_text(text)
    return folder / name


def random_parts(
    num_graphs: int, num_classes: int, *, copies: int = 2, both: bool = True
) -> tuple[dict[str, str], list[tuple[int, list[tuple[int, int]]]]]:
    """A set without node labels, in the form of the IMDB sets.

    Args:
      num_graphs: of 1 … 9 nodes.
      num_classes: numbered from 1, the last class first.
      copies: how often every line of edges is listed.
      both: list both directions of every edge.

    Returns:
      The files by part; number of nodes and edges from 0 (one direction) of every graph.
    """
    rng = np.random.default_rng(0)
    graphs, indicator, lines = [], [], []
    for graph in range(1, num_graphs + 1):
        num_nodes, first = int(rng.integers(1, 10)), len(indicator) + 1
        upper = zip(*np.triu_indices(num_nodes, 1), strict=True)
        edges = [(int(i), int(j)) for i, j in upper if rng.random() < 0.5]
        indicator += [graph] * num_nodes
        for i, j in edges:
            lines += [f"{first + i}, {first + j}"] * copies
            lines += [f"{first + j}, {first + i}"] * copies * both
        graphs.append((num_nodes, edges))
    labels = [num_classes - g % num_classes for g in range(num_graphs)]
    parts = {
        "A": [lines[k] for k in rng.permutation(len(lines))],
        "graph_indicator": indicator,
        "graph_labels": labels,
    }
    return {part: "".join(f"{row}\n" for row in rows) for part, rows in parts.items()}, graphs
