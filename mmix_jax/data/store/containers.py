"""A folder, a zip or a tar as files by name, read without being unpacked."""

import contextlib
import stat
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from mmix_jax.errors import InputError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz")


class Container(NamedTuple):
    """An open container.

    source: where it lies.
    members: its files by name, with forward slashes, in the order in which they lie.
    load: a member's content.
    folders: names of the folders that it lists itself, empty ones among them; an archive need not.
    left_out: what lies there and is no file, by name: why.
    """

    source: Path
    members: Mapping[str, Any]
    load: Callable[[Any], bytes]
    folders: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}

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

    Archives are known by their names' endings, `ARCHIVES`. In a folder links are followed; one that
    would lead in a circle is left out.

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
        walk = _Walk()
        walk.enter(source, "", ())
        files = dict(sorted(walk.files.items()))
        return Container(source, files, Path.read_bytes, tuple(sorted(walk.folders)), walk.left_out)
    if source.name.lower().endswith(".zip"):
        zipped = stack.enter_context(zipfile.ZipFile(source))
        check_members(zipped)
        entries = zipped.infolist()
        folders = _folders(entry.filename for entry in entries if entry.is_dir())
        files = _by_name(source, ((e.filename, e) for e in entries if not e.is_dir()))
        return Container(source, files, zipped.read, folders)
    tar = stack.enter_context(tarfile.TarFile.open(source))
    check_members(tar)
    members = tar.getmembers()
    folders = _folders(info.name for info in members if info.isdir())
    files = _by_name(source, ((info.name, info) for info in members if info.isreg()))
    return Container(source, files, lambda info: _extract(tar, info), folders)


def _extract(tar: tarfile.TarFile, info: Any) -> bytes:
    stream = tar.extractfile(info)
    return stream.read() if stream else b""  # there is one for every plain file


class _Walk:
    """All that lies in a folder, by its name there; a folder that cannot be listed raises."""

    def __init__(self):
        self.files: dict[str, Path] = {}
        self.folders: list[str] = []
        self.left_out: dict[str, str] = {}

    def enter(self, folder: Path, name: str, above: tuple[Path, ...]) -> None:
        """Take in `folder`, which has this name; `above` are the real places that lead to it."""
        above = (*above, folder.resolve())
        for path in sorted(folder.iterdir()):
            inner = f"{name}/{path.name}" if name else path.name
            if path.is_file():
                self.files[inner] = path
            elif not path.is_dir():
                self.left_out[inner] = "a link to nothing" if path.is_symlink() else "no plain file"
            elif path.is_symlink() and _in_circle(path.resolve(), above):
                self.left_out[inner] = "a link in a circle"
            else:
                self.folders.append(inner)
                self.enter(path, inner, above)


def _in_circle(target: Path, above: tuple[Path, ...]) -> bool:
    """Whether a link to `target` leads back to where it lies: to a folder above, or above those."""
    return any(target == place or target in place.parents for place in above)


def _folders(names: Iterable[str]) -> tuple[str, ...]:
    """Folders as an archive lists them, named as its files are."""
    return tuple(sorted({PureWindowsPath(name).as_posix() for name in names} - {"."}))


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
