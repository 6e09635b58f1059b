"""Finds data files on disk, checks them against pinned sums, has missing ones downloaded."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmix_jax.data.store.checksums import RemoteFile, check_sha256
from mmix_jax.data.store.download import DownloadFailed, download
from mmix_jax.data.store.wanted import Wanted, no_folder, wanted_files
from mmix_jax.errors import InputError, MissingData
from mmix_jax.surroundings import cache_home, user_path


@contextlib.contextmanager
def reading(source: object = "") -> Iterator[None]:
    """A ValueError inside is bad input: of a file, or of a config that asks for a data set.

    Raises:
      InputError: in its place, or MissingData, beginning with `source` where there is one.
    """
    try:
        yield
    except ValueError as error:
        kind = type(error) if isinstance(error, InputError) else InputError
        raise kind(f"{source}: {error}" if source else str(error)) from error


def cache_folder() -> Path:
    """Where downloads are kept: `$XDG_CACHE_HOME/mmix_jax`, by default `~/.cache/mmix_jax`."""
    return cache_home() / "mmix_jax"


def search_folders(
    data_dir: str | os.PathLike | None = None, *, wanted: Wanted | None = None
) -> list[Path]:
    """Folders in the order of search: `data_dir`, `$MMIX_DATA_DIR`, the cache.

    Args:
      data_dir: searched first, if any.
      wanted: what is looked for in them, for the error's line.

    Raises:
      InputError: `data_dir` or `$MMIX_DATA_DIR` is given and is no folder.
    """
    named = {"data_dir": data_dir, "MMIX_DATA_DIR": os.environ.get("MMIX_DATA_DIR")}
    folders = []
    for origin, value in named.items():
        if not value:
            continue
        folder = user_path(value, origin)
        if not folder.is_dir():
            raise InputError((wanted.no_folder if wanted else no_folder)(origin, str(folder)))
        folders.append(folder)
    return [*folders, cache_folder()]


def find_file(
    path: str, data_dir: str | os.PathLike | None = None, *, wanted: Wanted | None = None
) -> Path | None:
    """The first `folder/path`, or else `folder/name`, that exists; None if there is none."""
    for folder in search_folders(data_dir, wanted=wanted):
        for candidate in (folder / path, folder / Path(path).name):
            if candidate.is_file():
                return candidate
    return None


def require_files(
    files: Sequence[RemoteFile], *, data_dir: str | os.PathLike | None = None
) -> list[Path]:
    """Paths of all files, in order: found on disk, or downloaded into the cache.

    Args:
      files: what is needed, all of one folder.
      data_dir: searched first; see `search_folders`.

    Raises:
      InputError: a file differs from its pinned sum, or cannot be had; the line names the
        files, the folders searched, the address and the place to put them.
    """
    wanted = wanted_files(files)
    paths = {file.path: find_file(file.path, data_dir, wanted=wanted) for file in files}
    missing = []
    for file in files:
        path = paths[file.path]
        if path is None:
            missing.append(file)
        else:
            check_sha256(path, file)
    if missing:
        try:
            paths |= download(missing, cache_folder())
        except DownloadFailed as error:
            line = wanted_files(missing).nowhere(search_folders(data_dir), error)
            raise MissingData(line) from error
    return [path for path in paths.values() if path is not None]
