"""Settings varied over a config, each with the same seeds, in one table.

    python -m mmix_jax.sweep --config=PATH[:VARIANT]|NAME[:VARIANT] --vary KEY=V1,V2,… [--vary …]
        [--seeds=FIRST:END] [--baseline=KEY=V] [--runs=DIR] [--config.KEY=VALUE …]
        [--dry] [--read] [--validation] [--collect=DIR]
    python -m mmix_jax.sweep --config=… --arm KEY=V,KEY=V,… --arm … [--baseline=ARM] …

Every combination of the values, or every arm, is run, where it is missing, in a workdir of its own
in DIR; the table has mean ± std, n, the random-initialised encoder, and the paired difference to
the baseline with its 95 % interval and the p-value after Holm's correction. KEY is a field of the
config, or `variant`, whose values are joined to the config's by a plus. --validation shows
validation scores; --collect writes the runs' records.

Exit status: 0 done; 2 bad input, one `error:` line; 130 interrupted: the same command goes on.
"""

import argparse
import sys
from collections.abc import Callable

from mmix_jax import command_line
from mmix_jax.errors import InputError
from mmix_jax.surroundings import user_path


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("sweep", __doc__)
    add = parser.add_argument
    add("--vary", action="append", default=[], metavar="KEY=V1,V2,…", help="may be repeated")
    add("--arm", action="append", default=[], metavar="KEY=V,…", help="a combination by itself")
    add("--seeds", default="0:1", type=_seeds, metavar="FIRST:END", help="default: %(default)s")
    add("--baseline", default="", metavar="KEY=V", help="what differences are taken to")
    add("--collect", metavar="DIR", help="write the records behind the table there")
    add("--runs", default="runs/sweep", metavar="DIR", help="default: %(default)s")
    add("--dry", action="store_true", help="print commands and an estimate of the time")
    add("--read", action="store_true", help="run nothing: show what is there")
    add("--validation", action="store_true", help="validation scores, to choose settings by")
    return parser


def _seeds(text: str) -> range:
    """The seeds of FIRST:END, or of END alone from 0 on."""
    first, _, end = text.rpartition(":")
    digits = text.isascii() and (first or "0").isdigit() and end.isdigit()
    seeds = range(int(first or 0), int(end)) if digits else range(0)
    if not seeds or seeds.stop >= 2**31:
        raise argparse.ArgumentTypeError(f"must be seeds FIRST:END such as 0:10, found '{text}'")
    return seeds


def _run(argv: list[str], interrupted: Callable[[], bool]) -> None:
    given, rest = command_line.take(argv, "config")
    changes = [word for word in rest[1:] if word.startswith(("--config.", "-config."))]
    args = _parser().parse_args([word for word in rest[1:] if word not in changes])
    if not given:
        raise InputError(
            "a config must be given, found none; pass --config=digits_graph, which needs no files"
        )
    from mmix_jax.plans.sweeping import Sweep, pairs_of, sweep

    sweep(
        Sweep(
            given=given,
            changes=pairs_of(changes),
            vary=args.vary,
            baseline=args.baseline,
            seeds=args.seeds,
            folder=user_path(args.runs, "--runs"),
            dry=args.dry,
            read=args.read,
            validation=args.validation,
            arms=args.arm,
            collect=user_path(args.collect, "--collect") if args.collect is not None else None,
        ),
        interrupted,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    return command_line.run(_run, argv)


if __name__ == "__main__":
    sys.exit(main())
