"""The GRACE-style framework for nodes as plain float64 loops: GCN, GAT, head and losses.

Similarities, weights and InfoNCE are those of `naive`. Edges are a list of (sender, receiver)
pairs, both directions listed, each at most once; self loops among them are ignored, since every
layer gives each node its own loop, once. `params` is one flat dict of float64 arrays:

    kernel_1, bias_1                     GCN   [F, H], [H]
    kernel_2, bias_2                           [H, D], [D]
    kernel_1, bias_1                     GAT   [F, heads, H], [heads · H]
    attend_receiver_1, attend_sender_1         [heads, H] each
    kernel_2, bias_2                           [heads · H, heads, D], [D]
    attend_receiver_2, attend_sender_2         [heads, D] each
    slope_1, slope_2                     with activation "prelu": one slope, or one per column
    head_kernel_1, head_bias_1           head  [D, P], [P]
    head_kernel_2, head_bias_2                 [P, P'], [P']
    P_m, P_n                             mp    [D, D] each: q = P_m z and k = P_n z

Anchors are the nodes of a contrast batch, each once. `encode` is `gcn_encoder`, `gat_encoder`, or
a `functools.partial` of one with another activation. The gradient by one array is
`numerical_gradient(lambda p: grace_loss(encode, {**params, name: p}, ...), params[name])`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

import naive

Params = Mapping[str, np.ndarray]
Edges = Sequence[tuple[int, int]]
Encoder = Callable[[Params, np.ndarray, Edges], np.ndarray]


class View(NamedTuple):
    """An augmented input: the edges it keeps, and 1 or 0 per feature [F] (kept or masked)."""

    edges: Edges
    kept_features: Sequence[float]


# Layers


def linear(x, kernel, bias) -> np.ndarray:
    """x W + b, row by row."""
    columns = range(kernel.shape[1])
    return np.array([[naive.dot(row, kernel[:, d]) + bias[d] for d in columns] for row in x])


def relu(x) -> np.ndarray:
    return np.array([[max(float(v), 0.0) for v in row] for row in x])


def elu(x) -> np.ndarray:
    return np.array([[v if v > 0 else math.exp(v) - 1 for v in row] for row in x])


def leaky_relu(value: float, slope: float = 0.2) -> float:
    return value if value > 0 else slope * value


def prelu(x, slope) -> np.ndarray:
    """x where positive, else slope · x; one slope, or one per column."""
    slopes = [float(s) for s in np.broadcast_to(slope, len(x[0]))]
    return np.array([[leaky_relu(v, s) for v, s in zip(row, slopes, strict=True)] for row in x])


def activate(params: Params, x, layer: int, activation: str) -> np.ndarray:
    if activation == "prelu":
        return prelu(x, params[f"slope_{layer}"])
    return {"relu": relu, "elu": elu}[activation](x)


def gcn_layer(x, edges: Edges, weights_of_edges, kernel, bias) -> np.ndarray:
    """Â x W + b with Â = D̃^{-1/2} (A + I) D̃^{-1/2} of these edges, without activation.

    A's entries are `weights_of_edges` (None: all 1), both directions alike; without edges Â_ii = 1.
    """
    entries = [1.0] * len(edges) if weights_of_edges is None else weights_of_edges
    loops = [(i, i, 1.0) for i in range(len(x))]
    links = [(j, i, a) for (j, i), a in zip(edges, entries, strict=True) if j != i] + loops
    degree = [0.0] * len(x)
    for _, receiver, entry in links:
        degree[receiver] += entry
    collected = np.zeros(np.shape(x))
    for sender, receiver, entry in links:
        collected[receiver] += entry / math.sqrt(degree[receiver] * degree[sender]) * x[sender]
    return linear(collected, kernel, bias)


def gat_layer(
    x, edges: Edges, kernel, attend_receiver, attend_sender, bias, *, concat: bool
) -> tuple[np.ndarray, dict[tuple[int, int, int], float]]:
    """Graph attention (Veličković et al. 2018) and its {(head, i, j): α_ij}, without activation.

    Per head h = x W, e_ij = LeakyReLU_0.2(a_receiver · h_i + a_sender · h_j) for j in N(i) ∪ {i},
    α_i = softmax_j e_ij, out_i = Σ_j α_ij h_j; heads side by side (`concat`) or averaged; then + b.
    """
    attention, outputs = {}, []
    sets = naive.candidates_wp(len(x), [j for j, _ in edges], [i for _, i in edges])
    for head in range(kernel.shape[1]):
        h = linear(x, kernel[:, head], np.zeros(kernel.shape[2]))
        output = np.zeros(h.shape)
        for i, candidates in enumerate(sets):
            own = naive.dot(attend_receiver[head], h[i])
            scores = {j: leaky_relu(own + naive.dot(attend_sender[head], h[j])) for j in candidates}
            for j, alpha in naive.softmax_over(scores).items():
                attention[head, i, j] = alpha
                output[i] += alpha * h[j]
        outputs.append(output)
    joined = np.concatenate(outputs, axis=1) if concat else np.mean(outputs, axis=0)
    return np.array([row + bias for row in joined]), attention


# Encoders and head


def gcn_encoder(params: Params, x, edges: Edges, activation: str = "relu") -> np.ndarray:
    """Two GCN layers, the activation ("relu", "prelu" or "elu") after each."""
    for layer in (1, 2):
        x = gcn_layer(x, edges, None, params[f"kernel_{layer}"], params[f"bias_{layer}"])
        x = activate(params, x, layer, activation)
    return x


def gat_encoder(params: Params, x, edges: Edges, activation: str = "relu") -> np.ndarray:
    """Two GAT layers, heads concatenated in the first and averaged in the last."""
    names = ("kernel", "attend_receiver", "attend_sender", "bias")
    for layer in (1, 2):
        arrays = [params[f"{name}_{layer}"] for name in names]
        x, _ = gat_layer(x, edges, *arrays, concat=layer == 1)
        x = activate(params, x, layer, activation)
    return x


def masked(x, view: View) -> np.ndarray:
    """The node features of a view: masked columns are zero."""
    kept = [float(k) for k in view.kept_features]
    return np.array([[float(v) * k for v, k in zip(row, kept, strict=True)] for row in x])


def projection_head(params: Params, z) -> np.ndarray:
    """Linear, ELU, linear."""
    hidden = elu(linear(z, params["head_kernel_1"], params["head_bias_1"]))
    return linear(hidden, params["head_kernel_2"], params["head_bias_2"])


# Losses


def projections(params: Params, z) -> list[np.ndarray]:
    """q and k of equation 6: P_m z_i and P_n z_i, normalised."""
    matrices = (params["P_m"], params["P_n"])
    return [naive.normalise([[naive.dot(row, z_i) for row in P] for z_i in z]) for P in matrices]


def mixed(params: Params, z, edges: Edges, rule: str, self_weight, temperature) -> np.ndarray:
    """Ẑ of a view: candidates are the senders along its kept edges, and the node itself (`wp`)."""
    sets = naive.candidates_wp(len(z), [j for j, _ in edges], [i for _, i in edges])
    if rule == "mo":
        weights = naive.mo_weights(z, sets, self_weight=self_weight, temperature=temperature)
    elif rule == "mp":
        q, k = projections(params, z)
        weights = naive.mp_weights(q, k, sets, temperature=temperature)
    else:
        weights = {"none": naive.none_weights}[rule](sets)
    return naive.mix(weights, z)


def grace_loss(
    encode: Encoder,
    params: Params,
    x,
    views: tuple[View, View],
    anchors: Sequence[int],
    *,
    rule: str,
    symmetric: bool = False,
    temperature: float = 0.7,
    self_weight: float | None = 0.2,
    mixing_temperature: float = 1.0,
    negatives: str = "full",
    diversity_weight: float = 1.0,
) -> float:
    """Equations 9 and 10 between the heads of ẑ^a and z^b (ẑ^b if `symmetric`), over the anchors.

    One encoder and one head serve both views. Encoding and mixing see the whole graph; only what
    is contrasted is the batch of anchors. For mp, equation 8 on the anchors' q and k of view a is
    added, or the mean of both views' values if `symmetric`.
    """
    batch, heads, spread = list(anchors), [], []
    for view, mixes in zip(views, (True, symmetric), strict=True):
        z = encode(params, masked(x, view), view.edges)
        if mixes and rule == "mp":
            spread.append(naive.diversity(*projections(params, z[batch])))
        if mixes:
            z = mixed(params, z, view.edges, rule, self_weight, mixing_temperature)
        heads.append(projection_head(params, z[batch]))
    loss = naive.info_nce(*heads, temperature=temperature, negatives=negatives)
    return loss + diversity_weight * sum(spread) / max(len(spread), 1)


def grace_i_mix_loss(
    encode, params, x, views, anchors, coefficients, partners, *, temperature=0.7, negatives="full"
) -> float:
    """i-mix: the mean of λ_i ℓ(i→i) + (1 − λ_i) ℓ(i→π(i)) over the anchors, in view a only.

    The anchors' masked features of view a are mixed among themselves, other nodes keep theirs, and
    the edges stay view a's. `coefficients` are λ, and `partners` π as positions in `anchors`.
    """
    batch, inputs = list(anchors), [masked(x, view) for view in views]
    inputs[0][batch] = naive.i_mix_inputs(inputs[0][batch], coefficients, partners)
    encoded = [encode(params, rows, view.edges) for rows, view in zip(inputs, views, strict=True)]
    u, v = (projection_head(params, z[batch]) for z in encoded)
    return naive.virtual_labels(
        u, v, coefficients, partners, temperature=temperature, negatives=negatives
    )
