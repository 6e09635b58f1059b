"""Time and memory at 100,000, 300,000 and 1,000,000 nodes, and that edges elsewhere cost nothing.

    python -m benchmarks.scripts.scale [--nodes 100000 300000 1000000] [--degree 20] [--program]

Sizes of one's own for `benchmarks.parts.scale`. `--program` also runs the ordinary program, train
and embed, at the largest size. Prints a line of JSON for every row as it is measured, then a table.
"""

import argparse
import json

from benchmarks import timing
from benchmarks.parts.scale import Sizes, rows_of


def text_table(rows: list[dict]) -> str:
    """The rows as text."""
    steps = [row for row in rows if row["kind"] == "steps"]
    lines = [
        "    nodes degree      edges   draw s  adjacency s  diffusion s   step mp s  step none s"
        "   batch s  batch edges   peak MB  training MB"
    ]
    for row in steps:
        lines.append(
            f"{row['nodes']:>9}{row['degree']:>7g}{row['edges']:>11}{row['generate_seconds']:>9.1f}"
            f"{row['adjacency_seconds']:>13.2f}{row['diffusion_seconds']:>13.1f}"
            f"{row['step_mp_seconds']:>12.4f}{row['step_none_seconds']:>13.4f}"
            f"{row['batch_seconds']:>10.4f}{row['batch_edges']:>13}{row['peak_mb']:>10.0f}"
            f"{row['training_mb']:>13.0f}"
        )
    for row in rows:
        if row["kind"] != "steps":
            lines.append(
                f"the program, {row['kind']}, {row['nodes']} nodes of degree {row['degree']:g}: "
                f"{row['seconds']:.0f} s, peak {row['peak_mb']:.0f} MB (n=1)"
            )
    if steps:
        first = steps[0]
        lines.append(
            f"steps: {first['batch_size']} anchors, {first['features']} features, width "
            f"{first['width']}, batch included; medians of n={first['steps']}; other times n=1"
        )
    return "\n".join(lines)


def parse(argv: list[str] | None = None) -> Sizes:
    """The sizes asked for; defaults are the part's."""
    usual = Sizes()
    parser = argparse.ArgumentParser(description="Time and memory at up to a million nodes.")
    parser.add_argument("--nodes", type=int, nargs="+", default=usual.nodes)
    parser.add_argument(
        "--degree", type=float, default=usual.degree, help="mean number of neighbours"
    )
    parser.add_argument(
        "--degrees",
        type=float,
        nargs="*",
        default=usual.degrees,
        help="others, at the smallest size",
    )
    parser.add_argument("--features", type=int, default=usual.features)
    parser.add_argument("--width", type=int, default=usual.width)
    parser.add_argument("--batch_size", type=int, default=usual.batch_size)
    parser.add_argument("--steps", type=int, default=usual.steps, help="timed training steps")
    parser.add_argument("--program", action="store_true", help="train and embed, at the largest")
    return Sizes(**vars(parser.parse_args(argv)))


def main() -> None:
    sizes = parse()
    print(timing.apart(timing.header), flush=True)
    rows = []
    for row in rows_of(sizes):
        rows.append(row)
        print(json.dumps(row), flush=True)
    print(text_table(rows))


if __name__ == "__main__":
    main()
