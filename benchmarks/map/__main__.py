"""Where does mixing help? Drawn graphs over homophily, signal of the features and labels a class.

    python -m benchmarks.map [--runs=DIR] [--seeds=200:205] [--out=DIR] [--data_dir=DIR]
    python -m benchmarks.map --read        run nothing: draw what is there
    python -m benchmarks.map --quick       one tiny cell, to try it

Each rule is trained on each graph of the grid, and judged with few labels and with more, before
training too. What is known is in DIR/map.jsonl, a line each; the same command goes on where it was
interrupted. Then map.json and map.png are written: gains over no mixing and trained less
untrained, with paired 95 % intervals over seeds, and where data sets lie, as far as --data_dir
(default $MMIX_DATA_DIR) has their files.

Exit status: 0 done; 2 bad input, one `error:` line; 130 interrupted: the same command goes on.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.map import places, work
from benchmarks.map.lines import FILE, Lines, key_of
from benchmarks.map.summary import document
from mmix_jax.command_line import Parser, one_line
from mmix_jax.errors import InputError

OUT = Path("docs/figures")


def _seeds(text: str) -> range:
    first, colon, end = text.partition(":")
    digits = text.isascii() and colon and first.isdigit() and end.isdigit()
    seeds = range(int(first), int(end)) if digits else range(0)
    if not seeds or seeds.stop >= 2**31:
        raise argparse.ArgumentTypeError(f"must be seeds FIRST:END such as 0:5, found '{text}'")
    return seeds


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments.

    Raises:
      InputError: they are wrong.
    """
    parser = Parser(
        prog="python -m benchmarks.map",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--runs", type=Path, metavar="DIR", help="default: runs/map, quick runs/map_quick")
    add("--seeds", type=_seeds, default="200:205", metavar="FIRST:END", help="default: %(default)s")
    add("--out", type=Path, metavar="DIR", help=f"default: {OUT}, quick that of --runs")
    add("--data_dir", help="folder of the data sets; default: $MMIX_DATA_DIR")
    add("--quick", action="store_true", help="one tiny cell, to try it")
    add("--read", action="store_true", help="run nothing: draw what is there")
    args = parser.parse_args(argv)
    if args.data_dir and not Path(args.data_dir).is_dir():
        parser.error(f"--data_dir must be a folder, found '{args.data_dir}'")
    args.runs = args.runs or Path("runs/map_quick" if args.quick else "runs/map")
    args.out = args.out or (args.runs if args.quick else OUT)
    return args


def measure(plan: work.Plan, lines: Lines, seeds: range) -> None:
    """Add the lines that are missing."""
    from tqdm import tqdm

    from mmix_jax.experiments import programs

    items = list(work.items_of(plan, seeds))
    missing = [item for item in items if key_of(item._asdict()) not in lines.known]
    interval = 0.2 if sys.stderr.isatty() else 10.0
    with programs.kept(), tqdm(
        total=len(items), initial=len(items) - len(missing), unit="line", file=sys.stderr,
        mininterval=interval, maxinterval=interval, dynamic_ncols=True,
    ) as bar:  # fmt: skip
        for item in missing:
            bar.set_description(f"{item.rule} seed {item.seed}", refresh=False)
            lines.add(item._asdict(), work.measured(plan, item))
            bar.update()


def place(plan: work.Plan, lines: Lines, data_dir: str | None) -> None:
    """Add where data sets lie, as far as their files are there; say which are left out."""
    for name in places.SETS:
        key = {"set": name}
        if key_of(key) in lines.known:
            continue
        try:
            found = places.measured(plan, name, data_dir)
        except InputError as error:
            print(f"left out: {name}: {one_line(error)}")
            continue
        lines.add(key, found)


def run(args: argparse.Namespace) -> None:
    plan = work.QUICK if args.quick else work.FULL
    lines = Lines(args.runs, plan.digest)
    if lines.damaged:
        print(f"the last line of {lines.path} was cut off; what it told is measured anew")
    if not args.read:
        measure(plan, lines, args.seeds)
        if not args.quick:
            place(plan, lines, args.data_dir)
    told = document(plan, lines.known, args.seeds, list(places.SETS))
    if not told["rows"] or not told["graphs"]:
        raise InputError(
            f"{FILE} must have lines of --seeds to draw, found none in {args.runs}; leave --read "
            "out, or name other --runs or --seeds"
        )
    _write(told, args.out)


def _write(told: dict[str, Any], folder: Path) -> None:
    from benchmarks.map.picture import draw
    from mmix_jax.plans.written import write_text
    from mmix_jax.report.plots import save_png

    words = json.dumps(told, indent=1, allow_nan=False) + "\n"
    print(f"wrote {write_text(folder / 'map.json', words, flag='--out')}")
    print(f"wrote {save_png(draw(told), folder / 'map.png')}")


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    try:
        run(parse(sys.argv[1:] if argv is None else argv))
    except InputError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "interrupted; what is known is kept, start the same command again to go on",
            file=sys.stderr,
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
