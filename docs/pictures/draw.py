"""The pictures of docs/idea.md and of the README, drawn from what the library computes.

    python docs/pictures/draw.py          # writes the SVG files beside this script

Everything shown is a number of `mm.mix_edges`, `mm.mix_pairs` or `mm.info_nce` on nine vectors of
the plane; nothing is drawn by hand but where the panels stand.
"""

import math
import pathlib

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

import mmix_jax as mm

FOLDER = pathlib.Path(__file__).parent
INK, GREY, BLUE, ORANGE, GREEN = "#222222", "#9aa0a6", "#1f6fb4", "#d95f02", "#2a9d5c"

# View a: nine embeddings of length one, by angle; view b: the same nodes, a little elsewhere.
DEGREES = np.array([38.0, 20, 55, 62, 95, 130, -8, -40, 165])
SHIFT = np.array([9.0, -6, 7, -8, 5, -9, 6, 8, -5])
ANCHOR, ALONE = 0, 8
# Both directions of an undirected edge; node 8 has none.
PAIRS = np.array([(0, 1), (0, 3), (0, 4), (0, 6), (1, 6), (2, 3), (4, 5), (6, 7)])
SENDERS, RECEIVERS = np.concatenate([PAIRS, PAIRS[:, ::-1]]).T


def on_circle(degrees: np.ndarray) -> np.ndarray:
    turn = np.radians(degrees)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)


Z_A, Z_B = on_circle(DEGREES), on_circle(DEGREES + SHIFT)


def along_edges(rule: str, **options) -> tuple[np.ndarray, np.ndarray]:
    """Mixtures [N, 2] and weights [N, N], candidates wp."""
    found = mm.mix_edges(Z_A, SENDERS, RECEIVERS, rule=rule, **options)
    weights = np.diag(np.asarray(found.self_weights))
    weights[RECEIVERS, SENDERS] = found.weights
    return np.asarray(found.z_mixed), weights


def in_batch(rule: str, **options) -> tuple[np.ndarray, np.ndarray]:
    """The same with candidates op or all."""
    found = mm.mix_pairs(Z_A, rule=rule, **options)
    return np.asarray(found.z_mixed), np.asarray(found.weights)


def plane(panel, title: str) -> None:
    turn = np.linspace(0, 2 * math.pi, 200)
    panel.plot(np.cos(turn), np.sin(turn), color=GREY, lw=0.8)
    panel.set(xlim=(-1.35, 1.35), ylim=(-1.0, 1.35), aspect="equal")
    panel.set_title(title, fontsize=9)
    panel.axis("off")


def points(panel, z: np.ndarray, colour: str = INK, prefix: str = "") -> None:
    panel.scatter(*z.T, s=26, color=colour, zorder=3)
    for j, (x, y) in enumerate(z):
        bold = "bold" if j == ANCHOR and not prefix else "normal"
        panel.annotate(f"{prefix}{j}", 1.17 * np.array([x, y]), ha="center", va="center",
                       fontsize=8, color=colour, weight=bold)  # fmt: skip


def mixture(panel, z_mixed: np.ndarray, weights: np.ndarray, anchor: int = ANCHOR) -> None:
    """The partners of an anchor, lines as wide as their weights, and what becomes of it."""
    for j in np.flatnonzero(weights[anchor]):
        panel.plot(*np.stack([Z_A[j], z_mixed[anchor]]).T, color=ORANGE, alpha=0.75,
                   lw=0.5 + 9 * weights[anchor, j], solid_capstyle="round", zorder=2)  # fmt: skip
    panel.scatter(*z_mixed[anchor], s=70, marker="D", color=ORANGE, edgecolor="white", zorder=4)


def edges(panel) -> None:
    for i, j in PAIRS:
        panel.plot(*Z_A[[i, j]].T, color=GREY, lw=0.9, zorder=1)


def bars(panel, weights: np.ndarray, colour: str, label: str, place: float, title: str) -> None:
    """Weights of the anchor's partners, the most similar first."""
    order = np.argsort(-(Z_A @ Z_A[ANCHOR]), kind="stable")
    where = np.arange(len(order)) + place
    panel.bar(where, weights[ANCHOR][order], width=0.38, color=colour, label=label)
    cosines = (Z_A @ Z_A[ANCHOR])[order].round(1)
    panel.set_xticks(
        np.arange(len(order)), [f"{j}\n{c + 0.0:.1f}" for j, c in zip(order, cosines, strict=True)]
    )
    panel.set_title(title, fontsize=9)
    panel.set_xlabel("j, below it the cosine of $z_j$ and $z_0$", fontsize=8)
    panel.tick_params(labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8)


def two(width: float = 7.2):
    return plt.subplots(1, 2, figsize=(width, 2.9), layout="constrained", width_ratios=(1, 1.25))


def draw_mo():
    """Weights by similarity; the anchor keeps C."""
    figure, (left, right) = two()
    flat = in_batch("mo", candidates="all")
    sharp = in_batch("mo", candidates="all", temperature=0.2)
    plane(left, "mo, all others mixed into 0, τ_mix = 0.2")
    points(left, Z_A)
    mixture(left, *sharp)
    bars(right, flat[1], GREY, "τ_mix = 1 (paper)", -0.2, "")
    bars(right, sharp[1], ORANGE, "τ_mix = 0.2", 0.2, "λ of 0's mixture: C = 0.2 for itself")
    return figure


def draw_mp():
    """Weights by two projections: alike, and as far apart as L_div drives them."""
    figure, (left, right) = two()
    alike = in_batch("mp", candidates="all", q=Z_A, k=Z_A)
    apart = in_batch("mp", candidates="all", q=Z_A, k=-Z_A)
    loss = [abs(round(float(mm.diversity(Z_A, k)))) for k in (Z_A, -Z_A)]
    plane(left, "mp, all mixed into 0, q = k")
    points(left, Z_A)
    mixture(left, *alike)
    bars(right, alike[1], ORANGE, f"k = q (L_div = {loss[0]})", -0.2, "")
    bars(right, apart[1], BLUE, f"k = −q (L_div = −{loss[1]})", 0.2,
         "λ of 0's mixture: at L_div's minimum it falls")  # fmt: skip
    return figure


def draw_wp():
    """Candidates are the neighbours in the graph."""
    figure, (left, right) = two()
    mixed = along_edges("mo")
    plane(left, "wp: along edges (grey); 8 has none")
    edges(left)
    points(left, Z_A)
    mixture(left, *mixed)
    mixture(left, *mixed, anchor=ALONE)
    bars(right, mixed[1], ORANGE, "mo, τ_mix = 1", 0, "λ of 0's mixture: neighbours and itself")
    return figure


def draw_op():
    """Candidates are those of cosine θ or more."""
    figure, (left, right) = two()
    theta = 0.9
    mixed = in_batch("mo", candidates="op", threshold=theta)
    plane(left, "op: cosine of at least θ = 0.9 (cone)")
    half = math.degrees(math.acos(theta))
    cone = (DEGREES[ANCHOR] - half, DEGREES[ANCHOR] + half)
    left.add_patch(mpl.patches.Wedge((0, 0), 1, *cone, color=BLUE, alpha=0.15, lw=0))
    points(left, Z_A)
    mixture(left, *mixed)
    bars(right, mixed[1], ORANGE, "mo, τ_mix = 1", 0, "λ of 0's mixture: those in the cone")
    return figure


def log_terms(u: np.ndarray) -> np.ndarray:
    """What stands in the exponents of equation 9, [N, 2N]: u_i·u_j, then u_i·z^b_j."""
    unit = u / np.linalg.norm(u, axis=1, keepdims=True)
    scores = np.concatenate([unit @ unit.T, unit @ Z_B.T], axis=1)
    scores[np.diag_indices(len(u))] = -np.inf  # a vector is no negative of its own
    return scores


def contrast(panel, u: np.ndarray, title: str) -> None:
    """Each row's softmax: the positive's share is what the loss asks for."""
    terms, size = log_terms(u), len(u)
    shares = np.exp(terms) / np.exp(terms).sum(axis=1, keepdims=True)
    loss = float(mm.anchor_info_nce(jnp.asarray(u), jnp.asarray(Z_B)).mean())
    by_hand = -np.log(shares[np.arange(size), size + np.arange(size)]).mean()
    assert abs(loss - by_hand) < 1e-5, (loss, by_hand)
    panel.imshow(shares, cmap="Greys", vmin=0, vmax=0.17)
    for i in range(size):
        panel.add_patch(plt.Rectangle((size + i - 0.5, i - 0.5), 1, 1, fill=False,
                                      edgecolor=GREEN, lw=1.6))  # fmt: skip
    panel.axvline(size - 0.5, color=INK, lw=0.8)
    panel.set_xticks([4, 13], ["$u_j$, the same view", "$z^b_j$, the other view"], fontsize=8)
    panel.set_yticks([0, 4, 8])
    panel.set_ylabel("anchor $u_i$", fontsize=8)
    panel.tick_params(length=0, labelsize=8)
    panel.set_title(f"{title}: L = {loss:.3f} nats", fontsize=9)


def draw_loss():
    """Shares of each anchor's denominator, without mixing and with it."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 2.5), layout="constrained")
    contrast(panels[0], Z_A, "no mixing")
    contrast(panels[1], along_edges("mo")[0], "mo along edges")
    return figure


def draw_overview():
    """Two views, the mixture, the contrast."""
    figure, panels = plt.subplots(
        1, 3, figsize=(9, 2.7), layout="constrained", width_ratios=(1, 1, 1.35)
    )
    plane(panels[0], "1  nodes in two views, ● a and ■ b")
    edges(panels[0])
    points(panels[0], Z_A)
    panels[0].scatter(*(0.82 * Z_B).T, s=22, color=BLUE, marker="s", zorder=3)
    plane(panels[1], "2  mix view a: ẑ = Σ λ z")
    edges(panels[1])
    points(panels[1], Z_A)
    mixture(panels[1], *along_edges("mo"))
    contrast(panels[2], along_edges("mo")[0], "3  contrast")
    return figure


DRAWN = {
    "mo": draw_mo, "mp": draw_mp, "wp": draw_wp, "op": draw_op,
    "loss": draw_loss, "overview": draw_overview,
}  # fmt: skip


def main() -> None:
    jax.config.update("jax_platforms", "cpu")
    mpl.rcParams.update({"svg.hashsalt": "mmix_jax", "font.family": "DejaVu Sans"})
    for name, draw in DRAWN.items():
        figure = draw()
        options = {"metadata": {"Date": None}, "facecolor": "white", "bbox_inches": "tight"}
        figure.savefig(FOLDER / f"{name}.svg", **options)
        plt.close(figure)


if __name__ == "__main__":
    main()
