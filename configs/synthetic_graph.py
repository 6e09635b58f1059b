"""A drawn graph of any size: needs no files, shows what a million nodes cost (docs/scale.md).

python -m mmix_jax.main --config=configs/synthetic_graph.py --config.num_nodes=1000000
"""

from mmix_jax.experiments import VARIANTS, finish, node_config

_SMOKE = VARIANTS["smoke"] | {
    "num_nodes": 1000,
    "mean_degree": 6.0,
    "num_features": 16,
    "batch_size": 128,
}


def get_config(variant: str = ""):
    config = node_config("synthetic_graph")
    config.learning_rate = 1e-3
    config.num_steps = 200
    config.embed_from = "mixed"
    config.sampler = "nodes"
    config.batch_size = 2048
    config.eval_every = 50
    # k-means takes 50,000 of the nodes, and seconds each time.
    config.num_clusterings = 3
    return finish(config, variant, VARIANTS | {"smoke": _SMOKE})
