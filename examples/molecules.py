"""A set of molecules: each is a graph, and becomes a vector. Ten seconds on two cores.

    python examples/molecules.py

Molecules are written as SMILES and read by a few lines that know chains, branches and rings. Sets
of one's own come as networkx graphs, pairs (adjacency, x), or PyTorch Geometric objects. Atoms tell
these kinds apart without any training; what training adds is which molecules of a kind are near.
"""

import os
import re

import networkx as nx
import numpy as np

import mmix_jax as mm

SMILES = {
    "amino acid": "NCC(=O)O NC(C)C(=O)O NC(C(C)C)C(=O)O NC(CC(C)C)C(=O)O NC(CO)C(=O)O "
    "NC(C(C)O)C(=O)O NC(CS)C(=O)O NC(CCSC)C(=O)O NC(CC(=O)O)C(=O)O NC(CCC(=O)O)C(=O)O "
    "NC(CC(N)=O)C(=O)O NC(CCC(N)=O)C(=O)O NC(CCCCN)C(=O)O NC(CC1CCCCC1)C(=O)O",
    "alcohol": "CO CCO CCCO CC(C)O CCCCO CCC(C)O CC(C)CO CC(C)(C)O CCCCCO OCCO OCC(O)CO "
    "OC1CCCCC1 OC1CCCC1 CCCCCCO",
    "hydrocarbon": "CC CCC CCCC CC(C)C CCCCC CCC(C)C CC(C)(C)C CCCCCC C1CCCC1 C1CCCCC1 C=C CC=C "
    "C=CC=C CC(=C)C",
    "aromatic": "c1ccccc1 Cc1ccccc1 Oc1ccccc1 Nc1ccccc1 Clc1ccccc1 CCc1ccccc1 Cc1ccccc1C "
    "Cc1cccc(C)c1 Cc1ccc(C)cc1 Oc1ccccc1O OC(=O)c1ccccc1 c1ccncc1 Cc1ccccn1 C=Cc1ccccc1",
}
ATOMS = ("C", "N", "O", "S", "Cl", "c", "n")


def molecule(smiles):
    """Atoms with their kind, one-hot, and bonds with their order as weight."""
    graph, branches, rings, last, order = nx.Graph(), [], {}, None, 1.0
    for token in re.findall(r"Cl|[A-Za-z=()\d]", smiles):
        if token == "=":
            order = 2.0
        elif token == "(":
            branches.append(last)
        elif token == ")":
            last = branches.pop()
        elif token.isdigit():
            if token in rings:
                graph.add_edge(last, rings.pop(token), weight=1.0)
            else:
                rings[token] = last
        else:
            atom = len(graph)
            graph.add_node(atom, x=[float(token == kind) for kind in ATOMS])
            if last is not None:
                graph.add_edge(last, atom, weight=order)
            last, order = atom, 1.0
    return graph


names = [(kind, smiles) for kind, many in SMILES.items() for smiles in many.split()]
graphs = [molecule(smiles) for _, smiles in names]
kinds = np.array([kind for kind, _ in names])
steps = int(os.environ.get("MMIX_EXAMPLE_STEPS", "60"))
model = mm.GraphEmbedder(mixing="mo", width=32, num_steps=steps, verbose=True).fit(graphs)
for name, embedder in (("untrained", model.untrained()), ("trained", model)):
    z = embedder.transform(graphs)
    distance = np.linalg.norm(z[:, None] - z[None], axis=2) + np.diag(np.full(len(z), np.inf))
    nearest = distance.argmin(axis=1)
    print(f"{name}: the nearest is of the same kind for {np.mean(kinds[nearest] == kinds):.0%}")
for index in (2, 16, 31, 48):
    print(f"{names[index][1]}: {', '.join(names[j][1] for j in distance[index].argsort()[:3])}")
