"""The fields of a config and their defaults: the paper's, unless a comment says otherwise."""

from collections.abc import Mapping
from typing import Any

from mmix_jax.errors import InputError

Config = Any  # an ml_collections.ConfigDict, whose fields have no static types


def node_config(dataset: str) -> Config:
    """Settings of a node task; a config file changes what its data set wants and locks the keys."""
    from ml_collections import ConfigDict

    c = ConfigDict()
    # What is done: this file serves "node" tasks.
    c.task = "node"
    # --- data ---
    # Name in data.catalog: cora, citeseer, pubmed, dblp, ppi, digits_graph, graph_file,
    # synthetic_graph, ...
    c.dataset = dataset
    # Folder with the original files; empty: $MMIX_DATA_DIR, then the download cache.
    c.data_dir = ""
    # Your own graph (dataset "graph_file"): an .npz, or a folder or edge list in CSV.
    c.data_path = ""
    # "default" (the data's own: public split, masks), "public", or "random" (10/10/80).
    c.split = "default"
    # Seed of a random split, apart from the training seed.
    c.split_seed = 0
    # Divide each feature row by its L1 norm: "auto" (bag-of-words data only), "on", "off".
    c.normalise_features = "auto"
    # Every feature that is not zero becomes 1.
    c.binarise_features = False
    # Of the drawn graph "synthetic_graph" alone: nodes, their mean number of neighbours, features,
    # classes, and the seed of all that.
    c.num_nodes = 100_000
    c.mean_degree = 20.0
    c.num_features = 128
    c.num_classes = 10
    c.graph_seed = 0

    # --- model ---
    # "mvgrl" (adjacency against diffusion, two encoders) or "grace" (dropped edges, one encoder).
    c.framework = "mvgrl"
    # "gcn", or in grace "gat".
    c.encoder = "gcn"
    # Layers of each encoder; with one layer mvgrl's propagation is computed beforehand.
    c.depth = 1
    # Output dimension D.
    c.width = 256
    # Diffusion of view b: "ppr", "heat" or "heat_elementwise" (the authors' code).
    c.diffusion = "ppr"
    # Teleport probability of ppr, and time of heat (METHOD section 3).
    c.alpha = 0.2
    c.diffusion_time = 5.0
    # "features" (Chebyshev steps, no N x N matrix), "exact" (dense), "top_k" or "epsilon" (sparse).
    c.diffusion_form = "features"
    c.top_k = 64
    c.epsilon = 1e-4

    # --- framework "grace" alone; the published values for DBLP ---
    # Of the encoder: "relu" or "prelu".
    c.activation = "relu"
    # Heads of gat, whose outputs share the width and are averaged in the last layer.
    c.num_heads = 4
    # Between the two layers of the head.
    c.head_width = 256
    # Probability that an edge, or a feature dimension, is left out of view a or b.
    c.drop_edge_a, c.drop_edge_b = 0.1, 0.4
    c.drop_feature_a, c.drop_feature_b = 0.1, 0.0
    # Mix view b too.
    c.symmetric = False

    # --- mixing (eq. 2-7) ---
    # mo, mp, random, binary, none, neighbour_mean, propagate, i_mix.
    c.mixing = "mp"
    # wp (graph neighbours), op (score at least `threshold`), all.
    c.candidates = "wp"
    # tau_mix; 1 is the paper's.
    c.mixing_temperature = 1.0
    # C of mo-mix; negative: self is an ordinary candidate (the authors' image code).
    c.self_weight = 0.2
    # theta of candidates "op": 0.9 for mo; mp wants 0.
    c.threshold = 0.9
    # Mix unit vectors instead of raw outputs.
    c.mix_normalised = False
    # No gradient through the weights (the authors' graph code).
    c.stop_gradient = False

    # --- objective (eq. 8-10) ---
    # "node" (InfoNCE), or "mvgrl" (the original node-against-graph objective).
    c.objective = "node"
    # "full" (eq. 9) or "cross" (no intra-view negatives: the authors' code).
    c.negatives = "full"
    # tau.
    c.temperature = 1.0
    # Weight of L_div (eq. 8), mp only; the paper has 1.
    c.diversity_weight = 1.0
    # L_div stops pushing at this q.k: -1 is the paper's, 0 stops at orthogonality.
    c.diversity_margin = -1.0
    # Form of the mvgrl discriminator's loss: "bce" or "jsd".
    c.discriminator = "bce"
    # Probability of masking a whole feature dimension, in both views of mvgrl; 0 is the paper's.
    c.feature_mask = 0.0
    # Rows per block of the streamed loss; 0: dense up to 4,096 nodes a step, else 2,048.
    c.block_size = 0
    # Between devices: "gather" (each holds all vectors), or "ring" (blocks passed round).
    c.exchange = "gather"

    # --- representation ---
    # Branch a: "g" (after the predictor), "mixed" or "z".
    c.embed_from = "g"
    # The headline: "mean" of both branches, "a" or "b"; all three are reported. In grace "single".
    c.representation = "mean"

    # --- training ---
    # full (all nodes), nodes (batch_size random nodes), window (the authors' contiguous slices).
    c.sampler = "full"
    # Nodes per step, or per window.
    c.batch_size = 2000
    # Windows per step.
    c.num_windows = 2
    c.num_steps = 2000
    c.learning_rate = 3e-4
    # L2 added to the gradient.
    c.weight_decay = 0.0
    # First seed; trainings use seed, seed + 1, ...
    c.seed = 0
    # Trainings in one run; scores are mean and deviation over them.
    c.num_seeds = 1
    # Devices to use; 0: all.
    c.num_devices = 0

    # --- evaluation and model choice ---
    # "standard" (METHOD section 5), "reference" (its options; the test set is watched), or "splits"
    # (random 10/10/80 splits, L2 tuned on others). Sets with several labels a node have their own.
    c.protocol = "standard"
    # Splits of protocol "splits", from seed 0 on.
    c.num_splits = 20
    # Which step is evaluated: best on "validation", by training "loss", or the "last".
    c.selection = "validation"
    # Initialisations of the protocol's logistic regression, and of the one while training.
    c.num_classifiers = 50
    c.num_probes = 5
    # Repeats of k-means; 0 leaves clustering out.
    c.num_clusterings = 10
    # Steps between evaluations, and between checkpoints (improvements are always saved).
    c.eval_every = 10
    c.checkpoint_every = 100
    # Evaluations without improvement before training stops; 0: never.
    c.patience = 30
    return c


# A GRACE-style training; drop rates, widths and τ are the published ones for DBLP.
GRACE = {
    "framework": "grace",
    "depth": 2,
    "mixing": "none",
    "temperature": 0.7,
    "representation": "single",
    "learning_rate": 1e-3,
    "weight_decay": 1e-5,
    "sampler": "full",
    "eval_every": 50,
    "selection": "last",
}
# More and smaller steps on all nodes, as published for DBLP, with the paper's mixing.
GRACE_PAPER = {"mixing": "mp", "sampler": "full", "learning_rate": 1e-3, "num_steps": 1000}

# What the variants change; `configs/cora.py:mo` is get_config("mo"), and `:grace+mo` applies both.
VARIANTS = {
    "grace": GRACE,
    "none": {"mixing": "none"},
    "mo": {"mixing": "mo"},
    "mp": {"mixing": "mp"},
    "mp_nodiv": {"mixing": "mp", "diversity_weight": 0.0},
    "mo_op": {"mixing": "mo", "candidates": "op"},
    "random": {"mixing": "random"},
    "binary": {"mixing": "binary", "candidates": "all"},
    "neighbour_mean": {"mixing": "neighbour_mean"},
    "propagate": {"mixing": "propagate"},
    "i_mix": {"mixing": "i_mix"},
    "gat": {"encoder": "gat", "mixing": "none"},
    "mvgrl": {
        "framework": "mvgrl",
        "encoder": "gcn",
        "depth": 1,
        "representation": "mean",
        "mixing": "none",
        "objective": "mvgrl",
        "embed_from": "z",
        "sampler": "full",
        "feature_mask": 0.0,
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
    },
    # The paper's own settings: authors' windows, tau_mix and L_div as published, no masking.
    "paper": {
        "mixing": "mp",
        "candidates": "wp",
        "diversity_weight": 1.0,
        "mixing_temperature": 1.0,
        "feature_mask": 0.0,
        "learning_rate": 3e-4,
        "width": 512,
        "sampler": "window",
        "batch_size": 2000,
        "num_steps": 2000,
    },
    # Finishes on a CPU in seconds.
    "smoke": {
        "width": 16,
        "num_steps": 4,
        "eval_every": 2,
        "checkpoint_every": 2,
        "num_classifiers": 2,
        "num_probes": 1,
        "num_clusterings": 1,
    },
}


def finish(
    config: Config, variant: str | None, variants: Mapping[str, Mapping[str, Any]] = VARIANTS
) -> Config:
    """Apply variants, several with a plus between, and lock the keys: a misspelt one is an error.

    Raises:
      InputError: unknown variant.
    """
    # A framework comes before what is changed in it, whatever the order.
    names = sorted((variant or "").split("+"), key=lambda name: name not in ("grace", "gat"))
    for name in filter(None, names):
        if name not in variants:
            raise InputError(
                f"unknown variant '{name}'; expected one of: {', '.join(sorted(variants))}"
            )
        if name == "gat" and config.framework != "grace":
            config.update(variants["grace"])
        config.update(variants[name])
    return config.lock()
