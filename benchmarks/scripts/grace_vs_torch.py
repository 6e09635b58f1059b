"""GRACE's embeddings, of plain PyTorch and of this library, judged by the same evaluators.

    python -m benchmarks.scripts.grace_vs_torch --dataset=cora --seeds 0 1 2

Published accuracies of GRACE are of several protocols: a line of the table is one of them. All are
transductive, on frozen embeddings, with the L2 weight chosen on validation accuracy.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks import suite, tasks, timing
from mmix_jax.data import random_split
from mmix_jax.data.types import NodeDataset
from mmix_jax.evaluation.logistic import logistic, protocol_l2
from mmix_jax.evaluation.split_protocol import logistic_over_splits
from mmix_jax.experiments import pretrain, programs, task_of
from mmix_jax.results import score

NUM_SPLITS = 20
TUNING_SEEDS = range(100, 105)


def unit_rows(z: np.ndarray) -> np.ndarray:
    """Rows of length 1; zero stays zero."""
    lengths = np.linalg.norm(z, axis=1, keepdims=True)
    return z / np.where(lengths > 0, lengths, 1)


def standardised(z: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and deviation 1 over all nodes; constant ones are 0."""
    deviations = z.std(axis=0)
    return (z - z.mean(axis=0)) / np.where(deviations > 0, deviations, 1)


FORMS = {"as it is": np.asarray, "unit rows": unit_rows, "standardised columns": standardised}


def judged(z: np.ndarray, data: NodeDataset, seed: int, num_classifiers: int) -> dict[str, float]:
    """Test accuracy by protocol: mean over classifiers of the public split, or over splits."""
    num_classes, labels = data.num_classes, data.labels
    assert labels is not None and data.split is not None
    accuracies = {
        f"public split, {name}": logistic(
            form(z),
            labels,
            data.split,
            num_runs=num_classifiers,
            key=jax.random.key(seed),
            num_classes=num_classes,
            l2=protocol_l2("standard", ""),
        ).test.mean
        for name, form in FORMS.items()
    }
    splits = [random_split(labels, seed=number) for number in range(NUM_SPLITS)]
    tuning = [random_split(labels, seed=number) for number in TUNING_SEEDS]
    over = logistic_over_splits(z, labels, splits, tuning, num_classes=num_classes)
    return accuracies | {f"{NUM_SPLITS} random 10/10/80 splits, unit rows": over.test.mean}


def torch_side(args, data: NodeDataset) -> Callable[[int], np.ndarray]:
    """seed -> embedding of plain PyTorch's GRACE."""
    import dataclasses

    from benchmarks.torch import gcn, grace

    settings = grace.PUBLISHED[args.dataset]
    if args.epochs:
        settings = dataclasses.replace(settings, epochs=args.epochs)
    graph = gcn.graph_of(data.graph._asdict(), gcn.set_up(timing.num_threads()))

    def embedding(seed: int) -> np.ndarray:
        *_, (_, embed) = grace.train(graph, settings, seed)
        return embed().cpu().numpy()

    return embedding


def jax_side(args, data: NodeDataset) -> Callable[[int], np.ndarray]:
    """seed -> embedding of this library, with a variant of configs/<data set>.py."""
    config = tasks.config_of(f"configs/{args.dataset}.py:{args.variant}")
    if args.epochs:
        config.num_steps = args.epochs
    task: Any = task_of(config, data)

    def embedding(seed: int) -> np.ndarray:
        return np.asarray(task.embed(pretrain(task, seed).encoder)["z"])

    return embedding


def rows_of(side: str, args, data: NodeDataset) -> list[suite.Row]:
    """A row per protocol, over the seeds."""
    embedding = {"torch": torch_side, "jax": jax_side}[side](args, data)
    scores: list[dict[str, float]] = []
    seconds: list[float] = []
    for seed in args.seeds:
        begin = time.perf_counter()
        z = embedding(seed)
        seconds.append(time.perf_counter() - begin)
        scores.append(judged(z, data, seed, args.num_classifiers))
        suite.say(f"{side}, seed {seed}: {seconds[-1]:.0f} s")
    rows = []
    for protocol in scores[0]:
        over = score([of_seed[protocol] for of_seed in scores])
        accuracy = f"{100 * over.mean:.2f} ± {100 * over.std:.2f}"
        row = {"protocol": protocol, "side": side, "test accuracy": accuracy, "n": over.n}
        rows.append(row | {"training, s": sum(seconds) / len(seconds)})
    return rows


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=("cora", "pubmed"), default="cora")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--sides", nargs="+", choices=("torch", "jax"), default=["torch", "jax"])
    parser.add_argument("--variant", default="grace", help="of this library's config")
    parser.add_argument("--epochs", type=int, help="of both, instead of those that are set")
    parser.add_argument("--num_classifiers", type=int, default=50, help="on the public split")
    parser.add_argument("--data_dir", help="folder of the data sets; default: $MMIX_DATA_DIR")
    parser.add_argument("--synthetic", type=int, metavar="N", help="a random graph of N nodes")
    return parser.parse_args()


def main() -> None:
    args = parse()
    print(timing.header())
    if "torch" in args.sides and not suite.HAVE_TORCH:
        print("torch     not installed: only this library is measured; pip install torch")
        args.sides = ["jax"]
    data = tasks.load_nodes(args.dataset, args.data_dir, args.synthetic)
    print(f"data      {data.name}: {data.graph.num_nodes} nodes")
    with programs.kept():
        rows = [row for side in args.sides for row in rows_of(side, args, data)]
    # Protocols side by side, whichever side was first.
    rows.sort(key=lambda row: row["protocol"])
    print(suite.text_table(rows))


if __name__ == "__main__":
    main()
