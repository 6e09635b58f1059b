"""Inductive: train on one graph, embed another that was not there. 20 seconds on two cores.

    python examples/inductive.py

Digits written by the first writers are the training's graph, those by others the new one; in each
an image is joined to its five nearest. The new graph is scaled by the training's statistics.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier, kneighbors_graph

import mmix_jax as mm

digits = load_digits()
x, labels = digits.data, digits.target
first, others = slice(0, 1000), slice(1000, None)


def graph_of(rows):
    return kneighbors_graph(x[rows], 5), x[rows]


model = mm.NodeEmbedder(
    mixing="mp",
    diversity_weight=0.0,
    width=64,
    num_steps=int(os.environ.get("MMIX_EXAMPLE_STEPS", "150")),
    verbose=True,
).fit(graph_of(first))

# Another process, another day: the model is a folder.
with tempfile.TemporaryDirectory() as folder:
    loaded = mm.NodeEmbedder.load(model.save(Path(folder) / "model"))

for name, embedder in (("untrained", loaded.untrained()), ("trained", loaded)):
    known, new = (embedder.transform(graph_of(rows)) for rows in (first, others))
    votes = KNeighborsClassifier(10).fit(known, labels[first])
    print(f"{name}: {100 * votes.score(new, labels[others]):.1f} % of {len(new)} new nodes by kNN")
print("mixed:", {name: round(value, 2) for name, value in model.mixing_.items()})
np.testing.assert_array_equal(loaded.transform(graph_of(others)), new)
