"""Part `steps`: one training step of each framework, beside PyTorch where a torch side exists.

The torch sides are those of `nodes_vs_torch`, `graphs_vs_torch` and `images_vs_torch`, which also
check that both sides compute the same; what differs between them stands in README.md here.
"""

import argparse
import runpy
import time
from collections.abc import Callable
from typing import Any

import jax

from benchmarks import graphs, images, nodes, suite
from benchmarks.scripts import graphs_vs_torch, images_vs_torch
from benchmarks.suite import Options, Row
from mmix_jax.data.types import NodeDataset
from mmix_jax.experiments.nodes.inputs import normalised_graph

WARM_UP = 2  # the second step may compile again, for a state that a step has placed
Step = Callable[[], object]


def measure_step(
    make: Callable[[], Step], make_torch: Callable[[Step], Step] | None, options: Options, **row
) -> Row:
    """A row of a step, with the seconds of the first one, which compiles."""
    suite.say(str(row["what"]))
    step = make()
    begin = time.perf_counter()
    step()
    row["first_seconds"] = time.perf_counter() - begin
    sides = {"jax": step}
    if make_torch is not None and suite.HAVE_TORCH:
        sides["torch"] = make_torch(step)
    found = suite.median_seconds(sides, options, warm_up=WARM_UP)
    row |= {"seconds": found["jax"], "n": options.repeats}
    if "torch" in found:
        row |= {"torch_seconds": found["torch"], "torch_ratio": found["torch"] / found["jax"]}
    return row


def citation_graph(name: str, options: Options) -> NodeDataset:
    """The data set where its files are, else a random graph in its proportions."""
    if options.quick:
        return nodes.load(name, None, 60)
    folder = suite.data_folder(options)
    return nodes.load(name, folder, None if folder else nodes.SHAPES[name].nodes)


def nodes_row(framework: str, config, graph, data: str, torch_step, options: Options) -> Row:
    """A step of a framework for nodes, on one graph."""
    return measure_step(
        lambda: nodes.LibraryStep(config, graph),
        torch_step,
        options,
        what=f"{framework} nodes, {config.mixing}",
        data=data,
        samples=graph.num_nodes,
        width=config.width,
    )


def mvgrl_nodes(options: Options) -> list[Row]:
    """The whole of Cora, equations 9–10, with and without mixing."""
    from mmix_jax.experiments.defaults import node_config

    dataset, rows = citation_graph("cora", options), []
    for mixing in ("mp",) if options.quick else ("none", "mp"):
        config = node_config("cora")
        config.update(mixing=mixing, width=8 if options.quick else 256)
        graph = normalised_graph(config, dataset)

        def torch_step(step: Any, graph=graph, config=config) -> Step:
            from benchmarks.torch import side

            views = side.dense_views(graph, suite.torch_device())
            suite.say(side.check_same(step, views))
            return side.reference_step(step, views, config.learning_rate)

        rows.append(nodes_row("MVGRL", config, graph, dataset.name, torch_step, options))
    return rows


def grace_nodes(options: Options) -> list[Row]:
    """The whole of Cora with GRACE's published settings, with and without mixing."""
    dataset, rows = citation_graph("cora", options), []
    for variant in ("grace",) if options.quick else ("grace", "grace+mp"):
        config = runpy.run_path("configs/cora.py")["get_config"](variant)
        if options.quick:
            config.update(width=8, head_width=8)
        graph = normalised_graph(config, dataset)
        rows.append(nodes_row("GRACE", config, graph, dataset.name, None, options))
    return rows


def mvgrl_graphs(options: Options) -> list[Row]:
    """An epoch of MUTAG: the objective nearest to the authors', and equation 11."""
    folder = None if options.quick else suite.data_folder(options)
    size = None if folder else (12 if options.quick else graphs.SHAPES["mutag"].graphs)
    dataset, rows = graphs.load("mutag", folder, size), []
    args = argparse.Namespace(width=8 if options.quick else 512)
    # Compiling takes most of the time of tiny sizes.
    cases = ["weights used"] if options.quick else list(graphs_vs_torch.CASES)
    sides = [graphs_vs_torch.SAME] if options.quick else list(graphs_vs_torch.SETTINGS)
    for case in cases:
        for side in sides:

            def torch_epoch(_, case=case) -> Step:
                from benchmarks.torch import graphs as torch_graphs

                padded = torch_graphs.pad(dataset.graphs, suite.torch_device())
                return graphs_vs_torch.reference_epoch(args, padded, "mutag", case)

            def make(case=case, side=side) -> Step:
                config = graphs_vs_torch.config_of(args, "mutag", case, side)
                return graphs.LibraryStep(config, dataset).epoch

            rows.append(
                measure_step(
                    make,
                    torch_epoch,
                    options,
                    what=f"MVGRL graphs, an epoch, {graphs_vs_torch.CASES[case]}, "
                    f"{side.removeprefix('jax, ')}",
                    data=dataset.name,
                    samples=len(dataset.graphs),
                    width=args.width,
                )
            )
    return rows


def simclr_images(options: Options) -> list[Row]:
    """ResNet-18 on noise of CIFAR's shape; on a CPU of a quarter of the width."""
    accelerator = jax.default_backend() != "cpu"
    size, width, chunk, precision = (
        (256, 64, 20, "bfloat16") if accelerator else (64, 16, 1, "float32")
    )
    if options.quick:
        size, width, chunk = 4, 2, 1
    dataset, rows = images.random_images(size), []
    for rule in images_vs_torch.RULES[-1:] if options.quick else images_vs_torch.RULES:
        config = images.config_of(rule, batch_size=size, precision=precision, width=width)
        if options.quick:
            config.stages = (1,)

        def torch_steps(step: Any) -> Step:
            return images_vs_torch.torch_steps(
                step, suite.torch_device(), argparse.Namespace(eager=options.quick)
            )

        row = measure_step(
            lambda config=config: images.LibraryStep(config, dataset, chunk=chunk),
            torch_steps,
            options,
            what=f"SimCLR images, {rule}" + (f", {chunk} steps" if chunk > 1 else ""),
            data=dataset.name,
            samples=size,
            width=width,
        )
        flops = chunk * images.flops_of_step(size, width, tuple(config.stages))
        rows.append(suite.add_work(row, options, flops=flops, dtype=precision))
    return rows


def measure(options: Options) -> list[Row]:
    """Nodes by both frameworks, graphs, images."""
    return [
        row
        for part in (mvgrl_nodes, grace_nodes, mvgrl_graphs, simclr_images)
        for row in part(options)
    ]
