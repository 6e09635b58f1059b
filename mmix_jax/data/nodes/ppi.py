"""PPI: proteins of 24 human tissues with 121 labels each, trained on 20 graphs, tested on 2 others.

For the forms of its files, and its sources, see `ppi_forms`.
"""

import os
from pathlib import Path

import numpy as np

from mmix_jax.data.nodes.ppi_files import FORMS, GRAPHSAGE, PER_SPLIT
from mmix_jax.data.nodes.ppi_forms import PPIParts, read_parts
from mmix_jax.data.splits import validate_split
from mmix_jax.data.statistics import PUBLISHED, check_statistics, node_statistics
from mmix_jax.data.store.checksums import RemoteFile
from mmix_jax.data.store.download import DownloadFailed, download_first
from mmix_jax.data.store.files import cache_folder, reading, search_folders
from mmix_jax.data.store.wanted import Wanted
from mmix_jax.data.types import NodeDataset
from mmix_jax.errors import MissingData
from mmix_jax.graphs.types import Split, make_graph
from mmix_jax.surroundings import user_path

BASE_URL = "https://data.dgl.ai/dataset/"
# Asked where the first fails; it has the other form.
SECOND_URL = "https://snap.stanford.edu/graphsage/"
ARCHIVE = "ppi.zip"


def load_ppi(
    *, data_dir: str | os.PathLike | None = None, base_url: str | None = None
) -> NodeDataset:
    """PPI from disk or downloaded, with its published statistics.

    Args:
      data_dir: holds the files of one form, or `ppi.zip`, in `ppi/` or directly; see
        `files.search_folders`.
      base_url: where `ppi.zip` of either form is; by default DGL's address, then GraphSAGE's.

    Raises:
      InputError: the files are nowhere and cannot be downloaded, or are damaged or another set's.
    """
    source = find_source(data_dir=data_dir, base_url=base_url)
    dataset = read_ppi(source)._replace(name="ppi")
    with reading(source):
        check_statistics("ppi", node_statistics(dataset))
    return dataset


def read_ppi(path: str | os.PathLike) -> NodeDataset:
    """Graphs in either of PPI's forms, whatever set they are: no sums, no statistics.

    Nodes are sorted by part and graph. Every edge is stored in both directions, without self-loops.
    Features are as in the files.

    Args:
      path: a folder, zip or tar with the files, see `ppi_forms`.

    Raises:
      InputError: in one line, which file is missing or what is wrong with it.
    """
    source = user_path(path, "data_path")
    parts = read_parts(source)
    name = source.resolve().name
    with reading(source):
        return _to_dataset(name if source.is_dir() else name.partition(".")[0], parts)


def find_source(*, data_dir: str | os.PathLike | None = None, base_url: str | None = None) -> Path:
    """The folder or archive first found; else the archive, downloaded.

    Raises:
      InputError: it is nowhere, and cannot be downloaded.
    """
    urls = _addresses(base_url)
    wanted = Wanted(
        f"PPI's files ({PER_SPLIT[0]} and {len(PER_SPLIT) - 1} more, or {GRAPHSAGE[0]} and "
        f"{len(GRAPHSAGE) - 1} more, or {ARCHIVE})",
        " or ".join(urls),
        "ppi",
    )
    folders = search_folders(data_dir, wanted=wanted)
    for folder in folders:
        # As an archive unpacks there, and as a user may have sorted the files.
        places = (folder / "ppi", folder / "ppi" / "ppi", folder)
        for form in FORMS:
            for place in places:
                if any((place / file).is_file() for file in form):
                    return place
        for place in places:
            if (place / ARCHIVE).is_file():
                return place / ARCHIVE
    # The archive in the cache, from the first address that gives it.
    pinned = PUBLISHED["ppi"]["files"]
    files = [RemoteFile(f"ppi/{ARCHIVE}", url, **pinned.get(url, {})) for url in urls]
    try:
        return download_first(files, cache_folder())
    except DownloadFailed as error:
        raise MissingData(wanted.nowhere(folders, error)) from error


def _addresses(base_url: str | None) -> list[str]:
    """Where the archive is."""
    addresses = (base_url,) if base_url else (BASE_URL, SECOND_URL)
    return [f"{address.rstrip('/')}/{ARCHIVE}" for address in addresses]


def _to_dataset(name: str, parts: PPIParts) -> NodeDataset:
    order = np.lexsort((parts.graph, parts.part))  # keeps the order of nodes within a graph
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    part, key = parts.part[order], parts.graph[order]
    is_first = (np.diff(part) != 0) | (np.diff(key) != 0)
    split = Split(*(np.flatnonzero(part == number).astype(np.int32) for number in range(3)))
    graph = make_graph(parts.x[order], place[parts.senders], place[parts.receivers])
    labels = parts.labels[order]
    validate_split(split, labels, graph.num_nodes)
    node_graph = np.cumsum(np.append(False, is_first), dtype=np.int32)
    return NodeDataset(name, graph, labels, labels.shape[1], split, None, False, node_graph)
