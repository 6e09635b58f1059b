"""Sparse products against dense ones: values, gradients, several matrices, odd patterns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.ops.sparse import sparse_multiply, sparse_pattern


def problem(seed, shape=(70, 30), num_entries=400):
    """A pattern with empty rows and columns, repeats, and one row beyond a whole chunk."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(3, shape[0], num_entries)
    rows[:75] = 5
    columns = rng.integers(0, shape[1] - 2, num_entries)
    return sparse_pattern(rows, columns, *shape), rows, columns, rng


def dense(rows, columns, values, shape):
    return jnp.zeros(shape).at[rows, columns].add(values)


def test_product_and_gradients_are_those_of_the_dense_matrix(x64):
    shape = (70, 30)
    pattern, rows, columns, rng = problem(0)
    values, x = rng.normal(size=rows.size), rng.normal(size=(shape[1], 4))
    cotangent = rng.normal(size=(shape[0], 4))

    def by_pattern(values, x):
        return jnp.sum(sparse_multiply(pattern, values, x) * cotangent)

    def by_matrix(values, x):
        return jnp.sum((dense(rows, columns, values, shape) @ x) * cotangent)

    np.testing.assert_allclose(
        sparse_multiply(pattern, jnp.asarray(values), jnp.asarray(x)),
        dense(rows, columns, values, shape) @ x,
        rtol=1e-12,
        atol=1e-12,
    )
    found = jax.jit(jax.grad(by_pattern, argnums=(0, 1)))(values, x)
    wanted = jax.grad(by_matrix, argnums=(0, 1))(values, x)
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-12)


def test_several_matrices_share_a_pattern(x64):
    pattern, rows, _, rng = problem(1)
    values = jnp.asarray(rng.normal(size=(rows.size, 3)))
    x = jnp.asarray(rng.normal(size=(30, 3, 2)))
    together = sparse_multiply(pattern, values, x)
    for h in range(3):
        alone = sparse_multiply(pattern, values[:, h], x[:, h])
        np.testing.assert_allclose(together[:, h], alone, rtol=1e-13)


@pytest.mark.parametrize("rows", [[], [0], [2, 2, 2, 2, 2]])
def test_few_entries(rows):
    columns = np.arange(len(rows)) % 2
    pattern = sparse_pattern(np.array(rows, int), columns, 3, 2)
    x = jnp.arange(4.0).reshape(2, 2) + 1
    found = sparse_multiply(pattern, jnp.ones(len(rows)), x)
    np.testing.assert_array_equal(found, dense(np.array(rows, int), columns, 1.0, (3, 2)) @ x)


def test_every_entry_stands_once_and_slots_waste_little():
    pattern, rows, columns, _ = problem(2, shape=(300, 300), num_entries=3000)
    for slots, index in ((pattern.by_rows, columns), (pattern.by_columns, rows)):
        entries = np.concatenate([part.ravel() for part in slots.entries])
        assert sorted(entries[entries < rows.size]) == list(range(rows.size))
        assert entries.size < 1.4 * rows.size
        for part, where in zip(slots.entries, slots.sources[0], strict=True):
            np.testing.assert_array_equal(where[part < rows.size], index[part[part < rows.size]])


def test_a_row_of_hundreds_takes_several_rounds():
    columns = np.arange(600) % 7
    pattern = sparse_pattern(np.repeat([1, 4], [599, 1]), columns, 6, 7)
    assert len(pattern.by_rows.sources) == 4
    found = sparse_multiply(pattern, jnp.ones(600), jnp.eye(7))
    np.testing.assert_array_equal(found[1], np.bincount(columns[:599], minlength=7))
    np.testing.assert_array_equal(found[4], np.eye(7)[columns[599]])
    np.testing.assert_array_equal(found[0], np.zeros(7))
