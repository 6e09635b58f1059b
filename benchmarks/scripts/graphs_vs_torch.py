"""Pretraining on sets of graphs: this library against a PyTorch version of the authors' code.

    python -m benchmarks.scripts.graphs_vs_torch [--data_dir=DIR | --synthetic=188]

Prints peak memory of each side in a process of its own, then whether both sides compute the same,
and seconds per epoch, measured in turns in this one process. Without torch only this library is
measured.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks import suite, tasks, timing
from benchmarks.scripts.memory import on_the_device
from benchmarks.scripts.nodes_vs_torch import CASES
from mmix_jax.data.types import GraphDataset

LIBRARY = {f"jax, {objective}": objective for objective in tasks.OBJECTIVES}
SAME, OURS = LIBRARY
TORCH = "torch"


def config_of(args: argparse.Namespace, name: str, case: str, side: str = SAME) -> Any:
    """The config of one of this library's sides; PyTorch's takes the first one's."""
    return tasks.graph_config(
        name, LIBRARY.get(side, LIBRARY[SAME]), mixing=CASES[case], width=args.width
    )


def load(args: argparse.Namespace, name: str) -> GraphDataset:
    return tasks.load_graphs(name, args.data_dir, args.synthetic)


def peak_of_epochs(options: dict, name: str, case: str, side: str) -> dict[str, float]:
    """Peak memory of a side's epochs in this process."""
    args = argparse.Namespace(**options)
    device, config = "", config_of(args, name, case, side)
    if side == TORCH:
        from benchmarks.torch import graphs
        from benchmarks.torch import side as torch_side

        device = args.torch_device or torch_side.default_device()
    floor = timing.resident_mb()
    dataset = load(args, name)
    if side == TORCH:
        epoch = graphs.reference_epoch(graphs.pad(dataset.graphs, device), config)
    else:
        epoch = tasks.GraphStep(config, dataset).epoch
    ready = timing.resident_mb()
    for _ in range(args.warm_up):
        epoch()
    peak = timing.resident_mb()
    if side != TORCH:
        on_device = timing.device_peak()
    else:
        on_device = torch_side.device_peak() if device != "cpu" else {}
    return {"floor_mb": floor, "ready_mb": ready, "peak_mb": peak, **on_device}


def print_memory(args: argparse.Namespace) -> None:
    """Peak memory, each figure from a process of its own."""
    print(
        f"\nresident memory of {args.warm_up} epochs, MB (n=1)\n"
        f"  {'':<42}above floor      peak     floor   inputs ready"
    )
    for name in args.datasets:
        for case in args.cases:
            for side in (*LIBRARY, TORCH) if suite.HAVE_TORCH else LIBRARY:
                peak = timing.apart(peak_of_epochs, vars(args), name, case, side)
                above = peak["peak_mb"] - peak["floor_mb"]
                print(
                    f"  {f'{name}, {case}: {side}':<42}{above:>11.0f}{peak['peak_mb']:>10.0f}"
                    f"{peak['floor_mb']:>10.0f}{peak['ready_mb']:>15.0f}{on_the_device(peak)}",
                    flush=True,
                )


def print_times(args: argparse.Namespace, name: str, device: str) -> None:
    """One table: an epoch of a data set, for every case."""
    dataset = load(args, name)
    sizes = [graph.num_nodes for graph in dataset.graphs]
    print(
        f"\ndata      {dataset.name}: {len(sizes)} graphs of {min(sizes)} to {max(sizes)} nodes "
        f"(mean {np.mean(sizes):.1f}), {dataset.graphs[0].x.shape[1]} features"
    )
    padded = None
    if suite.HAVE_TORCH:
        from benchmarks.torch import graphs

        padded = graphs.pad(dataset.graphs, device)
    for case in args.cases:
        steps = {s: tasks.GraphStep(config_of(args, name, case, s), dataset) for s in LIBRARY}
        sampler = steps[SAME].sampler
        print(
            f"{case}: an epoch of {sampler.num_batches} steps, {100 * sampler.padding:.1f} % "
            f"padding; medians of n={args.repeats}"
        )
        sides: dict[str, Callable[[], object]] = {s: step.epoch for s, step in steps.items()}
        if padded is not None:
            print(f"  {graphs.check_same(steps[SAME], padded)}")
            print(f"  torch: {100 * (1 - padded.mask.float().mean().item()):.1f} % padding")
            sides[TORCH] = graphs.reference_epoch(padded, config_of(args, name, case))
        seconds = timing.alternate(sides, repeats=args.repeats, warm_up=args.warm_up)
        lines = timing.ratio_lines(seconds, SAME)
        if padded is not None:
            lines += timing.ratio_lines({side: seconds[side] for side in (OURS, TORCH)}, OURS)[1:]
        print("\n".join(lines), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="An epoch of graph tasks and its peak memory, against PyTorch."
    )
    parser.add_argument("--data_dir", help="folder with the TU files; default: $MMIX_DATA_DIR")
    parser.add_argument("--synthetic", type=int, metavar="M", help="M random graphs of like sizes")
    parser.add_argument(
        "--datasets", nargs="+", choices=tasks.GRAPH_BATCHES, default=list(tasks.GRAPH_BATCHES)
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=10, help="timed epochs of each side")
    parser.add_argument(
        "--warm_up",
        type=int,
        default=3,
        help="epochs before, at least 2, both compile; memory is that of these",
    )
    parser.add_argument("--torch_device", help="default: cuda where torch finds it, else cpu")
    return parser.parse_args()


def main() -> None:
    args = parse()
    print(timing.apart(timing.header))
    print_memory(args)
    if jax.default_backend() != "cpu":
        jax.config.update("jax_default_matmul_precision", "highest")
    device = suite.set_up_torch("graphs", args.torch_device)
    for name in args.datasets:
        print_times(args, name, device)


if __name__ == "__main__":
    main()
