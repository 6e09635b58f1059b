"""The files of PPI in the two forms in which it is published, found and parsed, not yet compared.

For the forms see `ppi_forms`. Nothing is unpacked to disk, and no pickled object is loaded.
"""

import contextlib
import io
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from mmix_jax.data.store.containers import Container, open_container
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Split

KINDS = ("graph.json", "feats.npy", "labels.npy", "graph_id.npy")
PER_SPLIT = tuple(f"{part}_{kind}" for part in Split._fields for kind in KINDS)
GRAPHSAGE = ("ppi-G.json", "ppi-feats.npy", "ppi-id_map.json", "ppi-class_map.json")
FORMS = (PER_SPLIT, GRAPHSAGE)


class Files(NamedTuple):
    """The files of one form.

    source: the archive or folder they are from.
    form: one of `FORMS`.
    contents: by file name, without folders.
    """

    source: Path
    form: Sequence[str]
    contents: Mapping[str, bytes]

    def fault(self, file: str, rule: str, found: object) -> InputError:
        """The error of a file that breaks a rule."""
        return InputError(
            f"{file} in {self.source}: must hold {rule}, found {found}; correct it, or get "
            "it again from its source"
        )

    def load_json(self, file: str) -> dict[str, Any]:
        """A JSON object."""
        try:
            value = json.loads(self.contents[file])
        except (ValueError, RecursionError) as error:
            raise self.fault(file, "JSON", f"otherwise ({str(error).splitlines()[0]})") from error
        if not isinstance(value, dict):
            raise self.fault(file, "a JSON object", f"a {type(value).__name__}")
        return value

    def load_array(self, file: str) -> np.ndarray:
        """An array of numbers in NumPy's format; pickled objects are refused."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # headers as Python 2 wrote them
                stream = io.BytesIO(self.contents[file])
                values = np.lib.format.read_array(stream, allow_pickle=False)
        except Exception as error:  # NumPy raises a dozen kinds on damaged files
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise self.fault(file, "an array in .npy format", f"otherwise ({reason})") from error
        if values.dtype.kind not in "biuf":
            raise self.fault(file, "numbers", f"dtype {values.dtype}")
        return values

    def load_graph(self, file: str) -> tuple[list[dict[str, Any]], np.ndarray]:
        """Nodes as they are listed, and positions of both ends of every link, int64 [2, E].

        Links name nodes by their ids, or by positions where ids are texts and ends are not, as
        NetworkX 1 wrote them.
        """
        content = self.load_json(file)
        nodes: Any = content.get("nodes")
        links: Any = content.get("links", content.get("edges"))  # NetworkX 3.4 and later: edges
        try:
            ids = [node["id"] for node in nodes]
            ends = [link[end] for end in ("source", "target") for link in links]
            place = {node: position for position, node in enumerate(ids)}
        except (KeyError, TypeError) as error:
            rule = "nodes that have an id, and links that have a source and a target"
            raise self.fault(file, rule, "otherwise") from error
        if len(place) != len(ids):
            raise self.fault(file, "nodes with different ids", f"{len(ids) - len(place)} repeats")
        if ids and ends and isinstance(ids[0], str) and not isinstance(ends[0], str):
            place = dict(enumerate(range(len(ids))))
        try:
            positions = np.fromiter((place[end] for end in ends), np.int64, len(ends))
        except (KeyError, TypeError) as error:
            unknown = next(end for end in ends if isinstance(end, list | dict) or end not in place)
            rule = f"links between its {len(ids)} nodes"
            raise self.fault(file, rule, f"an end {str(unknown)[:40]!r}") from error
        return nodes, positions.reshape(2, -1)


def read_files(source: Path) -> Files:
    """The files of a folder or archive; they may lie in a folder inside.

    Where both forms are there, the one that is complete is taken, and first the one per split.

    Raises:
      InputError: neither is there, one of a form is missing, or the source cannot be read.
    """
    with _open(source) as container:
        places: dict[PurePosixPath, dict[str, str]] = {}
        for member in container.members:
            path = PurePosixPath(member)
            places.setdefault(path.parent, {})[path.name] = member
        options = [(place, form) for form in FORMS for place in places.values()]
        place, form = max(options, key=lambda option: _share(*option), default=({}, PER_SPLIT))
        if not _share(place, form):
            raise InputError(
                f"{source}: must hold {' '.join(PER_SPLIT)}, or {' '.join(GRAPHSAGE)}, found none "
                "of them; check the path"
            )
        missing = [file for file in form if file not in place]
        if missing:
            there = next(file for file in form if file in place)
            raise InputError(f"{source}: {missing[0]} must lie beside {there}, found none; add it")
        wanted = {place[file]: file for file in form}
        contents = {wanted[member]: content for member, content in container.read(wanted)}
    return Files(source, form, contents)


def _share(place: Mapping[str, str], form: Sequence[str]) -> float:
    """How much of a form lies in a place; of equals, `max` takes the first."""
    return sum(file in place for file in form) / len(form)


@contextlib.contextmanager
def _open(source: Path) -> Iterator[Container]:
    """A folder with some of the files is read alone: around it may lie many other data sets."""
    names = (file for form in FORMS for file in form)
    direct = {file: source / file for file in names if (source / file).is_file()}
    if direct:
        yield Container(source, direct, Path.read_bytes)
        return
    with open_container(source) as container:
        yield container
