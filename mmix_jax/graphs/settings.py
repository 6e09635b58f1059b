"""The settings of diffusion (METHOD.md section 3): what a framework and a config say of it."""

from dataclasses import dataclass
from typing import Any

from mmix_jax.fields import POSITIVE, between, setting

KINDS = ("ppr", "heat", "heat_elementwise")
FORMS = ("features", "exact", "top_k", "epsilon")
SAMPLERS = ("full", "nodes", "window")
# In the place of features that a graph has not: where its nodes lie, which means nothing in another
# graph, the roles they play, which mean the same in every graph, or both.
STRUCTURES = ("both", "positions", "roles")


@dataclass(frozen=True)
class Diffusion:
    """Which diffusion view b has, and in which form it is computed."""

    kind: str = setting(
        "ppr",
        "Diffusion of view b; heat_elementwise is the authors' code.",
        choices=KINDS,
        name="diffusion",
    )
    alpha: float = setting(0.2, "Teleport probability of ppr.", within=between(1e-6, 1.0))
    time: float = setting(5.0, "Time of heat.", within=POSITIVE, name="diffusion_time")
    form: str = setting(
        "features",
        "Chebyshev steps on features, a dense matrix, or a sparse one.",
        choices=FORMS,
        name="diffusion_form",
    )
    top_k: int = setting(64, "Entries of a row that the sparse form top_k keeps.", within=POSITIVE)
    epsilon: float = setting(
        1e-4, "Entries below this are left out of the sparse form epsilon.", within=POSITIVE
    )

    def options(self) -> dict[str, Any]:
        """Keywords that `diffuse`, `diffusion_matrix` and `sparse_diffusion` share."""
        return {"kind": self.kind, "alpha": self.alpha, "t": self.time}
