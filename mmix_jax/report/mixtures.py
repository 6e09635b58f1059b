"""What was mixed into what, as a table: every partner with its weight, and an excerpt to read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmix_jax.report.tables import align

if TYPE_CHECKING:
    import pandas as pd

MAX_PARTNERS = 20  # of an anchor, in the table
_EXCERPT_ANCHORS, _EXCERPT_PARTNERS = 8, 8


class Mixtures(NamedTuple):
    """Weights λ_ij of anchors i and their partners j, one entry for each pair with λ_ij > 0 [P].

    anchors, partners: rows of both. weights: λ_ij. cosines: H(z_i, z_j) of the embeddings that are
    mixed. own: λ_ii by row [R]. names: of the rows [R]. classes: theirs [R], empty where unknown;
    None where none is known. graphs: in sets of graphs, that of each row [R], and `classes` are
    the graphs' own; else None. num_anchors: how many rows were looked at, mixed or not.
    """

    anchors: np.ndarray
    partners: np.ndarray
    weights: np.ndarray
    cosines: np.ndarray
    own: np.ndarray
    names: np.ndarray
    classes: np.ndarray | None
    graphs: np.ndarray | None
    num_anchors: int

    def by_weight(self) -> "Mixtures":
        """Ordered by anchor, and of each anchor by falling weight."""
        order = np.lexsort((-self.weights, self.anchors))
        return self._replace(
            anchors=self.anchors[order],
            partners=self.partners[order],
            weights=self.weights[order],
            cosines=self.cosines[order],
        )


def mixture_frame(mixtures: Mixtures, max_partners: int = MAX_PARTNERS) -> "pd.DataFrame":
    """A row per anchor and partner, of each anchor at most its strongest.

    Columns: graph, graph_class (in sets of graphs), anchor, anchor_class, own_weight, partners
    (how many the anchor has), partner, partner_class, weight, cosine; classes where known.
    """
    import pandas as pd

    found = mixtures.by_weight()
    counts, rank = _counts_and_ranks(found.anchors)
    kept = np.flatnonzero(rank < max_partners)
    anchors, partners = found.anchors[kept], found.partners[kept]
    columns: dict[str, Any] = {}
    if found.graphs is not None:
        columns["graph"] = found.graphs[anchors]
        if found.classes is not None:
            columns["graph_class"] = found.classes[anchors]
    by_node = found.classes if found.graphs is None else None
    columns["anchor"] = found.names[anchors]
    if by_node is not None:
        columns["anchor_class"] = by_node[anchors]
    columns["own_weight"] = found.own[anchors]
    columns["partners"] = counts[kept]
    columns["partner"] = found.names[partners]
    if by_node is not None:
        columns["partner_class"] = by_node[partners]
    columns["weight"], columns["cosine"] = found.weights[kept], found.cosines[kept]
    return pd.DataFrame(columns)


def mixture_csv(mixtures: Mixtures) -> str:
    """`mixture_frame` as text, of each anchor at most its 20 strongest partners."""
    frame = mixture_frame(mixtures)
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def mixture_text(mixtures: Mixtures, csv_name: str) -> str:
    """Some anchors with their strongest partners, to read; of every class one before any has two.

    Args:
      mixtures: one pair or more.
      csv_name: of the file that has them all.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.report.mixtures import Mixtures, mixture_text
      >>> pairs = [np.array(x) for x in ([0, 0], [1, 2], [0.5, 0.3], [0.9, 0.7])]
      >>> rows = np.full(3, 0.2), np.array(["x", "y", "z"]), np.array(["cat", "cat", "dog"])
      >>> print(mixture_text(Mixtures(*pairs, *rows, None, 3), "mixtures.csv"))
      1 of 3 anchors is mixed with others; here are 1, more in mixtures.csv.
      weight: of the partner in the anchor's mixture; cosine: of both embeddings.
      <BLANKLINE>
      anchor x (class cat): own weight 0.200, 2 partners
      partner  class  weight  cosine
      -------  -----  ------  ------
      y        cat     0.500   0.900
      z        dog     0.300   0.700
      <BLANKLINE>
    """
    found = mixtures.by_weight()
    mixed, first, counts = np.unique(found.anchors, return_index=True, return_counts=True)
    chosen = _spread_over_classes(found, mixed, counts)[:_EXCERPT_ANCHORS]
    verb = "is" if mixed.size == 1 else "are"
    lines = [
        f"{mixed.size} of {mixtures.num_anchors} anchors {verb} mixed with others; "
        f"here are {len(chosen)}, more in {csv_name}.",
        "weight: of the partner in the anchor's mixture; cosine: of both embeddings.",
    ]
    for place in chosen:
        anchor, total = mixed[place], counts[place]
        rows = slice(first[place], first[place] + min(total, _EXCERPT_PARTNERS))
        few = f", {_EXCERPT_PARTNERS} of them shown" if total > _EXCERPT_PARTNERS else ""
        word = "" if found.classes is None else found.classes[anchor]
        of_class = f" (class {word})" if word != "" else ""
        name = f"anchor {found.names[anchor]}"
        if found.graphs is None:
            name += of_class
        else:
            name = f"graph {found.graphs[anchor]}{of_class}, {name}"
        own, words = found.own[anchor], "partner" if total == 1 else "partners"
        lines += ["", f"{name}: own weight {own:.3f}, {total} {words}{few}"]
        partners = found.partners[rows]
        columns = {"partner": [str(name) for name in found.names[partners]]}
        if found.classes is not None and found.graphs is None:
            columns["class"] = [str(name) for name in found.classes[partners]]
        columns["weight"] = [f"{x:.3f}" for x in found.weights[rows]]
        columns["cosine"] = [f"{x:.3f}" for x in found.cosines[rows]]
        lines += align(columns, right=("weight", "cosine"))
    return "\n".join(lines) + "\n"


def _counts_and_ranks(anchors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each entry of ordered anchors: how many its anchor has, and its place among them."""
    _, first, inverse, counts = np.unique(
        anchors, return_index=True, return_inverse=True, return_counts=True
    )
    return counts[inverse], np.arange(anchors.size) - first[inverse]


def _spread_over_classes(found: Mixtures, mixed: np.ndarray, counts: np.ndarray) -> Sequence[int]:
    """Places in `mixed`: most partners first, and of every class (or graph) one before any has
    two."""
    order = np.argsort(-counts, kind="stable")
    kinds = found.graphs if found.graphs is not None else found.classes
    if kinds is None:
        return [int(place) for place in order]
    seen: dict[str, int] = {}
    turns = []
    for place in order:
        kind = str(kinds[mixed[place]])
        turns.append(seen.get(kind, 0))
        seen[kind] = turns[-1] + 1
    return [int(place) for place in order[np.argsort(turns, kind="stable")]]
