"""Tables as text, Markdown, CSV and JSON."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mmix_jax.plans.table import PAPER_ONLY, Cell, Table
from mmix_jax.report.files import write_whole
from mmix_jax.report.tables import align, format_score, metric_name, signed
from mmix_jax.results import Result

_RIGHT = ("ours", "random-init", "n", "paper", "difference", "p (Holm)")


def rows_of(cells: Sequence[Cell], command: Callable[[Cell], str]) -> list[dict[str, Any]]:
    """A row of JSON for each cell; scores in the unit of results (accuracies are fractions)."""
    return [_row(cell, command(cell)) for cell in cells]


def _row(cell: Cell, command: str) -> dict[str, Any]:
    line, result, compared = cell.line, cell.result, cell.compared
    paper = line.paper
    row: dict[str, Any] = {
        "dataset": line.dataset,
        "row": line.row,
        "measure": line.measure.metric,
        "representation": line.measure.representation,
        "trained": line.trained,
        "mean": None,
        "std": None,
        "n": 0,
        "paper": None if paper is None else [paper.mean, paper.std],
        "within_paper": None,
        "command": command,
        "random_init": None,
        "against": line.against,
        "difference": None,
        "interval": None,
        "p": None,
        "p_holm": cell.p,
        "seeds": 0,
        "seeds_wanted": line.seeds if line.setting is not None else 0,
        "missing": cell.reason,
    }
    if result is not None:
        row |= {"mean": result.mean, "std": result.std, "n": result.n, "seeds": len(result.seeds)}
        row |= {"protocol": result.protocol, "selection": result.selection, "steps": result.steps}
        row |= {"seconds": result.seconds, "device": result.device, "versions": result.versions}
        if paper is not None:
            row["within_paper"] = paper.covers(result.mean)
    if cell.untrained is not None:
        row["random_init"] = [cell.untrained.mean, cell.untrained.std]
    if compared is not None:
        row |= {"difference": compared.mean, "p": compared.p}
        row["interval"] = None if compared.interval is None else list(compared.interval)
    return row


def markdown(table: Table, cells: Sequence[Cell], *, level: int = 2) -> str:
    """The table under its title, a part for each data set and measure."""
    parts = [f"{'#' * level} {table.name}: {table.title}", table.caption]
    for heading, columns in _parts(cells):
        if "n" not in columns:  # no row has a score
            reasons = " or ".join(sorted({*columns["ours"]} - {PAPER_ONLY}))
            parts.append(
                f"**{heading}**: {reasons}. `python -m mmix_jax.reproduce` runs it, or says where "
                "its files go."
            )
            continue
        lines = [" | ".join(columns), "|".join("---" for _ in columns)]
        lines += [
            " | ".join(cell.replace("|", "\\|") for cell in row)
            for row in zip(*columns.values(), strict=True)
        ]
        parts.append(f"**{heading}**\n\n" + "\n".join(f"| {line} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def text(table: Table, cells: Sequence[Cell]) -> str:
    """The table for standard output."""
    parts = [f"{table.name}: {table.title}"]
    for heading, columns in _parts(cells):
        shown = {name: list(values) for name, values in columns.items()}
        parts.append("\n".join([heading, *align(shown, right=_RIGHT)]))
    return "\n\n".join(parts)


def _parts(cells: Sequence[Cell]) -> list[tuple[str, dict[str, list[str]]]]:
    """The heading and the columns of each group of cells; columns that say nothing are left out."""
    parts = []
    for _, of_group in groupby(cells, key=lambda cell: cell.line.group):
        group = list(of_group)
        results = [cell.result for cell in group if cell.result is not None]
        first = group[0].line
        heading = f"{first.dataset}, {metric_name(first.measure.metric)}"
        if results:
            protocols = dict.fromkeys(r.protocol for r in results)
            heading += f", protocol {' or '.join(protocols)}"
            selections = sorted({r.selection for r in results if r.trained})
            heading += f", selection {' or '.join(selections)}" if selections else ""
        columns = {name: [cell_of(cell) for cell in group] for name, cell_of in _COLUMNS.items()}
        kept = {
            name: values
            for name, values in columns.items()
            if name in ("row", "ours") or any(value not in ("–", "") for value in values)
        }
        parts.append((heading, kept))
    return parts


def _ours(cell: Cell) -> str:
    return cell.reason if cell.result is None else _score(cell.result)


def _score(r: Result) -> str:
    return format_score(r.metric, r.mean, r.std, r.n)


def _number(cell: Cell) -> str:
    r = cell.result
    if r is None:
        return "–"
    splits = f" × {len(r.parts[0])}" if r.parts else ""
    wanted = cell.line.seeds if cell.line.setting is not None else 0
    short = f" of {wanted}" if len(r.seeds) < wanted else ""
    return f"{len(r.seeds)}{splits}{short}"


def _paper(cell: Cell) -> str:
    paper = cell.line.paper
    if paper is None:
        return "–"
    metric = cell.line.measure.metric
    n = 1 if paper.std is None else 2  # a deviation is shown where there is one
    words = format_score(metric, paper.mean, paper.std or 0.0, n)
    if cell.result is None or paper.std is None:
        return words
    return f"{words} {'✓' if paper.covers(cell.result.mean) else '✗'}"


def _difference(cell: Cell) -> str:
    if cell.compared is None:
        return "–"
    return signed(cell.line.measure.metric, cell.compared.mean)


def _interval(cell: Cell) -> str:
    if cell.compared is None or cell.compared.interval is None:
        return "–"
    return " … ".join(signed(cell.line.measure.metric, end) for end in cell.compared.interval)


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"


_COLUMNS: dict[str, Callable[[Cell], str]] = {
    "row": lambda cell: cell.line.row,
    "ours": _ours,
    "random-init": lambda cell: "–" if cell.untrained is None else _score(cell.untrained),
    "n": _number,
    "paper": _paper,
    "against": lambda cell: "–" if cell.compared is None else cell.line.against,
    "difference": _difference,
    "95 % interval": _interval,
    "p (Holm)": lambda cell: "–" if cell.p is None else _p_value(cell.p),
}


def write_table(
    table: Table, cells: Sequence[Cell], folder: Path, command: Callable[[Cell], str]
) -> list[Path]:
    """Write NAME.md, NAME.csv and NAME.json, each whole or not at all.

    Raises:
      InputError: they cannot be written.
    """
    rows = rows_of(cells, command)
    contents = {
        "md": markdown(table, cells, level=1),
        "csv": _csv(rows),
        "json": json.dumps({"name": table.name, "title": table.title, "rows": rows}, indent=1),
    }
    return [
        write_text(folder / f"{table.name}.{ending}", words + "\n" * (ending == "json"))
        for ending, words in contents.items()
    ]


def write_text(path: Path, words: str, *, flag: str = "--runs") -> Path:
    """Write a file of words, whole or not at all."""
    return write_whole(path, lambda path: path.write_text(words, "utf-8"), what="tables", flag=flag)


_CSV = ("dataset", "row", "measure", "representation", "mean", "std", "n", "seeds", "random_init",
        "paper", "within_paper", "against", "difference", "interval", "p", "p_holm", "seconds",
        "missing", "command")  # fmt: skip


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV)
    for row in rows:
        writer.writerow([_plain(row.get(name)) for name in _CSV])
    return out.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join("" if part is None else str(part) for part in value)
    return "" if value is None else value
