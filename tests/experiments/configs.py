"""The config files, loaded as the command line loads them."""

import importlib.util
import pathlib

FOLDER = pathlib.Path(__file__).parents[2] / "configs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name: str, variant: str = ""):
    """`configs/<name>.py:<variant>`."""
    spec = importlib.util.spec_from_file_location(f"config_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant)
