"""Node classification: pretrained vectors, scikit-learn on top. 25 seconds on two cores.

    python examples/node_classification.py

Nodes are scikit-learn's digits, joined to their five nearest among the others. Three of each digit
have a label; accuracies are means over ten draws of these.
"""

import os

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mmix_jax as mm

digits = load_digits()
x, labels = digits.data, digits.target
adjacency = kneighbors_graph(x, 5)


def accuracies(features):
    """Over draws of three labelled nodes of each digit, on all others."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(labels))
        few = np.concatenate([order[labels[order] == digit][:3] for digit in range(10)])
        rest = np.setdiff1d(order, few)
        yield classifier.fit(features[few], labels[few]).score(features[rest], labels[rest])


model = mm.NodeEmbedder(
    mixing="mo",
    width=128,
    num_steps=int(os.environ.get("MMIX_EXAMPLE_STEPS", "100")),
    verbose=True,
)
z = model.fit_transform((adjacency, x))  # no label is seen

for name, features in (
    ("raw pixels", x),
    ("untrained", model.untrained().transform((adjacency, x))),
    ("trained", z),
):
    found = 100 * np.array(list(accuracies(features)))
    print(f"{name}: {found.mean():.1f} ± {found.std(ddof=1):.1f} % with 30 labels")
