"""The paper's tables and figures, each by one command.

    python -m mmix_jax.reproduce NAME … [--seeds=N] [--only=DATASET,…] [--runs=DIR] [--dry] [--list]
        [--read] [--collect=DIR] [--page=FILE]

Runs what is missing in DIR (a run is a workdir of the program), reads what is there, prints each
table and writes NAME.md, NAME.csv and NAME.json, of figures NAME.png and NAME.json, into DIR.
Interrupted, it goes on when it is started again; --seeds may grow later, and what is trained stays.

Exit status: 0 done; 2 bad input, one `error:` line; 130 interrupted.
"""

import argparse
import sys
from collections.abc import Callable

from mmix_jax import command_line
from mmix_jax.errors import InputError
from mmix_jax.fields import unknown
from mmix_jax.surroundings import user_path

_ALL = "all"


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("reproduce", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="see --list; all is all of them")
    parser.add_argument(
        "--seeds",
        type=command_line.positive,
        metavar="N",
        help="trainings of every row; without, each data set's own number",
    )
    parser.add_argument("--only", default="", metavar="DATASET,…", help="rows of these data sets")
    parser.add_argument(
        "--runs", default="runs/reproduce", metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument(
        "--dry", action="store_true", help="print commands and an estimate of the time"
    )
    parser.add_argument("--read", action="store_true", help="run nothing: show what is there")
    parser.add_argument("--list", action="store_true", help="the names, with what they hold")
    parser.add_argument(
        "--collect", metavar="DIR", help="write the records behind the tables there"
    )
    parser.add_argument("--page", metavar="FILE", help="write all that was asked for as one page")
    return parser  # fmt: skip


def _names(given: list[str]) -> list[str]:
    """The names asked for, each once.

    Raises:
      InputError: there is none, or one is unknown.
    """
    from mmix_jax.plans.catalog import TABLES
    from mmix_jax.plans.reproduction import all_figures, further_figures

    known = [*TABLES, *all_figures(None)]
    if not given:
        raise InputError("a table must be named, found none; --list has the names")
    for name in given:
        if name not in (*known, _ALL):
            raise InputError(unknown("table", name, (*known, _ALL)))
    # Tables 6 and 9 are one; further figures are drawn where they are named.
    every = [name for name in known if name not in {"table9", *further_figures(None)}]
    return list(dict.fromkeys(n for name in given for n in (every if name == _ALL else [name])))


def _list() -> None:
    from mmix_jax.plans.catalog import TABLES, datasets_of
    from mmix_jax.plans.reproduction import all_figures, further_figures

    for name, make in TABLES.items():
        print(f"{name:<15} {make().title}: {', '.join(datasets_of(name))}")
    for name, plan in all_figures(None).items():
        print(f"{name:<15} {plan.title}")
    print(f"{_ALL:<15} all of them but {', '.join(further_figures(None))}")


def _run(argv: list[str], interrupted: Callable[[], bool]) -> None:
    args = _parser().parse_args(argv[1:])
    if args.list:
        _list()
        return
    names = _names(args.names)
    only = [word for word in args.only.split(",") if word]
    folder = user_path(args.runs, "--runs")
    from mmix_jax.plans.reproduction import Asked, reproduce

    reproduce(
        Asked(
            names=names,
            only=only,
            seeds=args.seeds,
            folder=folder,
            dry=args.dry,
            read=args.read,
            collect=user_path(args.collect, "--collect") if args.collect is not None else None,
            page=user_path(args.page, "--page") if args.page is not None else None,
        ),
        interrupted,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    return command_line.run(_run, argv)


if __name__ == "__main__":
    sys.exit(main())
