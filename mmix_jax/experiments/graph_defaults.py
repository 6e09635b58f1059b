"""The fields of a config for sets of graphs, and their defaults."""

from mmix_jax.experiments.defaults import VARIANTS, Config, node_config

# Fields of a node task that have no meaning for sets of graphs.
_NODES_ONLY = (
    "split",
    "split_seed",
    "normalise_features",
    "num_nodes",
    "mean_degree",
    "num_features",
    "num_classes",
    "graph_seed",
    "num_windows",
    "num_classifiers",
    "num_probes",
)


def graph_config(dataset: str) -> Config:
    """Settings of a task on a set of graphs: those of `node_config`, changed as said here."""
    c = node_config(dataset)
    for name in _NODES_ONLY:
        del c[name]
    c.task = "graph"
    # --- data ---
    # Name in data.catalog: mutag, ptc_mr, …, any TU name, or graph_folder (with data_path).
    # What x is: "auto" (node labels, else attributes, else degrees), "labels", "attributes",
    # "degree", or two of them in this order, "labels+degree". Degrees matter where the normalised
    # adjacency hides them.
    c.features = "auto"
    # One-hot degrees share the last column from here on.
    c.max_degree = 64
    # --- model ---
    c.width = 512
    # --- objective (eq. 11) ---
    # "both" levels, "node" or "graph" alone, or "mvgrl" (the original objective).
    c.objective = "both"
    # Nodes are contrasted within their "graph", or over the whole "batch" (the authors' code).
    c.node_contrast = "graph"
    # Nodes that a graph contrasts at most, drawn anew each step; 0 is all.
    c.contrast_nodes = 0
    # Anchors h^b too, not h^a alone.
    c.symmetric_graph = False
    # tau between graphs (eq. 11 has none).
    c.graph_temperature = 1.0
    # --- representation ---
    # Over a graph's nodes: "mean" (the paper's), or "sum", which keeps the graph's size.
    c.readout = "mean"
    # --- training ---
    # Whole graphs, every one once an epoch.
    c.sampler = "graphs"
    # Graphs per step, about.
    c.batch_size = 256
    # Sizes of slots that graphs are padded to.
    c.max_buckets = 6
    # Longer training lowers the inner scores of cross-validation (README, "What was tried").
    c.num_steps = 50
    # --- evaluation and model choice ---
    # "standard" (METHOD section 5): nested cross-validation of a linear SVM.
    c.protocol = "standard"
    # "fixed": the last step, no label seen; "loss": the best training loss; "inner_cv": for each
    # outer fold the evaluated step with the best score within that fold's training part.
    c.selection = "fixed"
    c.num_folds = 10
    c.num_seeds = 5
    c.eval_every = 10
    return c


def edit_distance_config(dataset: str) -> Config:
    """Settings of graph edit distance: those of `graph_config`, and what encoders are asked."""
    c = graph_config(dataset)
    c.task = "edit_distance"
    # Nodes of the subgraphs; 1,000 triplets of each (METHOD section 5).
    c.sizes = (10, 15, 20, 50)
    c.num_triplets = 1000
    # Pairs of up to max_pair_nodes nodes whose exact distance is computed; 0 leaves them out.
    c.num_pairs = 200
    c.max_pair_nodes = 8
    # Seed of triplets and pairs, apart from the training seed.
    c.triplet_seed = 0
    # Kernels and the supervised GNN too.
    c.baselines = True
    c.num_seeds = 1
    return c


_SHARED = ("none", "mo", "mp", "mp_nodiv", "mo_op", "random", "binary", "neighbour_mean")
GRAPH_VARIANTS = {name: VARIANTS[name] for name in (*_SHARED, "propagate")} | {
    "mvgrl": {
        "mixing": "none",
        "objective": "mvgrl",
        "embed_from": "z",
        "learning_rate": 1e-3,
    },
    # mp-mix with one level of eq. 11 alone (table 4).
    "node_only": {"mixing": "mp", "objective": "node"},
    "graph_only": {"mixing": "mp", "objective": "graph"},
    # The paper's own settings.
    "paper": {
        "mixing": "mp",
        "candidates": "wp",
        "diversity_weight": 1.0,
        "mixing_temperature": 1.0,
        "learning_rate": 3e-4,
        "width": 512,
        "num_steps": 200,
    },
    # Finishes on a CPU in seconds.
    "smoke": {
        "width": 8,
        "num_steps": 4,
        "eval_every": 2,
        "checkpoint_every": 2,
        "num_clusterings": 1,
        "num_seeds": 1,
        "num_folds": 3,
        "max_buckets": 2,
    },
}
# Baselines do not depend on the variant: they come with the config itself.
EDIT_DISTANCE_VARIANTS = {
    name: {**changes, "baselines": False} for name, changes in GRAPH_VARIANTS.items()
}
EDIT_DISTANCE_VARIANTS["smoke"] |= {"sizes": (5, 6), "num_triplets": 6, "num_pairs": 4}
