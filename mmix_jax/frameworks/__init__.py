"""Frameworks join encoders, mixing, heads and losses into one `loss_fn`.

Their names are light; the modules are imported where they are used.
"""

# For nodes, by name: the module in this package.
NODE_FRAMEWORKS = {"mvgrl": "mvgrl_nodes", "grace": "grace"}
GRAPH_FRAMEWORKS = {"mvgrl": "mvgrl_graphs"}
IMAGE_FRAMEWORKS = {"simclr": "simclr"}
# What becomes of the vectors of a graph's nodes.
READOUTS = ("mean", "sum")
