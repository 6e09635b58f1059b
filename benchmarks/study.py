"""The study of when mixing helps: every question's sweeps by one command, and its page.

    python -m benchmarks.study [NAME …] [--runs=DIR] [--read] [--dry] [--collect=DIR] [--page=FILE]

A NAME is a question (a, b, …) or one of its sweeps; default: all. What is missing is run, in
DIR/SWEEP; --read runs nothing. --collect writes records into DIR/SWEEP, which --runs reads as well.
--page fills what stands between `<!-- study: SWEEP -->` and `<!-- end -->` with the sweep's table,
and at `<!-- study: first -->` the first comparisons of all questions, corrected together. Data sets
lie below MMIX_DATA_DIR. The questions, settled beforehand: docs/when_mixing_helps.md.

Exit status: 0 done; 2 bad input, one `error:` line; 130 interrupted: the same command goes on.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.tables import places_of
from mmix_jax import command_line
from mmix_jax.errors import InputError
from mmix_jax.fields import unknown
from mmix_jax.plans.sweeping import Sweep, cells_of_sweep, pairs_of, sweep, table_of
from mmix_jax.plans.table import Cell, Table, comparison
from mmix_jax.plans.work import carried_out, plan
from mmix_jax.plans.written import markdown, write_text
from mmix_jax.report.paired import holm
from mmix_jax.surroundings import user_path

_FIRST = "first"

_TUNED, _ANSWER, _FEWER, _FEW = (
    range(100, 102), range(200, 210), range(200, 205), range(200, 203)
)  # fmt: skip
_ONE = range(100, 101)
# Cora's random splits: of tuning, split 100 and its validation nodes; of answers, splits 0 to 19.
_LEAN = "num_clusterings=0"
_CORA_TUNED = ("split=random", "split_seed=100", _LEAN, "num_classifiers=2", "eval_every=50")
# On 20 splits at once, which one split's validation nodes must not choose for: the last step, and
# that is the 100th, after which validation is best over the arms of the tuning.
_CORA_SPLITS = ("protocol=splits", "selection=last", _LEAN)
_CORA_ANSWER = (*_CORA_SPLITS, "num_steps=100")
_DBLP_TUNED = (
    *("split=random", "split_seed=100", "protocol=standard", "selection=validation"),
    "num_classifiers=2",
)
_OWN = ("batch_size=1000", "num_steps=150", "learning_rate=3e-3", "eval_every=50", _LEAN)
# A third of what is in Photo's columns are ones: as they are all vectors stay nearly parallel.
_PHOTO = ("data_path=graphs/amazon_photo.npz", "normalise_features=zscore")
_CS = ("data_path=graphs/coauthor_cs.npz",)
# Of tuning at the best τ both arms are best after 100 of the 150 steps.
_PHOTO_ANSWER = (
    *("batch_size=1000", "num_steps=100", "learning_rate=3e-3", "eval_every=50", _LEAN),
    *("protocol=splits", "selection=last", *_PHOTO, "temperature=0.2"),
)
_OWN_TUNED = (*_OWN, "split=random", "split_seed=100", "num_classifiers=2")
_PHOTO_TUNED, _CS_TUNED = (*_OWN_TUNED, *_PHOTO), (*_OWN_TUNED, *_CS)
# In the MVGRL-style framework τ is 1 by default.
_OF_THREE, _OF_FOUR = "temperature=0.2,0.4,0.7", "temperature=0.2,0.4,0.7,1"
_OPTIONS = (
    "variant=none",
    "variant=none,debiased=0.05",
    "variant=none,debiased=0.1",
    "variant=negatives,num_mixed=1",
    "variant=negatives,num_mixed=2",
    "variant=negatives,num_mixed=4",
    "variant=negatives,num_mixed=8",
    "variant=negatives,mixing_start=0.5",
    "variant=negatives,skip_hops=1",
    "variant=negatives,skip_hops=2",
    "variant=negatives,skip_hardest=0.01",
    "variant=negatives,skip_hardest=0.05",
    "variant=negatives,debiased=0.05",
    "variant=negatives,debiased=0.1",
)
_UNLIKE = ("variant=none,mo,mp_nodiv,random,mo_op,mo_all,binary",)


class Asked(NamedTuple):
    """A sweep of the study. first: the rows whose comparison is a question's first; learnt: those
    whose comparison to their own untrained encoder is."""

    config: str
    changes: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    baseline: str = ""
    seeds: range = _ANSWER
    validation: bool = False
    first: tuple[str, ...] = ()
    learnt: tuple[str, ...] = ()

    def sweep(self, folder: Path, **flags) -> Sweep:
        changes = pairs_of(f"--config.{change}" for change in self.changes)
        return Sweep(
            self.config, changes, self.vary, self.baseline, self.seeds, folder,
            validation=self.validation, arms=self.arms, **flags,
        )  # fmt: skip


def _tuning(config: str, changes: tuple[str, ...], **options) -> Asked:
    return Asked(config, changes, validation=True, seeds=options.pop("seeds", _TUNED), **options)


SWEEPS: dict[str, Asked] = {
    "a": Asked("dblp", vary=("variant=none,mo,mp_nodiv",), seeds=range(200, 215), first=("mo",)),
    "b": Asked(
        "pubmed",
        (_LEAN,),
        arms=(
            "variant=none",
            "variant=mp_nodiv",
            "variant=random",
            "variant=mp_nodiv,mixing_start=1",
        ),
        first=("mp_nodiv",),
    ),
    "b_z": Asked(
        "pubmed", (_LEAN, "embed_from=z"), vary=("variant=none,mp_nodiv,random",), seeds=_FEWER
    ),
    "c_cora_none": _tuning("cora:none", _CORA_TUNED, vary=(_OF_FOUR,)),
    "c_cora_mo": _tuning(
        "cora:mo", _CORA_TUNED, vary=(_OF_FOUR, "mixing_temperature=1,0.3,0.1")
    ),
    "c_cora": Asked("cora", _CORA_ANSWER, vary=("variant=none,mo",), first=("mo",)),
    "c_cora_long": Asked(
        "cora", _CORA_SPLITS, vary=("temperature=1,0.4", "variant=none,mo"),
        baseline="variant=none", seeds=_FEWER,
    ),
    "c_dblp_none": _tuning("dblp:none", _DBLP_TUNED, vary=(_OF_THREE,), seeds=_ONE),
    "c_dblp_mo": _tuning("dblp:mo", _DBLP_TUNED, vary=(_OF_THREE,), seeds=_ONE),
    "c_dblp_sharp": _tuning(
        "dblp:mo", (*_DBLP_TUNED, "temperature=0.7"), vary=("mixing_temperature=0.3,0.1",),
        seeds=_ONE,
    ),
    "c_photo_none": _tuning("graph_file:none", _PHOTO_TUNED, vary=(_OF_FOUR,), seeds=_ONE),
    "c_photo_mo": _tuning("graph_file:mo", _PHOTO_TUNED, vary=(_OF_FOUR,), seeds=_ONE),
    "c_photo_sharp": _tuning(
        "graph_file:mo", (*_PHOTO_TUNED, "temperature=0.2"), vary=("mixing_temperature=0.3,0.1",),
        seeds=_ONE,
    ),
    "c_photo": Asked(
        "graph_file", _PHOTO_ANSWER, arms=("variant=none", "variant=mo,mixing_temperature=0.1"),
        seeds=_FEWER, first=("mo, mixing_temperature=0.1",),
    ),
    "c_cs_none": _tuning("graph_file:none", _CS_TUNED, vary=(_OF_THREE,), seeds=_ONE),
    "c_cs_mo": _tuning("graph_file:mo", _CS_TUNED, vary=(_OF_THREE,), seeds=_ONE),
    "d_cora_tuned": _tuning("cora", _CORA_TUNED, arms=_OPTIONS),
    "d_cora": Asked(
        "cora", _CORA_ANSWER,
        arms=(
            "variant=none",
            "variant=none,debiased=0.05",
            "variant=negatives,num_mixed=8,skip_hardest=0.05",
            "variant=negatives,num_mixed=8,skip_hardest=0.05,debiased=0.1",
        ),
        first=("negatives, num_mixed=8, skip_hardest=0.05",),
    ),
    # At the τ that c_photo_none chose.
    "d_photo_tuned": _tuning(
        "graph_file", (*_PHOTO_TUNED, "temperature=0.2"), arms=_OPTIONS, seeds=_ONE
    ),
    "e_chameleon": Asked(
        "graph_file", (*_OWN, "data_path=graphs/chameleon_filtered.npz"), vary=_UNLIKE,
        first=("mo", "mo_all"),
    ),
    "e_actor": Asked(
        "graph_file", (*_OWN, "data_path=graphs/actor.npz"), vary=_UNLIKE, seeds=_FEWER,
        first=("mo", "mo_all"),
    ),
    "g": Asked(
        "cifar10:small", ("num_steps=390",),
        arms=(
            "variant=none",
            "variant=mo_op,threshold=0.9",
            "variant=mo_op,threshold=0.7",
            "variant=mo_all,mixing_temperature=0.1",
            "variant=negatives,num_mixed=4",
            "variant=mp",
            "variant=binary",
            "variant=i_mix",
        ),
        seeds=_FEWER, first=("mo_op, threshold=0.9",),
    ),
    "g_fashion": Asked(
        "fashion_mnist:small", ("num_steps=390",),
        arms=(
            "variant=none",
            "variant=mo_op,threshold=0.9",
            "variant=mo_all,mixing_temperature=0.1",
        ),
        seeds=_FEW, first=("mo_op, threshold=0.9",),
    ),
    "h_proteins": Asked(
        "mutag", ("dataset=PROTEINS", "features=auto", _LEAN),
        vary=("variant=none,mo,mp,mp_nodiv",), seeds=_FEWER, learnt=("none",),
    ),
    "h_nci1": Asked(
        "mutag", ("dataset=NCI1", "features=auto", _LEAN),
        vary=("variant=none,mo,mp",), seeds=_FEW, learnt=("none",),
    ),
}  # fmt: skip


def chosen(names: list[str]) -> list[str]:
    """Sweeps of the names: those of a question, or one.

    Raises:
      InputError: one is unknown.
    """
    questions = dict.fromkeys(name.partition("_")[0] for name in SWEEPS)
    for name in names:
        if name not in SWEEPS and name not in questions:
            raise InputError(unknown("question", name, {*questions, *SWEEPS}))
    return [
        name for name in SWEEPS
        if not names or name in names or name.partition("_")[0] in names
    ]  # fmt: skip


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
        cell._replace(line=cell.line._replace(row=f"{name}: {cell.line.row}"))
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


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("study", __doc__, package="benchmarks")
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="a question or a sweep; default: all")
    add("--runs", default="runs/study", metavar="DIR", help="default: %(default)s")
    add("--read", action="store_true", help="run nothing: show what is there")
    add("--dry", action="store_true", help="print commands and an estimate of the time")
    add("--collect", metavar="DIR", help="write the records behind the tables there")
    add("--page", metavar="FILE", help="fill the tables of this page")
    return parser


def _run(argv: list[str], interrupted: Callable[[], bool]) -> None:
    args = _parser().parse_args(argv[1:])
    names, runs = chosen(args.names), user_path(args.runs, "--runs")
    collect = None if args.collect is None else user_path(args.collect, "--collect")
    page = None if args.page is None else user_path(args.page, "--page")
    if page is not None:
        if args.dry:
            raise InputError("--page is written of scores, found --dry; leave one out")
        places_in(_text_of(page))  # before hours of work
    for name in names:
        own, there = SWEEPS[name], runs / name
        flags = {"dry": args.dry, "read": args.read}
        if collect is not None and not own.validation:  # records keep no validation scores
            flags["collect"] = collect / name
        if args.read and all(cell.result is None for cell in shown(name, runs)[1]):
            print(f"{name}: no score yet")
            continue
        sweep(own.sweep(there, **flags), interrupted)
    if page is not None:
        tables = {name: shown(name, runs) for name in SWEEPS if (runs / name).is_dir()}
        write_text(page, filled(_text_of(page), tables), flag="--page")
        print(f"wrote {page}")


def _text_of(page: Path) -> str:
    try:
        return page.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(
            f"--page must be a file of text, found {page} ({type(error).__name__}); name "
            "docs/when_mixing_helps.md"
        ) from error


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    return command_line.run(_run, argv)


if __name__ == "__main__":
    sys.exit(main())
