"""What an archive may hold before it is unpacked: files and folders that stay inside."""

import stat
import tarfile
import zipfile
from pathlib import PurePosixPath, PureWindowsPath

from mmix_jax.errors import InputError


def safe_members(
    archive: zipfile.ZipFile | tarfile.TarFile,
) -> list[zipfile.ZipInfo] | list[tarfile.TarInfo]:
    """All members of an archive, none of which would leave the folder it is unpacked into.

    Names with a double slash inside are fine, as published TU archives have them.

    Raises:
      InputError: a member's name is absolute or climbs by `..`, or the member is a link or a
        device.
    """
    if isinstance(archive, zipfile.ZipFile):
        members = archive.infolist()
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            _check(archive.filename, member.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
        return members
    members = archive.getmembers()
    for member in members:
        _check(archive.name, member.name, member.isreg() or member.isdir())
    return members


def _check(archive, name: str, plain: bool) -> None:
    # Read in Windows' way too: there, a backslash separates, and a drive makes a name absolute.
    paths = (PurePosixPath(name), PureWindowsPath(name))
    leaves = any(path.is_absolute() or path.anchor or ".." in path.parts for path in paths)
    if leaves or not plain:
        raise InputError(
            f"{archive or 'archive'}: an archive may hold files below its own folder only, found "
            f"{name!r}{'' if plain else ', a link or device'}; do not unpack it"
        )
