"""A graph of thirty nodes on disk, a config that trains on it in seconds, a cache of programs."""

import contextlib
import pathlib

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from tests.experiments import configs

N = 30
_CACHE = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def arrays(**changes) -> dict[str, np.ndarray]:
    """Two rings of unlike features with a few chords, and masks; a change to None removes a key."""
    draw = np.random.default_rng(0)
    node = np.arange(N)
    labels = (node >= N // 2).astype(np.int32)
    ring = np.where((node + 1) % (N // 2) == 0, node + 1 - N // 2, node + 1)
    chords = draw.integers(0, N, size=(2, 8))
    parts = {
        "edge_index": np.concatenate([np.stack([node, ring]), chords], axis=1),
        "x": draw.normal(size=(N, 6)) + labels[:, None],
        "y": labels,
        "train_mask": node % 3 == 0,
        "val_mask": node % 3 == 1,
        "test_mask": node % 3 == 2,
    }
    return {name: value for name, value in (parts | changes).items() if value is not None}


def save(path: pathlib.Path, **changes) -> pathlib.Path:
    np.savez(path, **arrays(**changes))
    return path


def config(path: pathlib.Path, **changes):
    """`configs/graph_file.py:smoke` on that file, on one device."""
    small = configs.load("graph_file", "smoke")
    small.update({"data_path": str(path), "num_devices": 1, "width": 8} | changes)
    return small


@contextlib.contextmanager
def compile_cache(folder: pathlib.Path):
    """Within, a program that is built again is read from disk: every resumption builds its own."""
    settings = {"jax_compilation_cache_dir": str(folder)} | _CACHE
    before = {name: getattr(jax.config, name) for name in settings}
    try:
        for name, value in settings.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
