"""Where propagated features lie: on the device, or in memory-mapped files of the cache folder."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmix_jax.data.nodes.stored_graph import RECORD
from mmix_jax.data.nodes.synthetic_graph import (
    SyntheticGraph,
    open_synthetic_graph,
    store_synthetic_graph,
)
from mmix_jax.data.store.files import cache_folder
from mmix_jax.data.types import NodeDataset
from mmix_jax.errors import InputError
from mmix_jax.experiments.nodes.config import NodeConfig
from mmix_jax.frameworks.mvgrl import NodeTables
from mmix_jax.graphs.on_disk import (
    StoredTables,
    opened_tables,
    record_tables,
    stored_tables,
)
from mmix_jax.graphs.shared_tables import SharedTables, columns_of, deal_out, rows_of
from mmix_jax.graphs.types import Graph
from mmix_jax.ops.arrays import digest
from mmix_jax.ops.npy_parts import write_pieces
from mmix_jax.processes.exchange import gathered
from mmix_jax.processes.group import group
from mmix_jax.surroundings import locked

# Of features and both tables; above, `auto` maps files.
_MOST_BYTES = 4 * 2**30
_FLAG = "XDG_CACHE_HOME"
NO_TABLES = NodeTables(None, None, None, None)  # on the device, where batches hold the rows
_log = logging.getLogger(__name__)


def mapped(config: NodeConfig, num_nodes: int, num_features: int) -> bool:
    """Whether a config's tables lie in files.

    Raises:
      InputError: they are asked for where a step reads the graph itself.
    """
    if config.tables == "memory":
        return False
    why_not = _why_not(config, num_nodes)
    asked = config.tables != "auto"
    if asked and why_not:
        raise InputError(
            f"tables {config.tables} are propagated features, which a step reads alone, found "
            f"{why_not}; use tables memory"
        )
    return not why_not and (asked or 12 * num_nodes * num_features > _MOST_BYTES)


def _why_not(config: NodeConfig, num_nodes: int) -> str:
    """What of a config needs more than rows of tables; empty where nothing does."""
    mixing = config.mixing
    needs = {
        f"framework {config.framework}": config.framework != "mvgrl",
        f"depth {config.depth}": config.depth > 1,
        "objective mvgrl": config.objective == "mvgrl",
        f"diffusion_form {config.diffusion.form}": config.diffusion.form != "features",
        f"mixing {mixing.rule}": mixing.of_inputs,
        f"candidates {mixing.candidates}": mixing.rule != "none" and not mixing.by_edges,
        f"sampler {config.sampler}": config.sampler in ("full", "window"),  # auto is not yet chosen
        f"batch_size {config.batch_size} of {num_nodes} nodes": num_nodes <= config.batch_size,
    }
    return next((words for words, found in needs.items() if found), "")


def drawn_in_files(
    config: NodeConfig, synthetic: SyntheticGraph, check: Callable[[], None] = lambda: None
) -> NodeDataset:
    """The drawn graph in files of the cache folder, which are written where they are not there;
    another process that does so is waited for."""
    named = hashlib.sha256(json.dumps(synthetic._asdict(), sort_keys=True).encode()).hexdigest()
    folder = cache_folder() / "graphs" / f"synthetic_graph-{named[:16]}"
    with locked(folder, flag=_FLAG, wait=check):
        if not (folder / RECORD).is_file():
            _log.info("drawing %d nodes into %s", synthetic.num_nodes, folder)
            store_synthetic_graph(synthetic, folder, check)
    return open_synthetic_graph(synthetic, folder, split=config.split, split_seed=config.split_seed)


def check_in_files(config: NodeConfig, dataset: NodeDataset) -> None:
    """Raise InputError where features in files were to be changed."""
    how = config.normalise_features
    changed = how in ("zscore", "rows") or dataset.bag_of_words or config.binarise_features
    if isinstance(dataset.graph.x, np.memmap) and changed:
        raise InputError(
            "features in files are taken as they are, found normalise_features "
            f"{how}{' and binarise_features' if config.binarise_features else ''}; store the graph "
            "with --standardise, or changed"
        )


def tables_in_files(
    config: NodeConfig,
    graph: Graph,
    num_devices: int = 1,
    check: Callable[[], None] = lambda: None,
) -> StoredTables | SharedTables:
    """ÂX and SX of a graph in a folder of the cache, by a digest of the graph and the settings.

    num_devices: of the run, for tables that its processes share.
    """
    options = config.diffusion.options()
    named = json.dumps(options, sort_keys=True) + digest(graph, check)
    folder = cache_folder() / "tables" / hashlib.sha256(named.encode()).hexdigest()[:32]
    size = 8 * graph.x.size / 1e9
    _log.info("tables: %.3g GB in files of %s, which may be removed any time", size, folder)
    if config.tables != "shared":
        with locked(folder, flag=_FLAG, wait=check):
            return stored_tables(graph, folder, diffusion=options, check=check)
    try:
        return _shared(graph, folder, options, num_devices, check)
    except OSError as error:
        raise InputError(
            f"tables must be readable and writable at {folder.parent}, found "
            f"{error.strerror or error}; free the disk, or name another cache by XDG_CACHE_HOME"
        ) from error


def _shared(
    graph: Graph, folder: Path, options: dict, num_devices: int, check: Callable[[], None]
) -> SharedTables:
    """This process's rows: its columns are propagated over all nodes, then dealt out to the owners
    of the rows."""
    here, (num_nodes, num_features) = group(), graph.x.shape
    if here.alone or num_features < here.size:
        raise InputError(
            "tables shared are those of several processes, each with a feature or more to "
            f"propagate, found {here.size} and {num_features}; use tables mapped"
        )
    mine = rows_of(num_nodes, here.size, here.rank)
    folder = folder.with_name(f"{folder.name}-{here.rank}-of-{here.size}")
    settings = {"diffusion": options, "rows": [mine.start, mine.stop], "columns": num_features}
    try:
        own = opened_tables(folder, settings, check)
    except (InputError, OSError):  # computed anew, as any of them is
        own = None
    if not all(gathered(own is not None)):
        columns = columns_of(num_features, here.size, here.rank)
        of_columns = folder.with_name(f"{folder.name}-columns")
        part = graph._replace(x=graph.x[:, columns])
        wide = stored_tables(part, of_columns, diffusion=options, check=check)
        folder.mkdir(parents=True, exist_ok=True)
        deal_out(wide, num_features, here, lambda name, x: write_pieces(folder / f"{name}.npy", x))
        record_tables(folder, settings, check)
        shutil.rmtree(of_columns, ignore_errors=True)
        own = opened_tables(folder, settings, check)
    assert own is not None
    return SharedTables(own, num_nodes, here, num_devices // here.size)
