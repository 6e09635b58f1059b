"""Own graph: two pandas frames become vectors, and vectors their nearest. Ten seconds on two cores.

    python examples/own_graph_pandas.py

The graph is that of Les Misérables: who appears with whom, and how often. Its nodes have no
features, so they get structural ones; columns of a frame (`age`, `city`) would be encoded instead.
"""

import os

import networkx as nx
import numpy as np
import pandas as pd

import mmix_jax as mm

graph = nx.les_miserables_graph()
nodes = pd.DataFrame({"id": list(graph.nodes)})
edges = nx.to_pandas_edgelist(graph)  # source, target, weight
print(edges.head(3).to_string(index=False))

model = mm.NodeEmbedder(
    mixing="mo",
    width=32,
    num_steps=int(os.environ.get("MMIX_EXAMPLE_STEPS", "200")),
    verbose=True,
)
z = model.fit_transform((nodes, edges))
z /= np.linalg.norm(z, axis=1, keepdims=True)
cosine = pd.DataFrame(z @ z.T, index=nodes["id"], columns=nodes["id"])

for name in ("Valjean", "Enjolras", "Fantine", "Napoleon"):
    nearest = cosine[name].drop(name).nlargest(4)
    print(f"{name}: " + ", ".join(f"{other} {value:.2f}" for other, value in nearest.items()))

# Neighbours in the graph should be nearer than others, and nearer than before training.
linked = nx.to_numpy_array(graph) > 0
apart = ~linked & ~np.eye(len(z), dtype=bool)
before = model.untrained().transform((nodes, edges))
before /= np.linalg.norm(before, axis=1, keepdims=True)
for name, cosines in (("untrained", before @ before.T), ("trained", cosine.to_numpy())):
    auc = (cosines[linked][:, None] > cosines[apart][None]).mean()
    print(f"{name}: a linked pair is nearer than one that is not in {100 * auc:.1f} % of cases")
