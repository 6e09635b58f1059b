"""Node pretraining and its evaluation: this library against a PyTorch version of the authors' code.

    python -m benchmarks.scripts.nodes_vs_torch [--data_dir=DIR | --synthetic=2708]

Prints whether both sides compute the same, then seconds per training step and per evaluation,
measured in turns in this one process. Without torch only this library is measured.
"""

import argparse
from collections.abc import Callable
from functools import partial

import jax

from benchmarks import suite, tasks, timing
from mmix_jax.data.types import NodeDataset
from mmix_jax.evaluation.logistic import L2_GRID, logistic

CASES = {"none": "none", "weights used": "mp"}
OBJECTIVES = {
    "cross": "cross entropy of a.b both ways (the authors' code)",
    "full": "equations 9-10, intra-view negatives too (the paper)",
}


def print_steps(args, dataset: NodeDataset, negatives: str) -> None:
    """One table: a training step, for every case."""
    print(f"\ntraining step, {OBJECTIVES[negatives]}; medians of n={args.repeats}")
    for case, mixing in CASES.items():
        config = tasks.node_config("cora", mixing=mixing, negatives=negatives, width=args.width)
        step = tasks.NodeStep(config, dataset)
        sides: dict[str, Callable[[], object]] = {"jax": step}
        print(f"{case}:")
        if suite.HAVE_TORCH:
            from benchmarks.torch import nodes, side

            views = side.dense_views(step.graph, args.torch_device)
            print(f"  {nodes.check_same(step, views)}")
            sides["torch"] = nodes.reference_step(step, views)
        seconds = timing.alternate(sides, repeats=args.repeats, warm_up=args.warm_up)
        print("\n".join(timing.ratio_lines(seconds, "jax")))


def print_logistic(args, dataset: NodeDataset) -> None:
    """The second table: the protocol's logistic regressions on untrained embeddings."""
    config = tasks.node_config("cora", mixing="none", width=args.width)
    z = tasks.NodeStep(config, dataset).embeddings()
    labels, split = dataset.labels, dataset.split
    options = {
        "num_classes": dataset.num_classes,
        "num_runs": args.num_classifiers,
        "num_steps": args.num_classifier_steps,
    }
    accuracies = {}

    def library(name: str, l2: tuple[float, ...]) -> None:
        scores = logistic(z, labels, split, key=jax.random.key(0), l2=l2, **options)
        accuracies[name] = scores.test.mean

    one, grid, loop = "jax, one L2", f"jax, {len(L2_GRID)}-value L2 grid", "torch, one L2"
    sides: dict[str, Callable[[], object]] = {
        one: partial(library, one, (0.0,)),
        grid: partial(library, grid, L2_GRID),
    }
    if suite.HAVE_TORCH:
        from benchmarks.torch import nodes

        run = nodes.reference_logistic(z, labels, split, args.torch_device, **options)
        sides[loop] = lambda: accuracies.update({loop: run()})
    n = args.logistic_repeats
    seconds = timing.alternate(sides, repeats=n, warm_up=1)
    print(
        f"\n{args.num_classifiers} logistic regressions x {args.num_classifier_steps} steps on "
        f"{list(z.shape)}, {len(split.train)} training nodes, {dataset.num_classes} classes; "
        f"medians of n={n}"
    )
    print("\n".join(timing.ratio_lines(seconds, one)))
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
    if jax.default_backend() != "cpu":
        products = {"float32": "highest", "tf32": "tensorfloat32"}[args.precision]
        jax.config.update("jax_default_matmul_precision", products)
    args.torch_device = suite.set_up_torch("nodes", args.torch_device, args.precision)
    dataset = tasks.load_nodes("cora", args.data_dir, args.synthetic)
    graph = dataset.graph
    print(
        f"data      {dataset.name}: {graph.num_nodes} nodes, {graph.num_edges // 2} edges, "
        f"{graph.x.shape[1]} features"
    )
    for negatives in OBJECTIVES:
        print_steps(args, dataset, negatives)
    print_logistic(args, dataset)


if __name__ == "__main__":
    main()
