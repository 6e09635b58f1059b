"""Cora, public split. Settings chosen on validation accuracy (docs/choices.md)."""

from mmix_jax.experiments import GRACE, VARIANTS, finish, node_config

# GRACE's published settings for Cora.
_GRACE = GRACE | {
    "width": 128,
    "head_width": 128,
    "drop_edge_a": 0.2,
    "drop_edge_b": 0.4,
    "drop_feature_a": 0.3,
    "drop_feature_b": 0.4,
    "temperature": 0.4,
    "learning_rate": 5e-4,
    "num_steps": 200,
}

# Its shuffled features are diffused anew each step.
_MVGRL = VARIANTS["mvgrl"] | {"diffusion_form": "exact", "num_steps": 200}


def get_config(variant: str = ""):
    config = node_config("cora")
    config.learning_rate = 3e-3
    config.num_steps = 300
    config.sampler = "nodes"
    config.batch_size = 677
    config.eval_every = 20
    return finish(config, variant, VARIANTS | {"grace": _GRACE, "mvgrl": _MVGRL})
