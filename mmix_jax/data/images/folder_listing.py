"""What lies in a folder or an archive of images: images, folders, and what is skipped."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mmix_jax.data.images.folder_layout import Barren
from mmix_jax.data.images.image_files import ENDINGS
from mmix_jax.data.store.containers import open_container
from mmix_jax.errors import InputError

# What systems and programs leave behind, beside names that begin with a dot.
_LITTER = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found",
           "__pycache__", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}  # fmt: skip
# Endings of text and tables: who puts them into a folder does not mean a class.
TEXTS = {
    ".txt", ".md", ".rst", ".pdf", ".html", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml",
    ".yml", ".toml", ".xlsx", ".mat", ".parquet", ".py", ".ipynb", ".sh", ".log",
}  # fmt: skip


class Listing(NamedTuple):
    """All names in a source, as the images among them, and what else there is.

    images: sorted folder by folder. folders: all but hidden ones. skipped: other files, and links
    that lead nowhere, by the kind that is told of each: its ending, or a word.
    """

    images: list[str]
    folders: list[str]
    skipped: dict[str, str]


def list_images(source: Path, listed: Iterable[str]) -> Listing:
    """The images among the names in a source; those of folders end in a slash.

    Raises:
      InputError: there is none.
    """
    images, folders, skipped = [], [], {}
    for entry in listed:
        name, _, reason = entry.partition("\0")
        if reason:
            skipped[name] = reason
        elif hidden(name):
            if not name.endswith("/"):
                skipped[name] = "hidden"
        elif name.endswith("/"):
            folders.append(name[:-1])
        elif name.lower().endswith(ENDINGS):
            images.append(name)
        else:
            skipped[name] = PurePosixPath(name).suffix.lower() or "without an ending"
    if not images:
        others = f" but {told_kinds(skipped.values())}" if skipped else ""
        raise InputError(
            f"{source}: must hold images ({', '.join(ENDINGS)}), found none{others}; check the "
            "path, or convert them"
        )
    images.sort(key=lambda name: PurePosixPath(name).parts)
    return Listing(images, folders, skipped)


def names_in(source: Path) -> list[str]:
    """Files, folders with a slash, and what could not be followed with a zero byte and the reason.

    Raises:
      InputError: the source cannot be read.
    """
    with open_container(source) as container:
        left_out = [f"{name}\0{why}" for name, why in container.left_out.items()]
        return [*container.members, *(f"{name}/" for name in container.folders), *left_out]


def hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part.lower() in _LITTER for part in parts)


def barren_folders(found: Listing) -> dict[str, Barren]:
    """Folders without an image, sorted, and what they hold."""
    holding: set[str] = set()
    for name in found.images:
        holding.update(map(str, PurePosixPath(name).parents))
    within: dict[str, list[str]] = {folder: [] for folder in found.folders}
    for name, kind in found.skipped.items():
        if not hidden(name):
            for folder in map(str, PurePosixPath(name).parents):
                within.setdefault(folder, []).append(kind)
    barren = {folder: within[folder] for folder in sorted(within.keys() - holding - {"."})}
    return {
        folder: Barren(told_kinds(kinds), TEXTS.issuperset(kinds)) if kinds else Barren()
        for folder, kinds in barren.items()
    }


def told_kinds(kinds: Iterable[str]) -> str:
    """`3 files (2 .txt, 1 hidden)`."""
    counts = Counter(kinds)
    told = ", ".join(f"{n} {kind}" for kind, n in counts.most_common())
    return f"{count(counts.total(), 'file', 'files')} ({told})"


def count(number: int, one: str, several: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {one if number == 1 else several}"
