"""Files of a report, which are written whole or not at all."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmix_jax.errors import InputError


def write_whole(
    path: Path, write: Callable[[Path], Any], *, what: str = "figures", flag: str = "--workdir"
) -> Path:
    """Write a file by `write(temporary path)`, and then put it in its place; folders are made.

    Raises:
      InputError: the file cannot be written; what was there stays. `what` and `flag` are its words.

    Example:
      >>> import pathlib, tempfile
      >>> from mmix_jax.report.files import write_whole
      >>> folder = pathlib.Path(tempfile.mkdtemp())
      >>> write_whole(folder / "a" / "b.txt", lambda path: path.write_text("words")).read_text()
      'words'
    """
    temporary = path.parent / f".{path.stem[:100]}.{os.getpid()}.tmp{path.suffix}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InputError(
            f"{what} must be writable at {path}, found {error}; choose another {flag}"
        ) from error
    return path
