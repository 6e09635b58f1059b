"""A graph too large for memory, from edge lists and features into a folder of mapped files.

    python -m mmix_jax.store_graph EDGES [EDGES …] --x=FILE [--x=FILE …] --out=FOLDER
        [--labels=FILE] [--train=FILE --valid=FILE --test=FILE] [--weighted] [--standardise]

EDGES: `.npy` arrays of whole numbers [2, E] (sources above targets) or [E, 2], or [E, 3] with
weights; or text, an edge a line: `.csv` with commas, `.tsv` and `.txt` with tabs or blanks, `#`
before comments. Nodes are counted from 0. --x: `.npy` arrays [n, F], in the order of the nodes.
--labels: `.npy` [N], −1 where unknown; --train, --valid, --test: `.npy` numbers of nodes.
--weighted: the third column is the edge's weight. --standardise: every column of x by its mean and
deviation. Files are read piece by piece. The folder is a `data_path` of configs/graph_file.py.

Exit status: 0 done; 2 bad input, one `error:` line; 130 interrupted, nothing is kept.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmix_jax import command_line
from mmix_jax.data.nodes.stored_graph import Edges, store_graph
from mmix_jax.errors import InputError
from mmix_jax.graphs.types import Split
from mmix_jax.ops.npy_parts import pieces_of
from mmix_jax.surroundings import user_path
from mmix_jax.training.loop import Interrupted

_LINES = 2**20  # of a text that are read at a time
_SEPARATORS = {".csv": ",", ".tsv": r"\s+", ".txt": r"\s+"}


def _array(path: Path, what: str) -> np.ndarray:
    """A mapped `.npy` file.

    Raises:
      InputError: it is none.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{what} must be a .npy file of numbers, found {path} ({error}); convert it"
        ) from error


def edges_in(path: Path, weighted: bool) -> Iterator[Edges]:
    """Pieces of the edges of a file.

    Raises:
      InputError: the file is of another kind or form.
    """
    if path.suffix == ".npy":
        array = _array(path, "edges")
        if array.ndim == 2 and array.shape[0] == 2 and not weighted:
            array = array.T
        if array.ndim != 2 or array.shape[1] != 2 + weighted:
            wanted = (
                "[E, 3] with --weighted" if weighted else "[2, E] or [E, 2], without --weighted"
            )
            raise InputError(
                f"edges must be {wanted}, found {list(array.shape)} in {path}; see to the columns"
            )
        for piece in pieces_of(array):
            ends = _ends(piece[:, 0], path), _ends(piece[:, 1], path)
            yield *ends, piece[:, 2] if weighted else None
    elif path.suffix in _SEPARATORS:
        yield from _edges_in_text(path, weighted)
    else:
        raise InputError(f"edges must be .npy, .csv, .tsv or .txt files, found {path}; convert it")


def _ends(values: np.ndarray, path: Path) -> np.ndarray:
    """Whole numbers, also where weights beside them have made them floating."""
    if values.dtype.kind in "iu":
        return values
    whole = values.astype(np.int64)
    if not (whole == values).all():
        raise InputError(f"ends of edges must be whole numbers, found others in {path}; see to it")
    return whole


def _edges_in_text(path: Path, weighted: bool) -> Iterator[Edges]:
    import pandas as pd

    options: dict[str, Any] = {"sep": _SEPARATORS[path.suffix], "header": None, "comment": "#"}
    kinds: Any = {0: np.int64, 1: np.int64, 2: np.float64}
    try:
        found = pd.read_csv(path, nrows=1, **options).shape[1]
        if found != 2 + weighted:
            raise ValueError(f"{found} columns; --weighted takes the third as weights")
        for chunk in pd.read_csv(path, chunksize=_LINES, dtype=kinds, **options):
            columns = [chunk[column].to_numpy() for column in chunk]
            yield columns[0], columns[1], columns[2] if weighted else None
    except (OSError, ValueError) as error:
        raise InputError(
            f"edges must be a line of {2 + weighted} numbers each, found {path} otherwise "
            f"({command_line.one_line(error)[:160]}); mark a heading by #"
        ) from error


def features_in(paths: Sequence[Path], standardise: bool) -> Iterator[np.ndarray]:
    """Pieces of x; with `standardise` after a first pass over all."""
    scale = _moments(paths) if standardise else None
    for path in paths:
        for piece in pieces_of(_array(path, "--x")):
            yield piece if scale is None else ((piece - scale[0]) / scale[1]).astype(np.float32)


def _moments(paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of every column, 1 where it never changes; by Chan's way of joining."""
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for path in paths:
        for piece in pieces_of(_array(path, "--x")):
            if piece.ndim != 2 or piece.dtype.kind not in "fiub":
                raise InputError(
                    f"features must be numbers [n, F], found {piece.dtype} {list(piece.shape)} in "
                    f"{path}; convert them"
                )
            values = np.asarray(piece, np.float64)
            if count and values.shape[1:] != mean.shape:
                raise InputError(
                    f"features must have as many columns in every file, found {mean.size} and "
                    f"{values.shape[1]} in {path}; see to the files"
                )
            n, own = len(values), values.mean(axis=0)
            delta, total = own - mean, count + n
            squares = squares + ((values - own) ** 2).sum(axis=0) + delta**2 * (count * n / total)
            mean, count = mean + delta * (n / total), total
    std = np.sqrt(squares / max(count, 1))
    print(
        f"features: {mean.size} columns standardised (means {mean.min():.3g} to {mean.max():.3g}, "
        f"deviations {std.min():.3g} to {std.max():.3g})"
    )
    return mean, np.where(std > 0, std, 1.0)


def _parser():
    parser = command_line.parser("store_graph", __doc__)
    add = parser.add_argument
    add("edges", nargs="+", metavar="EDGES")
    add("--x", action="append", required=True, metavar="FILE")
    add("--out", required=True, metavar="FOLDER")
    for name in ("labels", "train", "valid", "test"):
        add(f"--{name}", metavar="FILE")
    add("--weighted", action="store_true")
    add("--standardise", action="store_true")
    return parser


def _run(argv: list[str], interrupted: Callable[[], bool]) -> None:
    args = _parser().parse_args(argv[1:])
    parts = {name: getattr(args, name) for name in ("train", "valid", "test")}
    there = [name for name, path in parts.items() if path]
    if there and len(there) < len(parts):
        missing = next(name for name in parts if name not in there)
        raise InputError(f"a split has three parts, found no --{missing}; give all three, or none")

    def file(name: str) -> np.ndarray | None:
        given = getattr(args, name)
        return (
            None if given is None else np.array(_array(user_path(given, f"--{name}"), f"--{name}"))
        )

    def watched(pieces: Iterator) -> Iterator:
        for piece in pieces:
            check()
            yield piece

    def members(name: str) -> np.ndarray:
        """Numbers of nodes, also of a mask."""
        values = np.asarray(file(name))
        values = np.flatnonzero(values) if values.dtype == bool else values
        if values.dtype.kind not in "iu":
            raise InputError(
                f"--{name} must be numbers of nodes, or a mask, found {values.dtype}; convert it"
            )
        return values.astype(np.int32)

    def check() -> None:
        if interrupted():
            raise Interrupted(0, "before the graph was whole, nothing is kept")

    given = Split(*map(members, parts)) if there else None
    xs = [user_path(path, "--x") for path in args.x]
    paths = [user_path(path, "EDGES") for path in args.edges]
    store_graph(
        user_path(args.out, "--out"),
        watched(features_in(xs, args.standardise)),
        watched(edge for path in paths for edge in edges_in(path, args.weighted)),
        labels=file("labels"),
        given=given,
        check=check,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    return command_line.run(_run, argv)


if __name__ == "__main__":
    sys.exit(main())
