"""Peak memory (and seconds) of the streamed loss, of training and of diffusion.

    python -m benchmarks.scripts.memory [--data_dir=DIR | --synthetic=19717]

Every measurement runs in a process of its own, whose largest resident set the system keeps. The
import floor is that of the same process just after its imports.
"""

import argparse
import json
import subprocess
import sys
import time

# Nothing heavy is imported up here: on Linux a process started from a large one inherits its peak.
from benchmarks import timing

WARM_UP = 2  # the second step may compile again, for a state that a step has placed


def peak_mb() -> float:
    """Largest resident set of this process so far, MB."""
    import resource

    per_mb = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mb


def report(floor: float, **found: float) -> dict[str, float]:
    """What a measurement says of memory, beside its own figures."""
    import jax

    found |= {"floor_mb": floor, "peak_mb": peak_mb()}
    statistics = jax.local_devices()[0].memory_stats()  # None on a CPU
    if statistics:
        found["device_peak_mb"] = statistics["peak_bytes_in_use"] / 1e6
    return found


def measure_info_nce(args) -> dict[str, float]:
    """One call of the loss with its gradient, compilation included."""
    import numpy as np

    draw = np.random.default_rng(0)
    shape = (args.rows[0], args.dimension)
    if args.form == "torch":
        from benchmarks.torch import forms as torch_forms

        floor = peak_mb()
        u, v = (draw.standard_normal(shape, np.float32) for _ in range(2))
        begin = time.perf_counter()
        torch_forms.info_nce_side(u, v, 1.0, "full", gradient=True)()
        seconds = time.perf_counter() - begin
        return torch_forms.device_peak() | {
            "floor_mb": floor,
            "peak_mb": peak_mb(),
            "seconds": seconds,
        }
    import jax

    from mmix_jax.losses import info_nce

    floor = peak_mb()
    u, v = (draw.standard_normal(shape, np.float32) for _ in range(2))
    block_size = args.block_size if args.form == "streamed" else None

    def loss(u, v):
        return info_nce(u, v, block_size=block_size)

    begin = time.perf_counter()
    jax.block_until_ready(jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(u, v))
    return report(floor, seconds=time.perf_counter() - begin)


def measure_training(args) -> dict[str, float]:
    """Full-graph steps of a config, one after another."""
    import runpy
    import statistics

    from benchmarks import nodes
    from mmix_jax.experiments.nodes.inputs import normalised_graph

    floor = peak_mb()
    path, _, variant = args.config.partition(":")
    config = runpy.run_path(path)["get_config"](variant)
    config.sampler = "full"
    dataset = nodes.load(config.dataset, args.data_dir, args.synthetic)
    step = nodes.LibraryStep(config, normalised_graph(config, dataset))
    ready = peak_mb()
    seconds = []
    for _ in range(WARM_UP + args.steps):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return report(
        floor,
        nodes=dataset.graph.num_nodes,
        width=config.width,
        block_size=step.settings.block_size or 0,
        ready_mb=ready,
        warm_up_seconds=sum(seconds[:WARM_UP]),
        seconds=statistics.median(seconds[WARM_UP:]),
    )


def measure_graphs(args) -> dict[str, float]:
    """Steps of a config for a set of graphs, one after another."""
    import runpy
    import statistics

    from benchmarks import graphs, nodes

    floor = peak_mb()
    path, _, variant = args.graph_config.partition(":")
    config = runpy.run_path(path)["get_config"](variant)
    number = None
    if args.synthetic is not None:  # the same share of the graphs as of Pubmed's nodes
        share = args.synthetic / nodes.SHAPES["pubmed"].nodes
        number = max(round(share * graphs.SHAPES[config.dataset].graphs), 2)
    step = graphs.LibraryStep(config, graphs.load(config.dataset, args.data_dir, number))
    ready = peak_mb()
    seconds = []
    for _ in range(WARM_UP + args.steps):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return report(
        floor,
        graphs=len(step.sampler.num_nodes),
        rows=step.sampler.buckets.num_rows,
        width=config.width,
        padding=step.sampler.padding,
        ready_mb=ready,
        warm_up_seconds=sum(seconds[:WARM_UP]),
        seconds=statistics.median(seconds[WARM_UP:]),
    )


def measure_diffusion(args) -> dict[str, float]:
    """Personalised PageRank of Pubmed's features on the host."""
    from benchmarks import nodes
    from mmix_jax.graphs import diffuse

    floor = peak_mb()
    graph = nodes.load("pubmed", args.data_dir, args.synthetic).graph
    ready = peak_mb()
    begin = time.perf_counter()
    diffuse(graph.x, graph.senders, graph.receivers, edge_weight=graph.edge_weight)
    seconds = time.perf_counter() - begin
    return report(floor, nodes=graph.num_nodes, ready_mb=ready, seconds=seconds)


MEASUREMENTS = {
    "info_nce": measure_info_nce,
    "training": measure_training,
    "graphs": measure_graphs,
    "diffusion": measure_diffusion,
    "hardware": lambda args: {"header": timing.header()},
}


def apart(name: str, *options: str, module: str = "benchmarks.scripts.memory") -> dict:
    """Run a measurement in a process of its own, with this one's options and `options`."""
    return run_apart(module, *sys.argv[1:], *options, "--measure", name)


def run_apart(module: str, *options: str) -> dict:
    """What a module prints as the last line of a process of its own, a JSON object.

    Raises:
      SystemExit: the process failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *options], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(options)} ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def device_part(found: dict) -> str:
    return f", on the device {found['device_peak_mb']:.0f} MB" if "device_peak_mb" in found else ""


def print_info_nce(args) -> None:
    print(
        f"\n{args.form} info_nce with gradient, D={args.dimension}, blocks of {args.block_size}, "
        "one call each (n=1)\n"
        "       N   peak MB   above floor   / linear growth   KB per added row   s (with compiling)"
    )
    first, before = None, None
    for rows in args.rows:
        found = apart("info_nce", "--rows", str(rows))
        above = found["peak_mb"] - found["floor_mb"]
        first = first or above / rows
        added = "-"
        if before is not None:  # free of what compilation takes at any N
            added = f"{1000 * (above - before[1]) / (rows - before[0]):.1f}"
        before = rows, above
        print(
            f"{rows:>8}{found['peak_mb']:>10.0f}{above:>14.0f}{above / rows / first:>18.2f}"
            f"{added:>19}{found['seconds']:>12.1f}{device_part(found)}"
        )


def print_one(title: str, found: dict) -> None:
    print(
        f"\n{title}\n  peak {found['peak_mb']:.0f} MB, import floor {found['floor_mb']:.0f} MB, "
        f"inputs ready {found['ready_mb']:.0f} MB{device_part(found)}"
    )


def print_seconds(args, found: dict) -> None:
    print(
        f"  {found['seconds']:.2f} s per step (median of n={args.steps}), after {WARM_UP} steps "
        f"with compilation of {found['warm_up_seconds']:.2f} s together"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Peak memory of the streamed loss, of training and of diffusion."
    )
    parser.add_argument("--data_dir", help="folder with the files; default: $MMIX_DATA_DIR")
    parser.add_argument(
        "--synthetic",
        type=int,
        metavar="N",
        help="a random graph of N nodes, and the same share of a set's graphs",
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 20_000, 40_000])
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--block_size", type=int, default=1024, help="of the loss alone")
    parser.add_argument(
        "--form", choices=("streamed", "dense", "torch"), default="streamed", help="of the loss"
    )
    parser.add_argument("--config", default="configs/pubmed.py", help="PATH[:VARIANT]")
    parser.add_argument("--graph_config", default="configs/reddit_binary.py")
    parser.add_argument("--steps", type=int, default=3, help="timed training steps")
    parser.add_argument("--measure", choices=MEASUREMENTS, help="one, here, as a line of JSON")
    return parser.parse_args()


def main() -> None:
    args = parse()
    if args.measure:
        print(json.dumps(MEASUREMENTS[args.measure](args)))
        return
    print(apart("hardware")["header"])
    print_info_nce(args)
    found = apart("training")
    print_one(
        f"full-graph training, {args.config}, {found['nodes']} nodes, width {found['width']}, "
        f"blocks of {found['block_size']} (0: dense)",
        found,
    )
    print_seconds(args, found)
    found = apart("graphs")
    print_one(
        f"training on graphs, {args.graph_config}, {found['graphs']} graphs, width "
        f"{found['width']}, {found['rows']} rows per step, {100 * found['padding']:.1f} % padding",
        found,
    )
    print_seconds(args, found)
    found = apart("diffusion")
    print_one(f"diffusion of {found['nodes']} nodes' features on the host", found)
    print(f"  {found['seconds']:.2f} s (n=1)")


if __name__ == "__main__":
    main()
