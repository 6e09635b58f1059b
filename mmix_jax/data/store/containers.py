"""A folder, a zip or a tar as files by name, read without being unpacked."""

import contextlib
import stat
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from mmix_jax.errors import InputError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz")


class Container(NamedTuple):
    """An open container.

    source: where it lies.
    members: its files by name, with forward slashes, in the order in which they lie.
    load: a member's content.
    """

    source: Path
    members: Mapping[str, Any]
    load: Callable[[Any], bytes]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Names and contents, in the container's own order: a compressed tar cannot jump back.

        Raises:
          InputError: a name is not in it, or a file's content cannot be read.
        """
        missing = sorted(set(names) - self.members.keys())
        if missing:
            raise InputError(
                f"{self.source}: {missing[0]} must be in it, found none; get it again from its "
                "source"
            )
        for name, member in self.members.items():
            if name in names:
                yield name, self._content(name, member)

    def _content(self, name: str, member: Any) -> bytes:
        try:
            return self.load(member)
        except Exception as error:  # zipfile and the decompressors raise a dozen kinds
            raise InputError(
                f"{name} in {self.source}: cannot be read ({_reason(error)}); get it again from "
                "its source"
            ) from error


@contextlib.contextmanager
def open_container(source: Path) -> Iterator[Container]:
    """The files of a folder (those of all folders below included), of a zip, or of a tar.

    Archives are known by their names' endings, `ARCHIVES`.

    Raises:
      InputError: it is none of them, cannot be read, holds a name that leaves it, a link, a
        device, or a name twice.
    """
    name = source.name.lower()
    if not source.is_dir() and not (source.is_file() and name.endswith(ARCHIVES)):
        raise InputError(
            f"{source}: must be a folder or a file that ends in {', '.join(ARCHIVES)}, found "
            f"{'another file' if source.exists() else 'nothing there'}; check the path"
        )
    with contextlib.ExitStack() as stack:
        try:
            container = _open(source, stack)
        except InputError:
            raise
        except Exception as error:  # as above
            kind = "folder" if source.is_dir() else "archive"
            raise InputError(
                f"{source}: not a readable {kind} ({_reason(error)}); get it again from its source"
            ) from error
        yield container


def _open(source: Path, stack: contextlib.ExitStack) -> Container:
    if source.is_dir():
        paths = {path.relative_to(source).as_posix(): path for path in _walk(source)}
        return Container(source, dict(sorted(paths.items())), Path.read_bytes)
    if source.name.lower().endswith(".zip"):
        zipped = stack.enter_context(zipfile.ZipFile(source))
        check_members(zipped)
        entries = ((entry.filename, entry) for entry in zipped.infolist() if not entry.is_dir())
        return Container(source, _by_name(source, entries), zipped.read)
    tar = stack.enter_context(tarfile.TarFile.open(source))
    check_members(tar)
    infos = ((info.name, info) for info in tar.getmembers() if info.isreg())
    return Container(source, _by_name(source, infos), lambda info: _extract(tar, info))


def _extract(tar: tarfile.TarFile, info: Any) -> bytes:
    stream = tar.extractfile(info)
    return stream.read() if stream else b""  # there is one for every plain file


def _walk(folder: Path) -> Iterator[Path]:
    """All files in a folder; one that cannot be listed raises."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():  # a linked folder may lead in a circle
            yield from _walk(path)
        elif path.is_file():
            yield path


def _by_name(source: Path, members: Iterator[tuple[str, Any]]) -> dict[str, Any]:
    by_name = {}
    for given, member in members:
        # Windows' rule knows both separators; some archives were packed there.
        name = PureWindowsPath(given).as_posix()
        if name in by_name:
            raise InputError(
                f"{source}: must hold a file once, found {name!r} a second time; get it again from "
                "its source"
            )
        by_name[name] = member
    return by_name


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def check_members(archive: zipfile.ZipFile | tarfile.TarFile) -> None:
    """Check that no member of an archive would leave the folder it is unpacked into.

    Names with a double slash inside are fine, as published TU archives have them.

    Raises:
      InputError: a member's name is absolute or climbs by `..`, or the member is a link or a
        device.
    """
    if isinstance(archive, zipfile.ZipFile):
        source, plain_kinds = archive.filename, (0, stat.S_IFREG, stat.S_IFDIR)
        modes = ((member.filename, member.external_attr >> 16) for member in archive.infolist())
        members = [(name, stat.S_IFMT(mode) in plain_kinds) for name, mode in modes]
    else:
        source = archive.name
        members = [(info.name, info.isreg() or info.isdir()) for info in archive.getmembers()]
    for name, plain in members:
        # Read in Windows' way too: there, a backslash separates, and a drive makes a name absolute.
        paths = (PurePosixPath(name), PureWindowsPath(name))
        leaves = any(path.is_absolute() or path.anchor or ".." in path.parts for path in paths)
        if leaves or not plain:
            raise InputError(
                f"{source or 'archive'}: an archive may hold files below its own folder only, "
                f"found {name!r}{'' if plain else ', a link or device'}; do not unpack it"
            )
