"""Features of a graph that has none: where its nodes lie, or what part they play in it."""

import numpy as np
from scipy import sparse

from mmix_jax.errors import InputError
from mmix_jax.fields import unknown
from mmix_jax.graphs.settings import STRUCTURES
from mmix_jax.graphs.types import Graph

_DIMENSIONS = 64
_ENTRIES = 2**23  # of two-step walks at a time


def structural(graph: Graph, structure: str) -> np.ndarray:
    """Features [N, F], float32, from the edges alone.

    Raises:
      InputError: the structure is none of `STRUCTURES`.

    Example:
      >>> import numpy as np
      >>> from mmix_jax.graphs import make_graph
      >>> from mmix_jax.graphs.structure import structural
      >>> path = make_graph(np.zeros((3, 0)), [0, 1], [1, 2])
      >>> structural(path, "roles").shape, structural(path, "positions").shape
      ((3, 8), (3, 2))
    """
    if structure not in STRUCTURES:
        raise InputError(unknown("structure", structure, STRUCTURES))
    parts = []
    if structure != "roles":
        parts.append(positions(graph))
    if structure != "positions":
        parts.append(roles(graph))
    return np.concatenate(parts, axis=1)


def positions(graph: Graph, dimensions: int = _DIMENSIONS) -> np.ndarray:
    """Leading eigenvectors of D^−1/2 (A + I) D^−1/2, each times √N, [N, F], float32.

    Of N nodes there are at most N − 1 and at most `dimensions`, by falling eigenvalue, without the
    first, which tells degrees. The first entry that is not small is positive. They tell where a
    node lies, and mean nothing in another graph.
    """
    normalised = _normalised(graph)
    number = graph.num_nodes
    count = min(dimensions + 1, number)
    if number <= 4 * count:  # the sparse solver wants a large matrix
        values, vectors = np.linalg.eigh(normalised.toarray())
    else:
        start = np.random.default_rng(0).normal(size=number)
        values, vectors = sparse.linalg.eigsh(normalised, k=count, which="LA", v0=start)
    order = np.argsort(-values, kind="stable")[:count][1:] if number > 1 else [0]
    vectors = vectors[:, order]
    large = np.argmax(np.abs(vectors) > 0.1 * np.abs(vectors).max(axis=0), axis=0)
    signs = np.sign(vectors[large, np.arange(vectors.shape[1])])
    return (vectors * signs * np.sqrt(number)).astype(np.float32)


def roles(graph: Graph) -> np.ndarray:
    """What part each node plays, [N, 8], float32, alike in every graph; weights and directions
    do not count.

    log(1 + degree); mean, deviation and maximum of the neighbours' log(1 + degree); the share of
    pairs of neighbours that are joined; the probabilities that a random walk is back after 2, 3
    and 4 steps. A node without neighbours has zeros.
    """
    number = graph.num_nodes
    ones = np.ones(graph.num_edges)
    joined = sparse.csr_array((ones, (graph.receivers, graph.senders)), (number, number))
    joined = sparse.csr_array(joined.maximum(joined.T))
    degree = joined.sum(axis=1)
    inverse = np.divide(1.0, degree, out=np.zeros(number), where=degree > 0)
    log = np.log1p(degree)
    mean, square = inverse * (joined @ log), inverse * (joined @ log**2)
    highest = np.zeros(number)
    np.maximum.at(highest, graph.receivers, log[graph.senders])
    walk = sparse.csr_array(joined * inverse[:, None])
    back_walk = sparse.csr_array(walk.T)
    triangles, back = np.zeros(number), np.zeros((3, number))
    back[0] = walk.multiply(back_walk).sum(axis=1)
    # Walks of two steps, for as many nodes at a time as memory allows.
    ends = np.cumsum(joined @ degree)
    begin = 0
    while begin < number:
        before = ends[begin - 1] if begin else 0.0
        end = max(int(np.searchsorted(ends, before + _ENTRIES, side="right")), begin + 1)
        rows = slice(begin, end)
        triangles[rows] = (joined[rows] @ joined).multiply(joined[rows]).sum(axis=1)
        two = walk[rows] @ walk
        back[1, rows] = two.multiply(back_walk[rows]).sum(axis=1)
        # Reversed, a walk over undirected edges weighs degree over degree.
        back[2, rows] = (two.multiply(two) * inverse[None]).sum(axis=1) * degree[rows]
        begin = end
    pairs = degree * (degree - 1)
    clustering = np.divide(triangles, pairs, out=np.zeros(number), where=pairs > 0)
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    return np.stack([log, mean, deviation, highest, clustering, *back], axis=1).astype(np.float32)


def _normalised(graph: Graph) -> sparse.csr_array:
    number = graph.num_nodes
    rows = np.append(graph.receivers, np.arange(number))
    columns = np.append(graph.senders, np.arange(number))
    weights = np.append(graph.edge_weight.astype(np.float64), np.ones(number))
    matrix = sparse.csr_array((weights, (rows, columns)), (number, number))
    matrix = (matrix + matrix.T) / 2  # directed edges count half in each direction
    scale = 1.0 / np.sqrt(matrix.sum(axis=1))
    return sparse.csr_array(matrix * scale[:, None] * scale[None])
