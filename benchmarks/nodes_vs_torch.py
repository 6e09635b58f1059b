"""Node pretraining and its evaluation: this library against a PyTorch version of the authors' code.

    python -m benchmarks.nodes_vs_torch [--data_dir=DIR | --synthetic=2708]

Prints whether both sides compute the same, then seconds per training step and per evaluation,
measured in turns in this one process. Without torch only this library is measured.
"""

import argparse
from functools import partial

import jax
import numpy as np

from benchmarks import nodes, timing
from mmix_jax.data.types import NodeDataset
from mmix_jax.evaluation.logistic import L2_GRID, logistic
from mmix_jax.experiments.defaults import node_config
from mmix_jax.experiments.node_inputs import normalised_graph, whole_graph
from mmix_jax.frameworks.mvgrl import embed
from mmix_jax.graphs import Graph, diffusion_matrix, gcn_weights
from mmix_jax.graphs.normalize import sparse_operator

try:
    import torch

    from benchmarks import torch_reference
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    torch = torch_reference = None

GOLDEN = "tests/golden/node_model.npz"
CASES = {"none": "none", "weights used": "mp"}
OBJECTIVES = {
    "cross": "cross entropy of a.b both ways (the authors' code)",
    "full": "equations 9-10, intra-view negatives too (the paper)",
}
# The torch side's name of each parameter, and where it stands in the library's.
WEIGHTS = {
    "gcn1.fc.weight": ("encoder_a", "dense_0", "kernel"),
    "gcn1.act.weight": ("encoder_a", "prelu_0", "negative_slope"),
    "gcn2.fc.weight": ("encoder_b", "dense_0", "kernel"),
    "gcn2.act.weight": ("encoder_b", "prelu_0", "negative_slope"),
    "gcn1.to_v.0.weight": ("predictor", "Dense_0", "kernel"),
    "gcn1.to_v.1.weight": ("predictor", "PReLU_0", "negative_slope"),
    "gcn1.to_v.2.weight": ("predictor", "Dense_1", "kernel"),
    "gcn1.to_q.weight": ("projections", "p_m", "kernel"),
    "gcn1.to_k.weight": ("projections", "p_n", "kernel"),
}


def as_torch(tree) -> dict[str, np.ndarray]:
    """The library's parameters, or gradients, under the torch side's names and in its layout."""
    found = {}
    for name, path in WEIGHTS.items():
        leaf = tree
        for key in path:
            leaf = leaf[key]
        found[name] = np.asarray(leaf).T
    return found


def dense_views(graph: Graph) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the torch side reads: features, dense Â and dense personalised PageRank, float32."""
    edges, size = (graph.senders, graph.receivers), graph.num_nodes
    weights = gcn_weights(*edges, size, graph.edge_weight)
    adj = sparse_operator(*edges, *weights, size, np.float32).toarray()
    diffusion = diffusion_matrix(*edges, size, edge_weight=graph.edge_weight)
    return graph.x, adj, diffusion.astype(np.float32)


def check_same(step: nodes.LibraryStep, views, negatives: str) -> str:
    """Loss and gradients of both sides at the same parameters, in the order that both can do."""
    loss, gradients = step.loss_and_gradients()
    model = make_model(step, views, order="paper")
    other_loss, other = torch_reference.loss_and_gradients(model, views, negatives)
    mine = as_torch(gradients)
    differences = {
        name: np.linalg.norm(mine[name].ravel() - other[name].ravel()) / np.linalg.norm(other[name])
        for name in other
    }
    worst = max(differences, key=differences.__getitem__)
    return (
        f"loss jax {loss:.6f}, torch {other_loss:.6f}, difference "
        f"{loss - other_loss:.1e}; gradients differ by {differences[worst]:.1e} of their "
        f"norm at most ({worst})"
    )


def make_model(step: nodes.LibraryStep, views, order: str):
    """A torch model with the library's parameters."""
    num_features, width = views[0].shape[-1], step.settings.widths[-1]
    mixing = step.settings.mixing != "none"
    model = torch_reference.NodeModel(num_features, width, mixing=mixing, order=order)
    torch_reference.load_weights(model, as_torch(step.params))
    return model.to(views[0].device)


def measure_steps(args, config, graph: Graph, negatives: str) -> None:
    """One table: a training step, for every case."""
    print(f"\ntraining step, {OBJECTIVES[negatives]}; medians of n={args.repeats}")
    for case, mixing in CASES.items():
        config.update(mixing=mixing, negatives=negatives, width=args.width)
        step = nodes.LibraryStep(config, graph)
        sides = {"jax": step}
        print(f"{case}:")
        if torch_reference is not None:
            views = torch_reference.to_views(dense_views(graph), args.torch_device)
            print(f"  {check_same(step, views, negatives)}")
            model = make_model(step, views, order="reference")
            rate = config.learning_rate
            sides["torch"] = torch_reference.training_step(model, views, negatives, rate)
        seconds = timing.alternate(sides, repeats=args.repeats, warm_up=args.warm_up)
        print("\n".join(timing.compare(seconds, "jax")))


def embeddings(config, graph: Graph, width: int) -> jax.Array:
    """[N, width] of an untrained encoder."""
    config.update(mixing="none", width=width)
    step = nodes.LibraryStep(config, graph)
    found, _ = jax.jit(partial(embed, step.settings))(
        step.params, step.tables, whole_graph(graph), step.key
    )
    return found["mean"]


def measure_logistic(args, config, graph: Graph, dataset: NodeDataset) -> None:
    """The second table: the protocol's logistic regressions on frozen embeddings."""
    z = embeddings(config, graph, args.width)
    labels, split, num_classes = dataset.labels, dataset.split, dataset.num_classes
    runs, steps = args.num_classifiers, args.num_classifier_steps
    accuracies = {}

    def library(name, l2):
        accuracies[name] = logistic(
            z, labels, split, num_runs=runs, key=jax.random.key(0), num_classes=num_classes,
            l2=l2, num_steps=steps,
        ).test.mean  # fmt: skip

    sides = {
        "jax, one L2": partial(library, "jax, one L2", (0.0,)),
        f"jax, {len(L2_GRID)}-value L2 grid": partial(library, "jax, grid", L2_GRID),
    }
    if torch_reference is not None:

        def tensor(array):
            return torch.as_tensor(np.array(array), device=args.torch_device)

        inputs = (tensor(z), *(tensor(x).long() for x in (labels, split.train, split.test)))

        def loop():
            accuracies["torch"] = torch_reference.logistic_loop(
                *inputs, num_classes=num_classes, num_runs=runs, num_steps=steps
            )

        sides["torch, one L2"] = loop
    n = args.logistic_repeats
    seconds = timing.alternate(sides, repeats=n, warm_up=1)
    print(
        f"\n{runs} logistic regressions x {steps} Adam steps on {list(z.shape)}, "
        f"{len(split.train)} training nodes, {num_classes} classes; medians of n={n}"
    )
    print("\n".join(timing.compare(seconds, "jax, one L2")))
    print("  test accuracy: " + ", ".join(f"{k} {100 * v:.2f}" for k, v in accuracies.items()))


def set_up_torch(args) -> None:
    """All threads, a device, and the same float32 products on both sides."""
    if jax.default_backend() != "cpu":
        names = {"float32": "highest", "tf32": "tensorfloat32"}
        jax.config.update("jax_default_matmul_precision", names[args.precision])
    if torch is None:
        print("torch     not installed: only JAX is measured; pip install torch to compare")
        return
    torch.set_num_threads(timing.num_threads())
    torch.set_float32_matmul_precision("highest" if args.precision == "float32" else "high")
    args.torch_device = args.torch_device or ("cuda" if torch.cuda.is_available() else "cpu")
    print(f"torch     {torch.get_num_threads()} threads, device {args.torch_device}")
    difference = torch_reference.golden_difference(GOLDEN)
    print(f"          against the authors' own functions ({GOLDEN}): {difference:.1e}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="folder with Cora's files; default: $MMIX_DATA_DIR")
    parser.add_argument("--synthetic", type=int, metavar="N", help="a random graph of N nodes")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=20, help="timed steps of each side")
    parser.add_argument("--warm_up", type=int, default=3, help="steps before that")
    parser.add_argument("--logistic_repeats", type=int, default=5)
    parser.add_argument("--num_classifiers", type=int, default=50)
    parser.add_argument("--num_classifier_steps", type=int, default=300)
    parser.add_argument("--torch_device", help="default: cuda where torch finds it, else cpu")
    parser.add_argument(
        "--precision", choices=("float32", "tf32"), default="float32",
        help="of matrix products on an accelerator; both sides",
    )  # fmt: skip
    return parser.parse_args()


def main() -> None:
    args = parse()
    print(timing.header())
    set_up_torch(args)
    dataset = nodes.load("cora", args.data_dir, args.synthetic)
    print(nodes.describe(dataset))
    config = node_config("cora")
    graph = normalised_graph(config, dataset)
    for negatives in OBJECTIVES:
        measure_steps(args, config, graph, negatives)
    measure_logistic(args, config, graph, dataset)


if __name__ == "__main__":
    main()
