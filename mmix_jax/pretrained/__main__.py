"""Encoders that come with the package, and how they are made.

    python -m mmix_jax.pretrained                 lists them with their scores
    python -m mmix_jax.pretrained NAME …          their cards
    python -m mmix_jax.pretrained --make [NAME …] [--runs=DIR] [--out=DIR] [--read]

--make trains what is missing in --runs, all seeds of a table's row, and writes the first training
of each with its card to --out; interrupted, the same command goes on. --read runs nothing.

Exit status: 0 done; 2 bad input, one `error:` line; 130 interrupted.
"""

import argparse
import sys
from collections.abc import Callable

from mmix_jax import command_line
from mmix_jax.errors import InputError
from mmix_jax.fields import unknown
from mmix_jax.surroundings import user_path

_RUNS = "runs/reproduce"


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("pretrained", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of encoders; all without")
    parser.add_argument("--make", action="store_true", help="write them anew")
    parser.add_argument("--runs", metavar="DIR", help=f"default: {_RUNS}")
    parser.add_argument("--out", metavar="DIR", help="default: the package's own folder")
    parser.add_argument("--read", action="store_true", help="with --make: train nothing")
    return parser


def _run(argv: list[str], interrupted: Callable[[], bool]) -> None:
    # Not at the top: whoever sets another folder meanwhile is heard.
    from mmix_jax.pretrained import MODELS, pretrained_names

    args = _parser().parse_args(argv[1:])
    names = list(dict.fromkeys(args.names))
    if args.make:
        from mmix_jax.pretrained.making import SHIPPED, make

        out = user_path(args.out, "--out") if args.out else MODELS
        runs = user_path(args.runs or _RUNS, "--runs")
        make(names or list(SHIPPED), out, runs, interrupted, run=not args.read)
        return
    if args.read or args.out or args.runs:
        raise InputError("--read, --out and --runs belong to --make, found one alone; add --make")
    from mmix_jax.pretrained.cards import described, listing, read_card

    known = pretrained_names()
    for name in names:
        if name not in known:
            raise InputError(unknown("pretrained checkpoint", name[:40], known))
    folders = [MODELS / name for name in names or known]
    cards = [read_card(folder) for folder in folders]
    if names:
        print("\n\n".join(map(described, cards)))
        return
    sizes = [
        sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        for folder in folders
    ]
    print(listing(cards, sizes))
    print(
        f"{len(cards)} encoders, {sum(sizes) / 2**20:.1f} MB; --checkpoint=pretrained:NAME takes "
        "one, mm.load_pretrained(NAME) too"
    )


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    return command_line.run(_run, argv)


if __name__ == "__main__":
    sys.exit(main())
