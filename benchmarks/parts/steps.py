"""Part `steps`: one training step of each framework, beside PyTorch where a torch side exists.

The scripts `nodes_vs_torch`, `graphs_vs_torch` and `images_vs_torch` compare the same steps at more
length and check that both sides compute the same; what differs between them stands in README.md.
"""

from collections.abc import Callable
from typing import Any

from benchmarks import suite, tasks, timing
from benchmarks.suite import Options, Row
from mmix_jax.data.types import NodeDataset

Step = Callable[[], object]


def row_of_step(
    make: Callable[[], Step], make_torch: Callable[[Any], Step] | None, options: Options, **row
) -> Row:
    """A row of a step, with the seconds of the first one, which compiles."""
    suite.say(str(row["what"]))
    step = make()
    row["first_seconds"] = timing.seconds_of_calls(step, 1)[0]
    sides = {"jax": step}
    if make_torch is not None and suite.HAVE_TORCH:
        sides["torch"] = make_torch(step)
    seconds = suite.median_seconds(sides, options, warm_up=tasks.WARM_UP)
    return suite.with_torch(row, seconds, options)


def citation_graph(name: str, options: Options) -> NodeDataset:
    """The data set where its files are, else a random graph in its proportions."""
    if options.quick:
        return tasks.load_nodes(name, None, 60)
    folder = suite.data_folder(options)
    return tasks.load_nodes(name, folder, None if folder else tasks.NODE_SHAPES[name].nodes)


def row_of_nodes(
    framework: str, config, dataset: NodeDataset, make_torch: Callable | None, options: Options
) -> Row:
    """A step of a framework for nodes, on one graph."""
    return row_of_step(
        lambda: tasks.NodeStep(config, dataset),
        make_torch,
        options,
        what=f"{framework} nodes, {config.mixing}",
        data=dataset.name,
        samples=dataset.graph.num_nodes,
        width=config.width,
    )


def mvgrl_nodes(options: Options) -> list[Row]:
    """The whole of Cora, equations 9–10, with and without mixing."""
    dataset, rows = citation_graph("cora", options), []

    def torch_step(step: tasks.NodeStep) -> Step:
        from benchmarks.torch import nodes, side

        views = side.dense_views(step.graph, side.default_device())
        suite.say(nodes.check_same(step, views))
        return nodes.reference_step(step, views)

    for mixing in ("mp",) if options.quick else ("none", "mp"):
        config = tasks.node_config("cora", mixing=mixing, width=8 if options.quick else 256)
        rows.append(row_of_nodes("MVGRL", config, dataset, torch_step, options))
    return rows


def grace_nodes(options: Options) -> list[Row]:
    """The whole of Cora with GRACE's published settings, with and without mixing."""
    dataset, rows = citation_graph("cora", options), []
    for variant in ("grace",) if options.quick else ("grace", "grace+mp"):
        config = tasks.config_of(f"configs/cora.py:{variant}")
        if options.quick:
            config.update(width=8, head_width=8)
        rows.append(row_of_nodes("GRACE", config, dataset, None, options))
    return rows


def mvgrl_graphs(options: Options) -> list[Row]:
    """An epoch of MUTAG: the objective nearest to the authors', and equation 11."""
    folder = None if options.quick else suite.data_folder(options)
    size = None if folder else (12 if options.quick else tasks.GRAPH_SHAPES["mutag"].graphs)
    dataset, rows = tasks.load_graphs("mutag", folder, size), []
    width = 8 if options.quick else 512
    # Compiling takes most of the time of tiny sizes.
    for mixing in ("mp",) if options.quick else ("none", "mp"):
        for objective in list(tasks.OBJECTIVES)[: 1 if options.quick else None]:
            config = tasks.graph_config("mutag", objective, mixing=mixing, width=width)

            def torch_epoch(_, config=config) -> Step:
                from benchmarks.torch import graphs, side

                padded = graphs.pad(dataset.graphs, side.default_device())
                return graphs.reference_epoch(padded, config)

            rows.append(
                row_of_step(
                    lambda config=config: tasks.GraphStep(config, dataset).epoch,
                    torch_epoch,
                    options,
                    what=f"MVGRL graphs, an epoch, {mixing}, {objective}",
                    data=dataset.name,
                    samples=len(dataset.graphs),
                    width=width,
                )
            )
    return rows


def multiplications(width: int, stages: tuple[int, ...] = (2, 2, 2, 2)) -> float:
    """Multiply-adds of one forward pass of `ResNet18` on one image (convolutions alone)."""
    places = tasks.IMAGE_SHAPE[0] * tasks.IMAGE_SHAPE[1]
    total = places * 9 * tasks.IMAGE_SHAPE[2] * width
    before = width
    for stage, blocks in enumerate(stages):
        channels = width * 2**stage
        places //= 1 if stage == 0 else 4
        for block in range(blocks):
            inner = before if block == 0 else channels
            total += places * 9 * (inner * channels + channels * channels)
            total += places * inner * channels if block == 0 and inner != channels else 0
        before = channels
    return float(total)


def flops_of_images(batch_size: int, width: int, stages: tuple[int, ...] = (2, 2, 2, 2)) -> float:
    """Forward and backward passes of both views, each product and sum counted."""
    return 2 * 3 * 2 * batch_size * multiplications(width, stages)


def simclr_images(options: Options) -> list[Row]:
    """ResNet-18 on noise of CIFAR's shape; on a CPU of a quarter of the width."""
    size, width, chunk, precision = (
        (256, 64, 20, "bfloat16") if suite.on_accelerator() else (64, 16, 1, "float32")
    )
    if options.quick:
        size, width, chunk = 4, 2, 1
    dataset, rows = tasks.random_images(size), []

    def torch_steps(step: tasks.ImageStep) -> Step:
        from benchmarks.torch import images, side

        return images.reference_steps(step, side.default_device(), eager=options.quick)

    for rule in tasks.IMAGE_RULES[-1:] if options.quick else tasks.IMAGE_RULES:
        config = tasks.image_config(rule, batch_size=size, precision=precision, width=width)
        if options.quick:
            config.stages = (1,)
        row = row_of_step(
            lambda config=config: tasks.ImageStep(config, dataset, chunk=chunk),
            torch_steps,
            options,
            what=f"SimCLR images, {rule}" + (f", {chunk} steps" if chunk > 1 else ""),
            data=dataset.name,
            samples=size,
            width=width,
        )
        flops = chunk * flops_of_images(size, width, tuple(config.stages))
        rows.append(suite.add_work(row, options, flops=flops, dtype=precision))
    return rows


def measure(options: Options) -> list[Row]:
    """Nodes by both frameworks, graphs, images."""
    return [
        row
        for framework in (mvgrl_nodes, grace_nodes, mvgrl_graphs, simclr_images)
        for row in framework(options)
    ]
