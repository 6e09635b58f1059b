"""The product of node features and a layer's kernel, dense or sparse, with masked dimensions."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from mmix_jax.ops.arrays import floats, numbers_of
from mmix_jax.ops.sparse import Array, SparsePattern, sparse_multiply, sparse_pattern

# Shares of non-zero features below which gathered rows beat a matrix product on a CPU.
_SPARSE_BELOW = 0.01


class SparseFeatures(NamedTuple):
    """x [N, F] by its non-zero entries: where they stand, and their values."""

    pattern: SparsePattern
    values: Array


def stored_features(x: np.ndarray, num_rows: int) -> "np.ndarray | SparseFeatures":
    """x [N, F] padded with zero rows to `num_rows`; sparse where under 1 % of it is not zero."""
    x = np.asarray(numbers_of("features", x))
    rows, columns = np.nonzero(x)
    if rows.size < _SPARSE_BELOW * x.size:
        pattern = sparse_pattern(rows, columns, num_rows, x.shape[1])
        return SparseFeatures(pattern, x[rows, columns])
    return np.pad(x, ((0, num_rows - x.shape[0]), (0, 0)))


class Linear(nn.Module):
    """X diag(m) W for features [N, F] or `SparseFeatures`; W [F, width], Xavier-uniform, no bias.

    A mask m [F] acts on the rows of W, which is the same and costs F·D whatever the graph.
    """

    width: int

    @nn.compact
    def __call__(
        self,
        x: "jax.Array | SparseFeatures",
        mask: jax.Array | None = None,
    ) -> jax.Array:
        init = nn.initializers.xavier_uniform()
        x = x if isinstance(x, SparseFeatures) else floats("features", x)
        kernel: Any = self.param("kernel", init, (num_features_of(x), self.width))
        kernel = kernel if mask is None else mask[:, None] * kernel
        if isinstance(x, SparseFeatures):
            return sparse_multiply(x.pattern, x.values, kernel)
        return x @ kernel


def num_rows_of(x: "jax.Array | SparseFeatures") -> int:
    """N of features [N, F], dense or sparse."""
    return x.pattern.shape[0] if isinstance(x, SparseFeatures) else x.shape[0]


def num_features_of(x: "jax.Array | SparseFeatures") -> int:
    """F of features [N, F], dense or sparse."""
    return x.pattern.shape[1] if isinstance(x, SparseFeatures) else x.shape[-1]
