"""Pretraining on sets of graphs: this library against a PyTorch version of the authors' code.

    python -m benchmarks.scripts.graphs_vs_torch [--data_dir=DIR | --synthetic=188]

Prints peak memory of each side in a process of its own, then whether both sides compute the same,
and seconds per epoch, measured in turns in this one process. Without torch only this library is
measured.
"""

import argparse
import importlib.util
import json
from collections.abc import Callable

# Nothing heavy is imported up here: on Linux a process started from a large one inherits its peak.
from benchmarks import timing
from benchmarks.scripts import memory

HAVE_TORCH = importlib.util.find_spec("torch") is not None
BATCH_SIZES = {"mutag": 128, "ptc_mr": 64}
CASES = {"none": "none", "weights used": "mp"}
SAME, OURS, TORCH = "jax, same objective", "jax, equation 11", "torch"
SETTINGS = {
    SAME: {"node_contrast": "batch", "negatives": "cross", "stop_gradient": True},
    OURS: {},
}
SIDES = (*SETTINGS, TORCH) if HAVE_TORCH else tuple(SETTINGS)


def config_of(args, name: str, case: str, side: str):
    """The config of one of this library's sides."""
    from mmix_jax.experiments.graph_defaults import graph_config

    config = graph_config(name)
    config.update(mixing=CASES[case], width=args.width, batch_size=BATCH_SIZES[name])
    config.update(SETTINGS[side])
    return config


def set_up(args) -> str:
    """Full float32 products on both sides; returns torch's device."""
    import jax

    if jax.default_backend() != "cpu":
        jax.config.update("jax_default_matmul_precision", "highest")
    if not HAVE_TORCH:
        print("torch     not installed: only JAX is measured; pip install torch to compare")
        return ""
    from benchmarks.torch import graphs as torch_graphs
    from benchmarks.torch import side

    return side.set_up(
        args.torch_device,
        "float32",
        golden=torch_graphs.GOLDEN,
        compare=torch_graphs.golden_difference,
    )


def reference_epoch(args, padded, name: str, case: str) -> Callable[[], float]:
    """The authors' epoch, of as many batches as this library's."""
    from benchmarks.torch import graphs as torch_graphs

    return torch_graphs.reference_epoch(
        padded,
        width=args.width,
        mixing=CASES[case] != "none",
        num_batches=-(-len(padded.mask) // BATCH_SIZES[name]),
        learning_rate=config_of(args, name, case, SAME).learning_rate,
    )


def measure_jax(args, side: str) -> dict[str, float]:
    """Epochs of this library, which take what memory they take."""
    from benchmarks import graphs

    floor = memory.peak_mb()
    name, case = args.datasets[0], args.cases[0]
    dataset = graphs.load(name, args.data_dir, args.synthetic)
    step = graphs.LibraryStep(config_of(args, name, case, side), dataset)
    ready = memory.peak_mb()
    for _ in range(args.warm_up):
        step.epoch()
    return memory.report(floor, ready_mb=ready)


def measure_torch(args) -> dict[str, float]:
    """Epochs of the PyTorch side."""
    import torch

    from benchmarks import graphs
    from benchmarks.torch import graphs as torch_graphs

    floor = memory.peak_mb()
    name, case = args.datasets[0], args.cases[0]
    device = args.torch_device or ("cuda" if torch.cuda.is_available() else "cpu")
    dataset = graphs.load(name, args.data_dir, args.synthetic)
    padded = torch_graphs.pad(dataset.graphs, device)
    epoch = reference_epoch(args, padded, name, case)
    ready = memory.peak_mb()
    for _ in range(args.warm_up):
        epoch()
    found = {"floor_mb": floor, "peak_mb": memory.peak_mb(), "ready_mb": ready}
    if device != "cpu":
        found["device_peak_mb"] = torch.cuda.max_memory_allocated(device) / 1e6
    return found


def measure(args) -> dict:
    """The measurement that `--measure` names, in this process."""
    if args.measure == "hardware":
        return {"header": timing.header()}
    return measure_torch(args) if args.measure == TORCH else measure_jax(args, args.measure)


def print_memory(args) -> None:
    """Peak memory, each figure from a process of its own."""
    print(
        f"\nresident memory of {args.warm_up} epochs, MB (n=1)\n"
        f"  {'':<42}above floor      peak     floor   inputs ready"
    )
    for name in args.datasets:
        for case in args.cases:
            for side in SIDES:
                options = ("--datasets", name, "--cases", case)
                found = memory.apart(side, *options, module="benchmarks.scripts.graphs_vs_torch")
                above = found["peak_mb"] - found["floor_mb"]
                print(
                    f"  {f'{name}, {case}: {side}':<42}{above:>11.0f}{found['peak_mb']:>10.0f}"
                    f"{found['floor_mb']:>10.0f}{found['ready_mb']:>15.0f}"
                    f"{memory.device_part(found)}",
                    flush=True,
                )


def print_times(args, name: str, device: str) -> None:
    """One table: an epoch of a data set, for every case."""
    from benchmarks import graphs

    dataset = graphs.load(name, args.data_dir, args.synthetic)
    print(f"\n{graphs.describe(dataset)}")
    padded = None
    if HAVE_TORCH:
        from benchmarks.torch import graphs as torch_graphs

        padded = torch_graphs.pad(dataset.graphs, device)
    for case in args.cases:
        steps = {s: graphs.LibraryStep(config_of(args, name, case, s), dataset) for s in SETTINGS}
        sampler = steps[SAME].sampler
        print(
            f"{case}: an epoch of {sampler.num_batches} steps, {100 * sampler.padding:.1f} % "
            f"padding; medians of n={args.repeats}"
        )
        sides: dict[str, Callable[[], object]] = {s: step.epoch for s, step in steps.items()}
        if padded is not None:
            print(f"  {torch_graphs.check_same(steps[SAME], padded)}")
            print(f"  torch: {100 * (1 - padded.mask.float().mean().item()):.1f} % padding")
            sides[TORCH] = reference_epoch(args, padded, name, case)
        seconds = timing.alternate(sides, repeats=args.repeats, warm_up=args.warm_up)
        lines = timing.compare(seconds, SAME)
        if padded is not None:
            lines += timing.compare({side: seconds[side] for side in (OURS, TORCH)}, OURS)[1:]
        print("\n".join(lines), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="An epoch of graph tasks and its peak memory, against PyTorch."
    )
    parser.add_argument("--data_dir", help="folder with the TU files; default: $MMIX_DATA_DIR")
    parser.add_argument("--synthetic", type=int, metavar="M", help="M random graphs of like sizes")
    parser.add_argument("--datasets", nargs="+", choices=BATCH_SIZES, default=list(BATCH_SIZES))
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
    parser.add_argument("--measure", choices=("hardware", *SIDES), help="one, here, as JSON")
    return parser.parse_args()


def main() -> None:
    args = parse()
    if args.measure:
        print(json.dumps(measure(args)))
        return
    print(memory.apart("hardware", module="benchmarks.scripts.graphs_vs_torch")["header"])
    print_memory(args)
    device = set_up(args)
    for name in args.datasets:
        print_times(args, name, device)


if __name__ == "__main__":
    main()
