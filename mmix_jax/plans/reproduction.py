"""Tables and figures by their names: planned, run, printed and written."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mmix_jax.errors import InputError
from mmix_jax.plans.catalog import SECONDS, TABLES, check_only, table_of
from mmix_jax.plans.figures import Drawn, Plan, cifar_plans, figure_plans, write_figure
from mmix_jax.plans.mechanism import mechanism_plans
from mmix_jax.plans.runs import Setting, writable
from mmix_jax.plans.table import Cell, cells_of
from mmix_jax.plans.work import carried_out, collect, dry_lines, plan
from mmix_jax.plans.written import markdown, text, write_table, write_text

_PAGE = """# Results

Test scores, mean ± standard deviation over n trainings (seeds 0 … n − 1); accuracies in %.
*random-init* is the encoder before training, of the same seeds; *difference* is paired by seed
(and split), with its 95 % interval by Student's t, and the p-value after Holm's correction over
the trained rows of its table that have a difference. *paper* has the paper's number: ✓ where our
mean lies within its deviation, ✗ where it does not. `3 of 10` is a row that is short of the
trainings it ought to have. Every row is one command, in the table's JSON and by
`python -m mmix_jax.reproduce NAME --dry`; its record lies in `results/`. This page is written by
`python -m mmix_jax.reproduce all --read --runs=results --page=docs/results.md`.
"""


class Asked(NamedTuple):
    """What the flags of `reproduce` ask for."""

    names: list[str]
    only: list[str]
    seeds: int | None
    folder: Path
    dry: bool = False
    read: bool = False
    collect: Path | None = None
    page: Path | None = None


def all_figures(seeds: int | None) -> dict[str, Plan]:
    """Figures by name, the paper's and the further ones; `seeds` where it is said."""
    return figure_plans(seeds) | further_figures(seeds)


def further_figures(seeds: int | None) -> dict[str, Plan]:
    """Those that are drawn where they are named alone: of CIFAR-10, and of what mixing does."""
    return cifar_plans(seeds) | mechanism_plans(seeds)


def reproduce(asked: Asked, interrupted: Callable[[], bool]) -> None:
    """Run what is missing of what was asked for, print and write it.

    Raises:
      InputError: bad input, or nothing of it could be had.
      Interrupted: what was finished stays.
    """
    tables = [name for name in asked.names if name in TABLES]
    if tables:
        check_only(tables, asked.only)
    made = [table_of(name, only=asked.only, seeds=asked.seeds) for name in tables]
    of_figures = all_figures(asked.seeds)
    figures = [of_figures[name] for name in asked.names if name in of_figures]
    if asked.only and figures:
        if not made:
            raise InputError(
                "--only names data sets of tables, found figures alone; leave it out, or name a "
                "table"
            )
        print(f"left out, as --only is of tables: {', '.join(f.name for f in figures)}")
        figures = []
    wanted: dict[Setting, int] = {}
    for settings in (*(table.settings for table in made), *(f.settings for f in figures)):
        for setting, seeds in settings.items():
            wanted[setting] = max(seeds, wanted.get(setting, 0))
    if not (asked.dry or asked.read):
        writable(asked.folder)
    if asked.collect:
        writable(asked.collect, "--collect")
    if asked.page:
        writable(asked.page.parent, "--page")
        if asked.page.is_dir():
            raise InputError(f"--page must be a file, found the folder {asked.page}; name a file")
    planned = plan({setting: range(n) for setting, n in wanted.items()}, asked.folder)
    if asked.dry:
        print("\n".join(dry_lines(planned, asked.folder, SECONDS)))
        return
    work = carried_out(planned, asked.folder, interrupted, run=not asked.read)
    if not work.runs:
        reasons = sorted(set(work.reasons.values()))
        raise InputError(
            f"a table needs scores, found none in {asked.folder} "
            f"({', '.join(reasons) or 'nothing is run'}); "
            + ("run it without --read" if asked.read else "see to what the lines above name")
        )

    def command(cell: Cell) -> str:
        setting = cell.line.setting
        if setting is None:
            return ""
        there = len(work.runs[setting].seeds) if setting in work.runs else 0
        return setting.command(range(max(wanted[setting], there)), asked.folder)

    pages = [_PAGE]
    for table in made:
        cells = cells_of(table, work.runs, work.reason)
        print("\n" + text(table, cells), flush=True)
        pages.append(markdown(table, cells))
        if not asked.read:
            _tell(write_table(table, cells, asked.folder, command))
    for figure in figures:
        drawn = figure.make(work.runs, asked.folder)
        print(f"\n{figure.name}: {figure.title}\n{drawn.text}", flush=True)
        pages.append(_figure_part(figure, drawn, asked.page))
        if not asked.read:
            _tell(write_figure(figure, drawn, asked.folder))
    if asked.collect:
        collect(work, asked.collect)
    if asked.page:
        _tell([write_text(asked.page, "\n".join(pages), flag="--page")])


def _figure_part(figure: Plan, drawn: Drawn, page: Path | None) -> str:
    """What a page has of a figure: its numbers, where there are any, and its picture, if it lies in
    the folder `figures` beside the page."""
    parts = [f"## {figure.name}: {figure.title}"]
    if drawn.values:
        parts.append(f"```\n{drawn.text}\n```")
    picture = Path("figures") / f"{figure.name}.png"
    if page is not None and (page.parent / picture).is_file():
        parts.append(f"![{figure.title}]({picture.as_posix()})")
    return "\n\n".join(parts if len(parts) > 1 else [*parts, drawn.text]) + "\n"


def _tell(paths: list[Path]) -> None:
    for path in paths:
        print(f"wrote {path}")
