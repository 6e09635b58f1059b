"""Files of data sets, pinned by size and SHA-256 sum."""

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

from mmix_jax.errors import InputError

_log = logging.getLogger(__name__)


class RemoteFile(NamedTuple):
    """A data file and where the world keeps it.

    path: where it lies under a data folder, with forward slashes, "planetoid/ind.cora.x".
    url: http or https.
    sha256: pinned hex digest; None where the source may re-pack the file.
    size: in bytes; None where not known.
    """

    path: str
    url: str
    sha256: str | None = None
    size: int | None = None


def check_sha256(path: Path, file: RemoteFile) -> None:
    """Compare a file with its pinned sum, where it has one.

    Raises:
      InputError: the sums differ.
    """
    if file.sha256 is None:
        return
    digest = sha256_of(path)
    if digest != file.sha256:
        raise InputError(
            f"{path} must have SHA-256 {file.sha256[:12]}…, found {digest[:12]}…: swapped or "
            f"damaged file; delete it and get it again from {file.url}"
        )


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def record_path(path: Path) -> Path:
    """Where the sum of a download without a pinned one is recorded: `<file>.sha256`."""
    return path.with_name(f"{path.name}.sha256")


def record_sha256(path: Path) -> None:
    """Record a file's sum beside it, as `sha256sum` writes it, unless that is done already.

    A folder that cannot be written is warned of and done without.
    """
    record = record_path(path)
    if record.exists():
        return
    temporary = record.with_name(f"{record.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(f"{sha256_of(path)}  {path.name}\n", encoding="utf-8")
        os.replace(temporary, record)
    except OSError as error:
        _log.warning("warning: %s cannot be written (%s)", record, error.strerror)


def check_recorded(path: Path) -> None:
    """Compare a file with the sum recorded beside it, where there is one.

    Raises:
      InputError: the sums differ, or the record holds none.
    """
    record = record_path(path)
    if not record.exists():
        return
    words = record.read_text(encoding="utf-8", errors="replace").split()
    if not words or not re.fullmatch("[0-9a-f]{64}", words[0]):
        raise InputError(
            f"{record} must begin with a SHA-256 sum, found otherwise: damaged file; delete it to "
            f"have {path.name} recorded anew"
        )
    digest = sha256_of(path)
    if digest != words[0]:
        raise InputError(
            f"{path} must have SHA-256 {words[0][:12]}… as when first read ({record.name}), found "
            f"{digest[:12]}…: swapped or damaged file; delete both to download it again"
        )
