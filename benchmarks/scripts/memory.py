"""Peak memory (and seconds) of the streamed loss, of training and of diffusion.

    python -m benchmarks.scripts.memory [--data_dir=DIR | --synthetic=19717]

Every measurement runs in a process of its own, whose largest resident set the system keeps. The
import floor is that of the same process just after its imports.
"""

import argparse
import json
import statistics
import time
from typing import Any

from benchmarks import suite, tasks, timing
from benchmarks.parts.memory import peak_of_loss
from mmix_jax.graphs import diffuse


def peak_of_steps(floor: float, step, number: int, **row: Any) -> dict[str, Any]:
    """Steps one after another, with the memory before and after them; `row`: what else is told."""
    ready = timing.resident_mb()
    seconds = timing.seconds_of_calls(step, tasks.WARM_UP + number)
    return {
        **row,
        "floor_mb": floor,
        "ready_mb": ready,
        "peak_mb": timing.resident_mb(),
        "warm_up_seconds": sum(seconds[: tasks.WARM_UP]),
        "seconds": statistics.median(seconds[tasks.WARM_UP :]),
        **timing.device_peak(),
    }


def peak_of_nodes(
    path: str, data_dir: str | None, num_nodes: int | None, num_steps: int
) -> dict[str, Any]:
    """Full-graph steps of a config."""
    floor = timing.resident_mb()
    config = tasks.config_of(path)
    config.sampler = "full"
    dataset = tasks.load_nodes(config.dataset, data_dir, num_nodes)
    step = tasks.NodeStep(config, dataset)
    block_size = step.settings.contrast.options(step.settings.num_contrasted)["block_size"] or 0
    return peak_of_steps(
        floor, step, num_steps, nodes=dataset.graph.num_nodes, block_size=block_size,
        width=config.width,
    )  # fmt: skip


def peak_of_graphs(
    path: str, data_dir: str | None, num_nodes: int | None, num_steps: int
) -> dict[str, Any]:
    """Steps of a config for a set of graphs; `num_nodes` draws its share of Pubmed's of them."""
    floor = timing.resident_mb()
    config, number = tasks.config_of(path), None
    if num_nodes is not None:
        share = num_nodes / tasks.NODE_SHAPES["pubmed"].nodes
        number = max(round(share * tasks.GRAPH_SHAPES[config.dataset].graphs), 2)
    step = tasks.GraphStep(config, tasks.load_graphs(config.dataset, data_dir, number))
    return peak_of_steps(
        floor,
        step,
        num_steps,
        width=config.width,
        graphs=len(step.sampler.num_nodes),
        rows=step.sampler.buckets.num_rows,
        padding=step.sampler.padding,
    )


def peak_of_images(side: str, batch_size: int, num_steps: int) -> dict[str, Any]:
    """Steps of ResNet-18, width 64, on two views each; `side` torch: PyTorch's, with views that are
    ready, in a process in which this library has taken no step."""
    if side == "torch":
        from benchmarks.torch import images
    floor = timing.resident_mb()
    config = tasks.image_config("none", batch_size=batch_size, precision="float32", width=64)
    step = tasks.ImageStep(config, tasks.random_images(batch_size))
    if side == "jax":
        return peak_of_steps(floor, step, num_steps, images=batch_size, width=config.width)
    run = images.reference_steps(step, "cpu", eager=True)
    return peak_of_steps(floor, run, num_steps, images=batch_size, width=config.width)


def peak_of_diffusion(data_dir: str | None, num_nodes: int | None) -> dict[str, Any]:
    """Personalised PageRank of Pubmed's features on the host."""
    floor = timing.resident_mb()
    graph = tasks.load_nodes("pubmed", data_dir, num_nodes).graph
    ready = timing.resident_mb()
    begin = time.perf_counter()
    diffuse(graph.x, graph.senders, graph.receivers, edge_weight=graph.edge_weight)
    return {
        "nodes": graph.num_nodes,
        "floor_mb": floor,
        "ready_mb": ready,
        "seconds": time.perf_counter() - begin,
        "peak_mb": timing.resident_mb(),
        **timing.device_peak(),
    }


def measurements(args: argparse.Namespace) -> dict[str, tuple]:
    """Functions and their arguments, by the name that `--measure` takes."""
    data = (args.data_dir, args.synthetic)
    return {
        "info_nce": (peak_of_loss, args.form, args.rows[0], args.dimension, args.block_size),
        "training": (peak_of_nodes, args.config, *data, args.steps),
        "graphs": (peak_of_graphs, args.graph_config, *data, args.steps),
        "images": (peak_of_images, "jax", args.images, args.steps),
        "images_torch": (peak_of_images, "torch", args.images, args.steps),
        "diffusion": (peak_of_diffusion, *data),
    }


def on_the_device(peak: dict) -> str:
    return f", on the device {peak['device_peak_mb']:.0f} MB" if "device_peak_mb" in peak else ""


def print_info_nce(args) -> None:
    print(
        f"\n{args.form} info_nce with gradient, D={args.dimension}, blocks of {args.block_size}, "
        "one call each (n=1)\n"
        "       N   peak MB   above floor   / linear growth   KB per added row   s (with compiling)"
    )
    first, before = None, None
    for rows in args.rows:
        peak = timing.apart(peak_of_loss, args.form, rows, args.dimension, args.block_size)
        above = peak["peak_mb"] - peak["floor_mb"]
        first = first or above / rows
        added = "-"
        if before is not None:  # free of what compilation takes at any N
            added = f"{1000 * (above - before[1]) / (rows - before[0]):.1f}"
        before = rows, above
        print(
            f"{rows:>8}{peak['peak_mb']:>10.0f}{above:>14.0f}{above / rows / first:>18.2f}"
            f"{added:>19}{peak['seconds']:>12.1f}{on_the_device(peak)}"
        )


def print_one(title: str, peak: dict) -> None:
    print(
        f"\n{title}\n  peak {peak['peak_mb']:.0f} MB, import floor {peak['floor_mb']:.0f} MB, "
        f"inputs ready {peak['ready_mb']:.0f} MB{on_the_device(peak)}"
    )


def print_seconds(args, row: dict) -> None:
    print(
        f"  {row['seconds']:.2f} s per step (median of n={args.steps}), after {tasks.WARM_UP} "
        f"steps with compilation of {row['warm_up_seconds']:.2f} s together"
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
    parser.add_argument("--images", type=int, default=64, help="images of a step")
    parser.add_argument("--steps", type=int, default=3, help="timed training steps")
    parser.add_argument(
        "--measure",
        choices=("info_nce", "training", "graphs", "images", "images_torch", "diffusion"),
        help="one, here, as a line of JSON",
    )
    return parser.parse_args()


def main() -> None:
    args = parse()
    calls = measurements(args)
    if args.measure:
        function, *arguments = calls[args.measure]
        print(json.dumps(function(*arguments)))
        return
    print(timing.apart(timing.header))
    print_info_nce(args)
    nodes = timing.apart(*calls["training"])
    print_one(
        f"full-graph training, {args.config}, {nodes['nodes']} nodes, width {nodes['width']}, "
        f"blocks of {nodes['block_size']} (0: dense)",
        nodes,
    )
    print_seconds(args, nodes)
    graphs = timing.apart(*calls["graphs"])
    print_one(
        f"training on graphs, {args.graph_config}, {graphs['graphs']} graphs, width "
        f"{graphs['width']}, {graphs['rows']} rows per step, "
        f"{100 * graphs['padding']:.1f} % padding",
        graphs,
    )
    print_seconds(args, graphs)
    for side in ("images", *(["images_torch"] if suite.HAVE_TORCH else [])):
        images = timing.apart(*calls[side])
        title = f"{'PyTorch' if 'torch' in side else 'training'} on images, width {images['width']}"
        print_one(f"{title}, {images['images']} a step, two views", images)
        print_seconds(args, images)
    diffusion = timing.apart(*calls["diffusion"])
    print_one(f"diffusion of {diffusion['nodes']} nodes' features on the host", diffusion)
    print(f"  {diffusion['seconds']:.2f} s (n=1)")


if __name__ == "__main__":
    main()
