"""Node pretraining and its evaluation: this library against a PyTorch version of the authors' code.

    python -m benchmarks.scripts.nodes_vs_torch [--data_dir=DIR | --synthetic=2708]

Prints whether both sides compute the same, then seconds per training step and per evaluation,
measured in turns in this one process. Without torch only this library is measured.
"""

import argparse
import importlib.util
from collections.abc import Callable
from functools import partial

import jax

from benchmarks import nodes, timing
from mmix_jax.evaluation.logistic import L2_GRID, logistic
from mmix_jax.experiments.defaults import node_config
from mmix_jax.experiments.nodes.inputs import normalised_graph, whole_graph
from mmix_jax.frameworks.mvgrl_nodes import embed
from mmix_jax.graphs import Graph

HAVE_TORCH = importlib.util.find_spec("torch") is not None
CASES = {"none": "none", "weights used": "mp"}
OBJECTIVES = {
    "cross": "cross entropy of a.b both ways (the authors' code)",
    "full": "equations 9-10, intra-view negatives too (the paper)",
}


def set_up(args) -> None:
    """The same float32 products on both sides, where a device has several."""
    if jax.default_backend() != "cpu":
        names = {"float32": "highest", "tf32": "tensorfloat32"}
        jax.config.update("jax_default_matmul_precision", names[args.precision])
    if HAVE_TORCH:
        from benchmarks.torch import side

        args.torch_device = side.set_up(args.torch_device, args.precision)
    else:
        print("torch     not installed: only JAX is measured; pip install torch to compare")


def measure_steps(args, config, graph: Graph, negatives: str) -> None:
    """One table: a training step, for every case."""
    print(f"\ntraining step, {OBJECTIVES[negatives]}; medians of n={args.repeats}")
    for case, mixing in CASES.items():
        config.update(mixing=mixing, negatives=negatives, width=args.width)
        step = nodes.LibraryStep(config, graph)
        sides: dict[str, Callable[[], object]] = {"jax": step}
        print(f"{case}:")
        if HAVE_TORCH:
            from benchmarks.torch import side

            views = side.dense_views(graph, args.torch_device)
            print(f"  {side.check_same(step, views)}")
            sides["torch"] = side.reference_step(step, views, config.learning_rate)
        seconds = timing.alternate(sides, repeats=args.repeats, warm_up=args.warm_up)
        print("\n".join(timing.compare(seconds, "jax")))


def embeddings(config, graph: Graph, width: int) -> jax.Array:
    """[N, width] of an untrained encoder."""
    config.update(mixing="none", width=width)
    step = nodes.LibraryStep(config, graph)
    compute = jax.jit(partial(embed, step.settings))
    found, _ = compute(step.params, step.tables, whole_graph(graph), step.key)
    return found["mean"]


def measure_logistic(args, z: jax.Array, dataset) -> None:
    """The second table: the protocol's logistic regressions on frozen embeddings."""
    labels, split = dataset.labels, dataset.split
    options = {
        "num_classes": dataset.num_classes,
        "num_runs": args.num_classifiers,
        "num_steps": args.num_classifier_steps,
    }
    accuracies = {}

    def library(name: str, l2: tuple[float, ...]) -> None:
        found = logistic(z, labels, split, key=jax.random.key(0), l2=l2, **options)
        accuracies[name] = found.test.mean

    one, grid, loop = "jax, one L2", f"jax, {len(L2_GRID)}-value L2 grid", "torch, one L2"
    sides: dict[str, Callable[[], object]] = {
        one: partial(library, one, (0.0,)),
        grid: partial(library, grid, L2_GRID),
    }
    if HAVE_TORCH:
        from benchmarks.torch import side

        run = side.reference_logistic(z, labels, split, args.torch_device, **options)
        sides[loop] = lambda: accuracies.update({loop: run()})
    n = args.logistic_repeats
    seconds = timing.alternate(sides, repeats=n, warm_up=1)
    print(
        f"\n{args.num_classifiers} logistic regressions x {args.num_classifier_steps} steps on "
        f"{list(z.shape)}, {len(split.train)} training nodes, {dataset.num_classes} classes; "
        f"medians of n={n}"
    )
    print("\n".join(timing.compare(seconds, one)))
    print("  test accuracy: " + "; ".join(f"{k} {100 * v:.2f}" for k, v in accuracies.items()))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="A training step and the evaluation of node tasks, against PyTorch."
    )
    parser.add_argument("--data_dir", help="folder with Cora's files; default: $MMIX_DATA_DIR")
    parser.add_argument("--synthetic", type=int, metavar="N", help="a random graph of N nodes")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=20, help="timed steps of each side")
    parser.add_argument("--warm_up", type=int, default=3, help="before; at least 2, both compile")
    parser.add_argument("--logistic_repeats", type=int, default=5)
    parser.add_argument("--num_classifiers", type=int, default=50)
    parser.add_argument("--num_classifier_steps", type=int, default=300)
    parser.add_argument("--torch_device", help="default: cuda where torch finds it, else cpu")
    parser.add_argument(
        "--precision",
        choices=("float32", "tf32"),
        default="float32",
        help="of matrix products on an accelerator; both sides",
    )
    return parser.parse_args()


def main() -> None:
    args = parse()
    print(timing.header())
    set_up(args)
    dataset = nodes.load("cora", args.data_dir, args.synthetic)
    print(nodes.describe(dataset))
    config = node_config("cora")
    graph = normalised_graph(config, dataset)
    for negatives in OBJECTIVES:
        measure_steps(args, config, graph, negatives)
    measure_logistic(args, embeddings(config, graph, args.width), dataset)


if __name__ == "__main__":
    main()
