"""The static settings that a config makes of a framework for nodes."""

from typing import Any

from mmix_jax.experiments.defaults import Config
from mmix_jax.frameworks.grace import GraceSettings
from mmix_jax.frameworks.mvgrl_nodes import Settings
from mmix_jax.losses import usual_block_size


def mvgrl_settings(config: Config, num_nodes: int) -> Settings:
    """The framework's settings; `num_nodes` (of the graph, or of a batch of graphs) decides between
    dense and streamed losses."""
    return Settings(
        **_common(config, num_nodes),
        objective=config.objective,
        feature_mask=config.feature_mask,
        embed_from=config.embed_from,
        discriminator=config.discriminator,
        diffusion_kind=config.diffusion,
        alpha=config.alpha,
        diffusion_time=config.diffusion_time,
    )


def grace_settings(config: Config, num_nodes: int) -> GraceSettings:
    """Those of the GRACE-style framework; `num_nodes` as above."""
    return GraceSettings(
        **_common(config, num_nodes),
        encoder=config.encoder,
        num_heads=config.num_heads,
        activation=config.activation,
        head_width=config.head_width,
        drop_edge=(config.drop_edge_a, config.drop_edge_b),
        drop_feature=(config.drop_feature_a, config.drop_feature_b),
        symmetric=config.symmetric,
    )


def _common(config: Config, num_nodes: int) -> dict[str, Any]:
    """What all frameworks have: encoder widths, mixing, contrast."""
    contrasted = {
        "full": num_nodes,
        "nodes": config.batch_size,
        "window": config.batch_size * config.get("num_windows", 1),
        "graphs": num_nodes,
    }[config.sampler]
    return {
        "widths": (config.width,) * config.depth,
        "mixing": config.mixing,
        "candidates": config.candidates,
        "negatives": config.negatives,
        "temperature": config.temperature,
        "mixing_temperature": config.mixing_temperature,
        "self_weight": None if config.self_weight < 0 else config.self_weight,
        "threshold": config.threshold,
        "diversity_weight": config.diversity_weight,
        "diversity_margin": config.diversity_margin,
        "mix_normalised": config.mix_normalised,
        "stop_gradient": config.stop_gradient,
        "block_size": config.block_size or usual_block_size(contrasted),
        "exchange": config.exchange,
        # Representations are mixed over all nodes, whatever the batch.
        "mixing_block_size": usual_block_size(max(contrasted, num_nodes)),
    }
