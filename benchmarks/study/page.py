"""The study's tables, and the page that holds them between marks."""

from collections.abc import Iterable
from pathlib import Path

from benchmarks.study.sweeps import SWEEPS, Asked
from benchmarks.tables import places_of
from mmix_jax.errors import InputError
from mmix_jax.fields import unknown
from mmix_jax.plans.sweeping import cells_of_sweep, table_of
from mmix_jax.plans.table import Cell, Table, comparison
from mmix_jax.plans.work import carried_out, plan
from mmix_jax.plans.written import markdown
from mmix_jax.report.paired import holm

_FIRST = "first"


def shown(name: str, runs: Path) -> tuple[Table, list[Cell]]:
    """The table of a sweep, with what is there of it."""
    asked = SWEEPS[name].sweep(runs / name)
    table = table_of(asked)
    planned = plan(dict.fromkeys(table.settings, asked.seeds), asked.folder)
    work = carried_out(planned, asked.folder, lambda: False, run=False)
    return table, cells_of_sweep(asked, table, work)


def first_comparisons(tables: dict[str, tuple[Table, list[Cell]]]) -> str:
    """The first comparison of every question that has an answer, with p after Holm's correction
    over all of them, as Markdown; empty without any."""
    firsts = [
        cell._replace(
            line=cell.line._replace(
                dataset=SWEEPS[name].data or cell.line.dataset, row=f"{name}: {cell.line.row}"
            )
        )
        for name, (_, cells) in tables.items()
        for cell in (_first_of(SWEEPS[name], cell) for cell in cells)
        if cell is not None and cell.compared is not None
        if cell.line.measure == cells[0].line.measure  # the headline
    ]
    if not firsts:
        return ""
    corrected = holm([cell.compared.p for cell in firsts if cell.compared is not None])
    cells = [cell._replace(p=p) for cell, p in zip(firsts, corrected, strict=True)]
    words = "p is corrected over the first comparisons of all questions."
    return markdown(Table("first", "of every question", words, ()), cells, level=3)


def _first_of(asked: Asked, cell: Cell) -> Cell | None:
    """The cell as a first comparison; None where it is not one."""
    if cell.line.row in asked.learnt:
        return cell._replace(
            line=cell.line._replace(against=f"{cell.line.row}, untrained"),
            compared=comparison(cell.untrained, cell.result),
        )
    return cell if cell.line.row in asked.first else None


def seconds_of(cells: Iterable[Cell]) -> float:
    """Wall time of the trainings behind a table, with the scores of what they trained."""
    return sum(
        {
            cell.line.setting: cell.result.seconds for cell in cells if cell.result is not None
        }.values()
    )


def places_in(page: str) -> list[tuple[str, slice]]:
    """Names of the page's tables, each with what stands between its mark and the next end.

    Raises:
      InputError: a mark has no end, an end no mark, or a name is none of the study.
    """
    places = places_of(page, "study")
    for name, _ in places:
        if name not in (*SWEEPS, _FIRST):
            raise InputError(unknown("sweep of the study", name, [*SWEEPS, _FIRST]))
    return places


def filled(page: str, tables: dict[str, tuple[Table, list[Cell]]]) -> str:
    """The page with its tables; what has no score yet stays as it is."""
    pieces, place = [], 0
    for name, between in places_in(page):
        words = ""
        if name == _FIRST:
            words = first_comparisons(tables)
        elif name in tables:
            table, cells = tables[name]
            if any(cell.result is not None for cell in cells):
                table = table._replace(
                    name=name, title=SWEEPS[name].config, caption=f"{table.title}. {table.caption}"
                )
                words = markdown(table, cells, level=3)
        pieces += [page[place : between.start], f"\n{words}" if words else page[between]]
        place = between.stop
    return "".join([*pieces, page[place:]])
