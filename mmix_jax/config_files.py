"""Config files: by path or by name, in a checkout and where pip has installed the package."""

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any

from mmix_jax.errors import InputError
from mmix_jax.surroundings import user_path

_DISTRIBUTION = "mmix-jax"


def shipped() -> dict[str, Path]:
    """The config files that come with the package, by name."""
    checkout = Path(__file__).parent.parent / "configs"
    paths = list(checkout.glob("*.py"))
    if not paths:
        try:
            files = importlib.metadata.files(_DISTRIBUTION) or []
        except importlib.metadata.PackageNotFoundError:
            files = []
        own = [file for file in files if file.match("mmix_jax/configs/*.py")]
        paths = [Path(str(file.locate())) for file in own]
    return {path.stem: path for path in sorted(paths) if not path.stem.startswith("_")}


def find_config(given: str) -> tuple[Path, str]:
    """The file and the variant of PATH[:VARIANT] or NAME[:VARIANT].

    A path may hold colons: what is before the last is one where there is such a file.

    Raises:
      InputError: there is no such file, or no config of that name.
    """
    whole, (before, _, after) = given, given.rpartition(":")
    named = shipped()
    for text, variant in ((whole, ""), (before, after)):
        if text and user_path(text, "--config").is_file():
            return user_path(text, "--config"), variant
        if text in named:
            return named[text], variant
    raise InputError(
        f"a config must be a file or a name, found no {given.partition(':')[0]!r}; names are "
        f"{', '.join(named) or 'none, as no configs are installed'}"
    )


def load_config(path: Path, variant: str) -> Any:
    """What the file's `get_config(variant)` returns; without a variant, `get_config()`.

    Raises:
      InputError: the file cannot be run, has no such function, or that raises.
    """
    spec = importlib.util.spec_from_file_location("config", path)
    if spec is None or spec.loader is None:
        raise InputError(f"a config must be a Python file, found {path}; name it .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return module.get_config(variant) if variant else module.get_config()
    except InputError:
        raise
    except Exception as error:  # whatever the file does
        reason = str(error) or type(error).__name__
        raise InputError(
            f"config {path} cannot be read: {type(error).__name__}: {reason}; mend it"
        ) from error
