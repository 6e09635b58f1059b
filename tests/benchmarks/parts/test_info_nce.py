"""The loss beside plain products: counts, agreement of forms, and what fits."""

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.parts import info_nce
from benchmarks.suite import Options

# Rates that no machine has, so that shares of them are seen to be computed.
TINY = Options(quick=True, repeats=1, peaks={"float32": 1e18})


def test_losses_agree_and_their_products_are_counted(capsys):
    rows = info_nce.rows_of_size(40, 8, "float32", TINY)
    losses = [row for row in rows if "difference" in row]
    assert max(row["difference"] for row in losses) < 1e-5
    by_case = {(row["what"], row["negatives"]): row for row in losses}
    assert {what.split(",")[0] for what, _ in by_case} >= {"streamed", "dense"}
    row = by_case["streamed, value and gradient", "full"]
    assert row["flops"] == 2 * 8 * 40**2 * 8
    assert row["share_of_peak"] == pytest.approx(row["flops"] / row["seconds"] / 1e18)
    alone = {row["what"]: row["seconds"] for row in rows if "tile" in row}
    similarity, gradient = alone.values()
    assert row["products_ratio"] == pytest.approx(row["seconds"] / (4 * similarity + 4 * gradient))


def test_plain_products_are_all_computed():
    draw = np.random.default_rng(0)
    x, y = (jnp.asarray(draw.standard_normal((24, 4), np.float32)) for _ in range(2))
    similarities, gradients = info_nce.plain_products(x, y, 8)
    # What is left at the end is the last tile; every tile adds to the gradients.
    np.testing.assert_allclose(similarities(), x[16:] @ y[16:].T, rtol=1e-5)
    np.testing.assert_allclose(
        gradients(), jnp.broadcast_to(3 * jnp.sum(y, axis=0), (8, 4)), rtol=1e-4
    )


def test_dense_forms_are_left_out_where_they_do_not_fit():
    cases = info_nce.cases_of(20_000, "float32", Options(limit_gb=8.0))
    assert {form for form, _, _ in cases} == {"streamed"}
    fitting = info_nce.cases_of(10_000, "float32", Options(limit_gb=8.0))
    assert "dense" in {form for form, _, _ in fitting}
