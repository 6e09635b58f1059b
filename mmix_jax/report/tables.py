"""Results as a table of aligned text, for standard output."""

from collections.abc import Callable, Sequence

from mmix_jax.results import Result

MAX_WIDTH = 110
_GAP = "  "


def in_percent(metric: str) -> bool:
    """Whether tables show a metric in percent; all others (NMI, ARI, AUC, ...) have three decimals.

    Triplet accuracy is the one accuracy that the paper gives as a fraction.
    """
    share = metric.endswith(("accuracy", "f1", "top1", "top5"))
    return share and not metric.startswith("triplet")


def metric_name(metric: str) -> str:
    """The metric with its unit: `accuracy %`, `nmi`."""
    return f"{metric} %" if in_percent(metric) else metric


def format_score(metric: str, mean: float, std: float, n: int) -> str:
    """`85.90 ± 0.30` or `0.629 ± 0.010`; without the spread where a single value has none."""
    scale, decimals = (100.0, 2) if in_percent(metric) else (1.0, 3)
    text = f"{scale * mean:.{decimals}f}"
    return text if n == 1 else f"{text} ± {scale * std:.{decimals}f}"


def signed(metric: str, value: float) -> str:
    """A difference: `+0.42` points, or `+0.013`; never `-0.00`."""
    scale, decimals = (100, 2) if in_percent(metric) else (1, 3)
    return f"{round(scale * value, decimals) + 0.0:+.{decimals}f}"


def framework_name(result: Result) -> str:
    """The framework, with its encoder where that is not the usual one: `grace gat`."""
    usual = result.encoder in ("", "gcn", "resnet18")
    return result.framework if usual else f"{result.framework} {result.encoder}"


_COLUMNS: dict[str, Callable[[Result], str]] = {
    "dataset": lambda r: r.dataset,
    "framework": framework_name,
    "objective": lambda r: r.objective,
    "mixing": lambda r: r.mixing,
    "candidates": lambda r: r.candidates,
    "representation": lambda r: r.representation,
    "trained": lambda r: "yes" if r.trained else "random-init",
    "metric": lambda r: metric_name(r.metric),
    "mean ± std": lambda r: format_score(r.metric, r.mean, r.std, r.n),
    "n": lambda r: str(r.n),
    "protocol": lambda r: r.protocol,
    "selection": lambda r: r.selection,
}
_RIGHT = ("mean ± std", "n")
# What leaves a table that is too wide, in this order, where all rows agree on it.
_MOVABLE = ("objective", "protocol", "selection", "candidates", "framework", "mixing", "dataset")


def text_table(results: Sequence[Result], *, max_width: int = MAX_WIDTH) -> str:
    """An aligned table of the results in their order, accuracies in percent.

    Where it would be wider than `max_width`, columns in which all rows agree move into a line
    above. A table whose rows differ everywhere stays wide. No results: a line that says so.
    """
    if not results:
        return "no results"
    columns = {name: [_cell(cell(r)) for r in results] for name, cell in _COLUMNS.items()}
    caption = []
    for name in _MOVABLE:
        if _width(columns) <= max_width:
            break
        if len(set(columns[name])) == 1:
            caption.append(f"{name} {columns.pop(name)[0]}")
    lines = [f"all rows: {', '.join(caption)}"] if caption else []
    return "\n".join(lines + align(columns, right=_RIGHT))


def align(columns: dict[str, list[str]], *, right: Sequence[str] = ()) -> list[str]:
    """Lines of a table with its header and a rule, every column as wide as its widest cell.

    Args:
      columns: the cells of each column by its heading, all of one length.
      right: headings of columns that are flush right.
    """
    padded = []
    for name, cells in columns.items():
        width = max(map(len, [name, *cells]))
        flush = str.rjust if name in right else str.ljust
        padded.append([flush(name, width), "-" * width, *(flush(cell, width) for cell in cells)])
    return [_GAP.join(row).rstrip() for row in zip(*padded, strict=True)]


def _width(columns: dict[str, list[str]]) -> int:
    widths = [max(map(len, [name, *cells])) for name, cells in columns.items()]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _cell(text: str) -> str:
    """One line, and never empty: a name may come from a user's file."""
    return " ".join(text.split()) or "-"
