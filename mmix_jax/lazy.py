"""Packages that import what they offer when it is first asked for, and are light until then."""

import importlib
from collections.abc import Callable, Mapping


def importer(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """`__getattr__` of a package whose names live in modules of its own: {name: module}.

    A name without a module is a module itself.

    Example:
      >>> from mmix_jax.lazy import importer
      >>> __getattr__ = importer("mmix_jax.mixing", {"mix_edges": "edges", "pairs": ""})
      >>> __getattr__("mix_edges").__name__, __getattr__("pairs").__name__
      ('mix_edges', 'mmix_jax.mixing.pairs')
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module = importlib.import_module(f"{package}.{homes[name] or name}")
        return getattr(module, name) if homes[name] else module

    return get
