"""All mixing rules, and their candidates, on one small graph: what does training gain?

The graph joins each of scikit-learn's digits 0 to 4 to its five nearest. One row is one training
and one random-initialised encoder, mixed alike; accuracy is that of branch a, the mixed one, with
a tenth of the labels. One training tells no rule from another by a point. A minute on two cores.

    python examples/compare_rules.py              # mo and mp with all sets of candidates
    python examples/compare_rules.py random mo    # these rules with all of them
"""

import os
import sys

from sklearn.datasets import load_digits
from sklearn.neighbors import kneighbors_graph

from mmix_jax.data import from_scipy
from mmix_jax.experiments import evaluate, node_config, pretrain, task_of
from mmix_jax.mixing import CANDIDATES, MIXINGS, RULES

STEPS = int(os.environ.get("MMIX_EXAMPLE_STEPS", "40"))


def candidates_of(rule: str, named: bool) -> tuple[str, ...]:
    """Graph neighbours (wp), similar nodes (op) or all nodes, where a rule has that choice."""
    if rule in ("none", "i_mix"):
        return ("-",)
    choice = named or rule in ("mo", "mp")
    return CANDIDATES if choice and not RULES[rule].edges_only else ("wp",)


def accuracies(graph, rule: str, candidates: str) -> dict[bool, float]:
    """Test accuracy of the trained encoder (True) and of an untrained one (False)."""
    config = node_config("digits 0-4")
    config.mixing = rule
    if candidates != "-":
        config.candidates = candidates
    config.threshold = 0.0 if rule == "mp" else 0.9  # of projections, or of embeddings
    config.width = 32
    config.num_steps = config.eval_every = STEPS
    config.learning_rate = 3e-3
    config.selection = "last"
    config.num_classifiers, config.num_clusterings = 5, 0
    task = task_of(config, graph)
    results = evaluate(task, [pretrain(task).encoder])
    return {row.trained: row.mean for row in results if row.representation == "a"}


def main(rules: list[str]) -> None:
    pixels, labels = load_digits(n_class=5, return_X_y=True)
    graph = from_scipy(kneighbors_graph(pixels, 5), pixels / 16, labels)
    lines = [f"{'rule':16}{'candidates':12}{'untrained':>10}{'trained':>10}{'gain':>8}"]
    for rule in rules or MIXINGS:
        for candidates in candidates_of(rule, named=bool(rules)):
            found = accuracies(graph, rule, candidates)
            of_rule = f"{rule:16}{candidates:12}{found[False]:10.3f}{found[True]:10.3f}"
            lines.append(f"{of_rule}{found[True] - found[False]:+8.3f}")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
