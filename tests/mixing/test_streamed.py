"""Candidates merged over tiles equal float64 loops over pairs, at every temperature and size."""

import functools
import math

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest

import naive
from mmix_jax.mixing import mix_pairs
from mmix_jax.mixing.streamed import best_candidate, cut, joined, merge_candidates
from mmix_jax.ops.blocks import even_blocks

pytestmark = pytest.mark.slow

TEMPERATURES = [0.002, 0.02, 0.3, 5.0]
KNOWN = (0.02, 5.0)  # as Python numbers too: the sums then go without a running maximum
# rows, columns, tile, threshold
SIZES = {
    "several tiles": (7, 11, 4, 0.1),
    "all candidates": (11, 11, 5, None),
    "one tile": (5, 6, 64, 0.0),
    "one row": (1, 9, 2, None),
    "itself alone": (1, 1, 1, None),
    "tiles of one": (3, 3, 1, -0.2),
    "out of reach": (4, 4, 3, 1.5),
}


def make_inputs(num_rows, num_columns, seed=0):
    """Unit vectors, sources, and indices: rows are the last columns, every fifth column is none."""
    draws = np.random.default_rng(seed)
    index = np.arange(num_columns)
    return {
        "rows": naive.normalise(draws.normal(size=(num_rows, 3))),
        "columns": naive.normalise(draws.normal(size=(num_columns, 3))),
        "source": draws.normal(size=(num_columns, 4)),
        "row_index": index[num_columns - num_rows :],
        "column_index": np.where(index % 5 == 3, -1, index),
    }


def merge_by_loops(inputs, temperature, threshold):
    """Score, mean and count of each row's candidates (eq. 5, 6), in float64."""
    scores, means, counts = [], [], []
    for i, own in enumerate(inputs["row_index"]):
        found = {}
        for j, index in enumerate(inputs["column_index"]):
            score = naive.dot(inputs["rows"][i], inputs["columns"][j])
            if index >= 0 and index != own and (threshold is None or score >= threshold):
                found[j] = score / temperature
        weights = naive.softmax_over(found) if found else {}
        mean = sum((w * inputs["source"][j] for j, w in weights.items()), np.zeros(4))
        top = max(found.values(), default=0.0)
        scores.append(top + math.log(sum(math.exp(s - top) for s in found.values()) or 1.0))
        means.append(mean)
        counts.append(len(found))
    return np.array(scores), np.array(means), np.array(counts)


def as_jax(inputs):
    return {name: jnp.asarray(value) for name, value in inputs.items()}


@functools.cache
def merged_in_all_sizes():
    def merge_all(problems):
        return {
            name: merge_candidates(
                **problems[name], temperature=0.3, threshold=threshold, block_size=block_size
            )
            for name, (*_, block_size, threshold) in SIZES.items()
        }

    problems = {name: as_jax(make_inputs(*size[:2])) for name, size in SIZES.items()}
    return jax.jit(merge_all)(problems)


@pytest.mark.parametrize("name", SIZES)
def test_merged_candidates_equal_loops(x64, name):
    num_rows, num_columns, _, threshold = SIZES[name]
    merged = merged_in_all_sizes()[name]
    expected = merge_by_loops(make_inputs(num_rows, num_columns), 0.3, threshold)
    for value, wanted in zip(merged, expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-12)


def loss_of(merged, cotangents):
    by_score, by_mean = cotangents
    return jnp.sum(merged.score * by_score) + jnp.sum(merged.mean * by_mean)


def make_cotangents():
    draws = np.random.default_rng(8)
    return draws.normal(size=7), draws.normal(size=(7, 4))


@functools.cache
def results_by_temperature(precision):
    """Merged candidates and all gradients at every temperature, known and traced."""
    fixed = as_jax(make_inputs(7, 11))
    varied = {name: fixed.pop(name) for name in ("rows", "columns", "source")}
    cotangents = jax.tree.map(jnp.asarray, make_cotangents())

    def run(varied, temperature):
        def loss(varied, temperature):
            merged = merge_candidates(
                **varied, **fixed, temperature=temperature, threshold=-0.5, block_size=4
            )
            return loss_of(merged, cotangents), merged

        if isinstance(temperature, float):
            return jax.grad(lambda v: loss(v, temperature), has_aux=True)(varied)
        return jax.grad(loss, argnums=(0, 1), has_aux=True)(varied, temperature)

    known = jax.jit(lambda varied: {t: run(varied, t) for t in KNOWN})(varied)
    traced = jax.jit(run)
    return known, {t: traced(varied, jnp.asarray(t)) for t in TEMPERATURES}


def slope_by_loops(temperature, direction, by_temperature):
    """The loss along a direction by central differences of the loops."""
    by_score, by_mean = make_cotangents()
    step = 1e-5 * temperature

    def loss(t):
        inputs = make_inputs(7, 11)
        inputs |= {name: inputs[name] + t * change for name, change in direction.items()}
        score, mean, _ = merge_by_loops(inputs, temperature + t * by_temperature, -0.5)
        return np.sum(score * by_score) + np.sum(mean * by_mean)

    return (loss(step) - loss(-step)) / (2 * step)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradients_equal_differences_of_loops(x64, temperature):
    known, traced = results_by_temperature("float64")
    (gradients, by_temperature), _ = traced[temperature]
    draws = np.random.default_rng(4)
    inputs = make_inputs(7, 11)
    for name in ("rows", "columns", "source"):
        direction = {name: draws.normal(size=inputs[name].shape)}
        expected = slope_by_loops(temperature, direction, 0.0)
        slope = np.sum(gradients[name] * direction[name])
        np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-8, err_msg=name)
    expected = slope_by_loops(temperature, {}, 1.0)
    np.testing.assert_allclose(by_temperature, expected, rtol=1e-6, atol=1e-8)
    if temperature in KNOWN:
        for name, value in known[temperature][0].items():
            np.testing.assert_allclose(value, gradients[name], atol=1e-11, err_msg=name)


def assert_values_equal_loops(results, tolerance):
    for temperature, (_, merged) in results.items():
        expected = merge_by_loops(make_inputs(7, 11), temperature, -0.5)
        error = tolerance / min(temperature, 1.0)
        for value, wanted in zip(merged, expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=error, atol=error)


def test_values_equal_loops_at_every_temperature(x64):
    for results in results_by_temperature("float64"):
        assert_values_equal_loops(results, 1e-14)


def test_float32_neither_overflows_nor_underflows():
    for results in results_by_temperature("float32"):
        assert_values_equal_loops(results, 2e-6)


def test_constant_weights_have_no_gradient_and_sources_have(x64):
    inputs = as_jax(make_inputs(7, 11))
    cotangents = jax.tree.map(jnp.asarray, make_cotangents())

    def gradients(constant):
        def loss(rows, columns, source, temperature):
            given = inputs | {"rows": rows, "columns": columns, "source": source}
            merged = merge_candidates(
                **given, temperature=temperature, block_size=4, constant=constant
            )
            return loss_of(merged, cotangents)

        names = ("rows", "columns", "source")
        arguments = *(inputs[name] for name in names), jnp.asarray(0.5)
        return jax.grad(loss, argnums=(0, 1, 2, 3))(*arguments)

    free, constant = jax.jit(lambda: [gradients(False), gradients(True)])()
    np.testing.assert_allclose(constant[2], free[2], atol=1e-12)
    for place in (0, 1, 3):
        assert np.all(constant[place] == 0) and np.any(free[place] != 0)


def test_without_a_temperature_the_mean_is_plain(x64):
    inputs = make_inputs(5, 9)
    merge = functools.partial(merge_candidates, temperature=None, block_size=4)
    merged = jax.jit(lambda inputs: merge(**inputs))(as_jax(inputs))
    for i, own in enumerate(inputs["row_index"]):
        others = [j for j, index in enumerate(inputs["column_index"]) if index not in (-1, own)]
        np.testing.assert_allclose(merged.mean[i], inputs["source"][others].mean(axis=0))
        np.testing.assert_allclose(merged.score[i], math.log(len(others)))


def test_half_precision_is_summed_in_float32():
    """e^20 exceeds the largest half-precision number."""
    inputs = as_jax(make_inputs(7, 11))
    halves = {name: inputs[name].astype(jnp.float16) for name in ("rows", "columns", "source")}
    merge = jax.jit(lambda inputs: merge_candidates(**inputs, temperature=0.05, block_size=4))
    merged = merge(inputs | halves)
    assert merged.mean.dtype == jnp.float16
    expected = merge_by_loops(jax.tree.map(np.asarray, inputs | halves), 0.05, None)
    np.testing.assert_allclose(merged.mean, expected[1], atol=4e-3)


def test_of_equal_candidates_the_lowest_index_is_best(x64):
    """Columns 2, 3, 6 and 8 are equal; 3 is nobody's candidate, and the rows are 2, 6 and 7."""
    columns = naive.normalise(np.random.default_rng(1).normal(size=(9, 3)))
    columns[[3, 6, 8]] = columns[2]
    index = np.array([2, 6, 7])
    inputs = {
        "rows": columns[index],
        "columns": columns,
        "source": np.arange(9.0)[:, None],
        "row_index": index,
        "column_index": np.where(np.arange(9) == 3, -1, np.arange(9)),
    }
    for block_size in (2, 9):
        best = jax.jit(functools.partial(best_candidate, threshold=0.9, block_size=block_size))
        mean, count = best(**as_jax(inputs))[1:]
        np.testing.assert_array_equal(mean[:, 0], [6, 2, 0])
        np.testing.assert_array_equal(count, [1, 1, 0])


@pytest.mark.parametrize("num_rows", [1, 7, 8, 100, 2708])
@pytest.mark.parametrize("block_size", [1, 8, 30, 512, 4096])
def test_blocks_hold_all_rows_and_little_padding(num_rows, block_size):
    num_blocks, size = even_blocks(num_rows, block_size)
    assert 1 <= size <= min(block_size, num_rows)
    assert num_rows <= num_blocks * size < num_rows + 8 * num_blocks
    x = jnp.arange(3 * num_rows).reshape(num_rows, 3) if num_rows == 7 else jnp.arange(num_rows)
    blocks = cut(x, block_size)
    assert blocks.shape == (num_blocks, size, *x.shape[1:])
    np.testing.assert_array_equal(joined(blocks, num_rows), x)


# Memory


def intermediate_sizes(jaxpr):
    """The number of elements of every array that a jaxpr computes, loops and calls included."""
    for equation in jaxpr.eqns:
        yield from (math.prod(variable.aval.shape) for variable in equation.outvars)
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from intermediate_sizes(inner)


def gradient_of_merged(inputs):
    def loss(rows, columns, source):
        given = inputs | {"rows": rows, "columns": columns, "source": source}
        merged = merge_candidates(**given, threshold=0.1, temperature=0.3, block_size=64)
        return jnp.sum(merged.mean**2) + jnp.sum(merged.score)

    return jax.grad(loss, argnums=(0, 1, 2))(inputs["rows"], inputs["columns"], inputs["source"])


def test_no_array_is_larger_than_a_tile_or_the_vectors():
    inputs = as_jax(make_inputs(1500, 1500))
    sizes = list(intermediate_sizes(jax.make_jaxpr(gradient_of_merged)(inputs).jaxpr))
    assert 64 * 60 <= max(sizes) <= 1536 * 4


@pytest.mark.parametrize("rule", ["mo", "binary"])
def test_memory_grows_linearly(rule):
    """Twice the rows take twice the memory, gradients and statistics included."""

    def bytes_of(num_rows):
        def loss(z):
            mixture = mix_pairs(z, rule=rule, threshold=0.0, block_size=64)
            return jnp.sum(mixture.z_mixed**2), mixture.stats

        z = jax.ShapeDtypeStruct((num_rows, 8), jnp.float32)
        compiled = jax.jit(jax.grad(loss, has_aux=True)).lower(z).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert bytes_of(2048) <= 2.1 * bytes_of(1024)
