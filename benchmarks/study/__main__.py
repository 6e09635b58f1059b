"""The study of when mixing helps: every question's sweeps by one command, and its page.

    python -m benchmarks.study [NAME …] [--runs=DIR] [--read] [--dry] [--collect=DIR] [--page=FILE]

A NAME is a question (a, b, …) or one of its sweeps; default: all. What is missing is run, in
DIR/SWEEP; --read runs nothing, and tells the hours behind it. --collect writes records into
DIR/SWEEP, which --runs reads as well.
--page fills what stands between `<!-- study: SWEEP -->` and `<!-- end -->` with the sweep's table,
and at `<!-- study: first -->` the first comparisons of all questions, corrected together. Data sets
lie below MMIX_DATA_DIR. The questions, settled beforehand: docs/when_mixing_helps.md.

Exit status: 0 done; 2 bad input, one `error:` line; 130 interrupted: the same command goes on.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.study.page import filled, places_in, seconds_of, shown
from benchmarks.study.sweeps import SWEEPS, chosen
from mmix_jax import command_line
from mmix_jax.errors import InputError
from mmix_jax.plans.sweeping import sweep
from mmix_jax.plans.written import write_text
from mmix_jax.surroundings import user_path


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
    if args.read and (answers := [name for name in names if not SWEEPS[name].validation]):
        seconds = sum(seconds_of(shown(name, runs)[1]) for name in answers)
        print(f"{seconds / 3600:.1f} hours of trainings and their scores, tuning not counted")
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
