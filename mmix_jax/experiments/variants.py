"""Variants in a few words: what `--help` says of a name after a config's colon."""

from collections.abc import Mapping
from typing import Any

from mmix_jax.errors import InputError
from mmix_jax.fields import unknown

WORDS = {
    "none": "no mixing",
    "mo": "mo-mix: weights by similarity, the anchor keeps C",
    "mo_op": "mo-mix among those of similarity θ or more",
    "mo_all": "mo-mix among all",
    "mp": "mp-mix: weights by two learned projections, with L_div",
    "mp_all": "mp-mix among all",
    "mp_nodiv": "mp-mix without L_div",
    "random": "weights are drawn",
    "binary": "half the anchor, half the most similar other",
    "neighbour_mean": "the mean of the neighbours",
    "propagate": "the plain adjacency, the effect of the authors' code",
    "i_mix": "i-mix: inputs are mixed, and their labels",
    "negatives": "beyond the paper: mixtures of hard candidates join the negatives",
    "debiased": "beyond the paper: the debiased loss with τ⁺ 0.1; behind others, none+debiased",
    "mvgrl": "MVGRL's own objective, without mixing",
    "grace": "GRACE-style: one encoder, dropped edges and features; before others, grace+mo",
    "gat": "GRACE-style with a GAT",
    "node_only": "mp-mix with the node level of eq. 11 alone",
    "graph_only": "mp-mix with the graph level of eq. 11 alone",
    "authors": "what the authors' code computes",
    "paper": "the published settings",
    "strong": "SimCLR's strong recipe, 1,000 epochs; with a rule, strong+none",
    "strong100": "… for 100 epochs",
    "strong_lars": "… by LARS, with batches of 1,024",
    "small": "a small network, on some of the images: for a CPU",
    "smoke": "a few tiny steps, to see that it runs: seconds on a CPU",
}


class UnknownVariant(InputError):
    """A config has no variant of this name; `variants` are those that it has."""

    def __init__(self, name: str, variants: Mapping[str, Mapping[str, Any]]):
        super().__init__(unknown("variant", name, variants))
        self.variants = variants
