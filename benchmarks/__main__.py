"""The suite: runs its parts, prints a table per part, and writes one JSON file.

    python -m benchmarks                     every part but frontier
    python -m benchmarks frontier            accuracy over seconds of whole trainings
    python -m benchmarks info_nce memory     some of them
    python -m benchmarks --quick             tiny sizes of everything, to try it

Exit status: 0 done; 1 a part failed; 2 bad arguments, one `error:` line; 130 interrupted. The file
is written at the end, whole or not at all.
"""

import argparse
import datetime
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import suite, timing
from benchmarks.suite import Options, Row

RESULTS = Path("benchmarks/results")
DATASETS = ("cora", "pubmed")  # of part `frontier`


# Each is a module of `parts` with `measure(options: suite.Options) -> list of rows`.
PARTS = {
    "roofline": "peaks of this machine: matrix products, copying",
    "info_nce": "InfoNCE, streamed and dense, beside plain products",
    "beyond": "options beyond the paper: debiased, hardness, mixtures as negatives",
    "mixing": "every mixing rule, along edges and over pairs",
    "diffusion": "PageRank and heat of features over a graph",
    "steps": "a training step of each framework",
    "layers": "each convolution of ResNet-18",
    "evaluation": "the protocols: regressions, SVM, kNN, k-means",
    "runs": "whole runs as processes, cold and warm",
    "memory": "peak memory over N, and the largest N that fits",
    "devices": "ring = gathered = one device, on simulated devices",
    "scale": "graphs of up to a million nodes",
    "targets": "large sizes, on an accelerator alone",
}
# Run where they are named alone: hours, of whole trainings.
ON_REQUEST = {"frontier": "accuracy over seconds of whole trainings; only if named"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; see --help", file=sys.stderr)
        raise SystemExit(2)


def _positive(kind: type) -> Any:
    def read(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be a positive number, found '{text}'")
        return value

    return read


def _all_parts() -> dict[str, str]:
    return PARTS | ON_REQUEST


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments; bad ones end the program with status 2."""
    parser = _Parser(
        prog="python -m benchmarks",
        description="Measures this machine and the library on it; prints tables, writes JSON.",
        epilog="parts:\n" + "\n".join(f"  {n:<12}{about}" for n, about in _all_parts().items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="default: all but those that say so"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try it")
    parser.add_argument(
        "--out", type=Path, help=f"JSON file; default: {RESULTS}/<part or all>-<platform>.json"
    )
    parser.add_argument("--repeats", type=_positive(int), help="timed calls; default: 5, quick 2")
    parser.add_argument("--data_dir", help="folder of the data sets; default: $MMIX_DATA_DIR")
    number = _positive(int)
    parser.add_argument("--rows", type=number, nargs="+", help="N of info_nce, memory, targets")
    parser.add_argument("--dimensions", type=number, nargs="+", help="D of info_nce")
    parser.add_argument("--block_size", type=number, help="of streamed forms")
    parser.add_argument(
        "--limit_gb",
        type=_positive(float),
        default=8.0,
        help="memory that dense forms may take, and that part memory fills; default: 8",
    )
    group = parser.add_argument_group("of frontier")
    group.add_argument("--datasets", nargs="+", choices=DATASETS, help="default: both, quick cora")
    group.add_argument("--seeds", type=number, help="trainings of a method; default: 5, quick 1")
    group.add_argument(
        "--budget_s", type=_positive(float), default=300.0, help="ends a training; default: 300"
    )
    group.add_argument("--num_classifiers", type=number, help="of a score; default: 10, quick 2")
    args = parser.parse_args(argv)
    for name in args.parts:
        if name not in _all_parts():
            parser.error(f"unknown part '{name}'; expected one of: {', '.join(_all_parts())}")
    if args.data_dir and not Path(args.data_dir).is_dir():
        parser.error(f"--data_dir must be a folder, found '{args.data_dir}'")
    if args.out is not None:
        _check_writable(parser, args.out)
    return args


def _check_writable(parser: argparse.ArgumentParser, path: Path) -> None:
    """Before an hour of measuring, not after."""
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        parser.error(f"--out must be a file that can be written, found '{path}'")


def options_of(args: argparse.Namespace) -> Options:
    return Options(
        quick=args.quick,
        repeats=args.repeats or (2 if args.quick else 5),
        data_dir=args.data_dir,
        rows=args.rows,
        dimensions=args.dimensions,
        block_size=args.block_size,
        limit_gb=args.limit_gb,
        datasets=tuple(args.datasets or (DATASETS[:1] if args.quick else DATASETS)),
        seeds=args.seeds or (1 if args.quick else 5),
        budget_s=args.budget_s,
        num_classifiers=args.num_classifiers or (2 if args.quick else 10),
    )


def peaks_of(rows: list[Row]) -> dict[str, float]:
    """The best rates among the rows of `roofline`: FLOP/s by dtype, and `bytes` a second."""
    peaks = {"bytes": max(row["bytes"] / row["seconds"] for row in rows if "bytes" in row)}
    for row in rows:
        if "flops" in row:
            peaks[row["dtype"]] = max(peaks.get(row["dtype"], 0.0), row["flops"] / row["seconds"])
    return peaks


def run(args: argparse.Namespace) -> dict:
    """The whole document: the peaks first, then the parts that were asked for, each printed.

    A part is a process of its own: it finds the device's memory free.

    Raises:
      SystemExit: a part failed; it has said why.
    """
    options = options_of(args)
    document: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "quick": args.quick,
    }
    # JAX would reserve most of a GPU, and leave PyTorch and a part's own processes too little.
    name = "XLA_PYTHON_CLIENT_PREALLOCATE"
    environment = {name: os.environ.get(name, "false")}
    parts: dict[str, dict] = {}
    for name in dict.fromkeys(["roofline", *(args.parts or PARTS)]):
        begin = time.perf_counter()
        part = timing.apart(suite.run_part, name, options._asdict(), environment=environment)
        seconds = time.perf_counter() - begin
        if name == "roofline":
            options = options._replace(peaks=peaks_of(part["rows"]))
            document |= part["machine"]
            document["options"] = options._asdict()
            print(f"date      {document['date']}\n{timing.describe(part['machine'])}")
        print(f"\n{name}: {_all_parts()[name]} ({seconds:.0f} s)")
        print(suite.text_table(part["rows"]), flush=True)
        parts[name] = {"seconds": seconds, "rows": part["rows"]}
    return document | {"parts": parts}


def main(argv: list[str] | None = None) -> None:
    args = parse(sys.argv[1:] if argv is None else argv)
    try:
        document = run(args)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        raise SystemExit(130) from None
    platform = document["hardware"]["platform"] + ("-quick" if args.quick else "")
    path = args.out or RESULTS / f"{'+'.join(args.parts) or 'all'}-{platform}.json"
    try:
        suite.write_whole(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        print(f"error: {path} cannot be written: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None
    print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
