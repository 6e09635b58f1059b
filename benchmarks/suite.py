"""What every part of the suite shares: its options, its rows, and the one printer of tables.

A row is a plain dict: `what` was measured, its sizes, the median `seconds` of `n` calls, and where
the work is counted `flops` or `bytes` with the rate and its share of the machine's measured peak.
"""

import importlib
import importlib.util
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import timing

Row = dict[str, Any]

HAVE_TORCH = importlib.util.find_spec("torch") is not None


class Options(NamedTuple):
    """What the command line asks of the parts.

    quick: tiny sizes. repeats: timed calls of everything. data_dir: folder of the data sets, None
    for $MMIX_DATA_DIR. rows, dimensions: N and D of the losses, None for the part's own.
    block_size: of streamed forms, None for the device's usual. limit_gb: what dense forms may take.
    peaks: FLOP/s by dtype and `bytes` a second that part `roofline` measured; None: no shares.
    datasets, seeds, budget_s, num_classifiers: of part `frontier`; a training ends at `budget_s`.
    """

    quick: bool = False
    repeats: int = 5
    data_dir: str | None = None
    rows: list[int] | None = None
    dimensions: list[int] | None = None
    block_size: int | None = None
    limit_gb: float = 8.0
    peaks: dict[str, float] | None = None
    datasets: tuple[str, ...] = ("cora", "pubmed")
    seeds: int = 5
    budget_s: float = 300.0
    num_classifiers: int = 10


def say(text: str) -> None:
    """Progress, for who waits: on standard error, apart from the tables."""
    print(f"  {text}", file=sys.stderr, flush=True)


def on_accelerator() -> bool:
    import jax

    return jax.default_backend() != "cpu"


def block_size_of(options: Options) -> int:
    """Rows per block of streamed forms: the option, or what suits the device."""
    if options.block_size:
        return options.block_size
    return 8192 if on_accelerator() else 2048


def data_folder(options: Options) -> str | None:
    """Folder of the data sets' files, None where none is named: parts then draw their data."""
    return options.data_dir or os.environ.get("MMIX_DATA_DIR") or None


def set_up_torch(kind: str, device: str | None, precision: str = "float32") -> str:
    """Get the PyTorch side of "nodes", "graphs" or "images" ready; its device, "" without torch."""
    if not HAVE_TORCH:
        print("torch     not installed: only JAX is measured; pip install torch to compare")
        return ""
    from benchmarks.torch import side

    return side.set_up(importlib.import_module(f"benchmarks.torch.{kind}"), device, precision)


def median_seconds(
    sides: Mapping[str, Callable[[], object]], options: Options, *, warm_up: int = 1
) -> dict[str, float]:
    """Median seconds of each side, in turns after `warm_up` calls that compile."""
    seconds = timing.alternate(sides, repeats=options.repeats, warm_up=warm_up)
    return {name: statistics.median(values) for name, values in seconds.items()}


def waiting(function: Callable, *inputs: Any) -> Callable[[], object]:
    """A side that calls `function(*inputs)` and waits for what it returns."""
    import jax

    return lambda: jax.block_until_ready(function(*inputs))


def add_work(
    row: Row,
    options: Options,
    *,
    flops: float | None = None,
    nbytes: float | None = None,
    dtype: str = "float32",
) -> Row:
    """The row with its counted work, the rate, and the share of the measured peak."""
    if flops:
        rate = flops / row["seconds"]
        row |= {"flops": flops, "gflops": rate / 1e9}
        row["share_of_peak"] = rate / options.peaks[dtype] if options.peaks else None
    if nbytes:
        rate = nbytes / row["seconds"]
        row |= {"bytes": nbytes, "gb_per_s": rate / 1e9}
        row["share_of_bandwidth"] = rate / options.peaks["bytes"] if options.peaks else None
    return row


def with_torch(row: Row, seconds: Mapping[str, float], options: Options) -> Row:
    """The row with the seconds of side "jax", and beside them those of "torch" if it was timed."""
    row |= {"seconds": seconds["jax"], "n": options.repeats}
    if "torch" in seconds:
        row["torch_seconds"] = seconds["torch"]
        row["torch_ratio"] = seconds["torch"] / seconds["jax"]
    return row


def run_part(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """`rows` of a part and the `machine` that it ran on; for a process of its own."""
    part = importlib.import_module(f"benchmarks.parts.{name}")
    return {"rows": part.measure(Options(**options)), "machine": timing.machine()}


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _times(value: float) -> str:
    return f"{value:.2f}"


# Headings and forms of the columns whose key does not say it all. None: in the JSON alone.
COLUMNS: dict[str, tuple[str, Callable[[Any], str]] | None] = {
    "rows": ("N", _plain),
    "dimension": ("D", _plain),
    "edges": ("E", _plain),
    "seconds": ("s", _seconds),
    "first_seconds": ("first call, s", _seconds),
    "first_step_seconds": ("to the first step, s", _seconds),
    "flops": None,
    "bytes": None,
    "gflops": ("GFLOP/s", _plain),
    "share_of_peak": ("share of peak", _percent),
    "gb_per_s": ("GB/s", _plain),
    "share_of_bandwidth": ("share of bandwidth", _percent),
    "products_ratio": ("/ products alone", _times),
    "plain_ratio": ("/ plain", _times),
    "torch_ratio": ("torch / this", _times),
    "difference": ("difference", lambda value: f"{value:.0e}"),
    "above_floor_mb": ("above imports, MB", _whole),
    "value_differs": ("value differs by", lambda value: f"{value:.0e}"),
    "gradient_differs": ("gradient differs by", lambda value: f"{value:.0e}"),
    "temporary_mb": ("temporary, MB", _plain),
    # Of part `scale`: the peak after each stage, and settings that are the same in all rows.
    **dict.fromkeys(
        ("floor_mb", "generate_mb", "adjacency_mb", "diffusion_mb", "features", "steps")
    ),
    "peak_mb": ("peak, MB", _whole),
    "training_mb": ("training, MB", _whole),
    "generate_seconds": ("draw, s", _seconds),
    "adjacency_seconds": ("ÂX, s", _seconds),
    "diffusion_seconds": ("SX, s", _seconds),
    "step_mp_seconds": ("step mp, s", _seconds),
    "step_none_seconds": ("step none, s", _seconds),
    "batch_seconds": ("batch, s", _seconds),
    # Of part `frontier`: the numbers behind its cells.
    **dict.fromkeys(("values", "runs")),
    "kb_per_row": ("KB per added row", _plain),
    "bytes_per_pair": ("bytes per added pair", _plain),
}


def cells(rows: Iterable[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings, and a list of strings per row: columns in the order in which rows name them."""
    rows = list(rows)
    keys = dict.fromkeys(key for row in rows for key in row)
    shown = {key: COLUMNS.get(key, (key.replace("_", " "), _plain)) for key in keys}
    columns = {key: column for key, column in shown.items() if column is not None}
    lines = [
        ["" if row.get(key) is None else form(row[key]) for key, (_, form) in columns.items()]
        for row in rows
    ]
    return [heading for heading, _ in columns.values()], lines


def text_table(rows: Iterable[Row]) -> str:
    """The rows for a terminal: the first column to the left, the others to the right."""
    headings, lines = cells(rows)
    if not lines:
        return "  nothing was measured"
    table = [headings, *lines]
    widths = [max(len(line[place]) for line in table) for place in range(len(headings))]
    return "\n".join(
        "  "
        + line[0].ljust(widths[0])
        + "".join(cell.rjust(width + 2) for cell, width in zip(line[1:], widths[1:], strict=True))
        for line in table
    )


def write_whole(path: Path, text: str) -> None:
    """Write a file; who reads it sees the old one or the new one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
