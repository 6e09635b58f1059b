"""What a fold does to its features. Its rows are tested with the protocol, in cross-validation."""

import numpy as np

from mmix_jax.evaluation.folds import inner_seed, standardised


def test_standardised_by_the_training_part():
    rng = np.random.default_rng(8)
    train = (3.0 + 7.0 * rng.normal(size=(40, 3))).astype(np.float32)
    test = rng.normal(size=(5, 3)).astype(np.float32)
    # Two columns that are constant in training: exactly, and up to the rounding of float32.
    nearly = np.where(np.arange(40) % 2, 0.3, np.nextafter(np.float32(0.3), np.float32(1)))
    train = np.column_stack([train, np.full(40, 5.0), nearly]).astype(np.float32)
    test = np.column_stack([test, np.arange(5.0), np.arange(5.0)]).astype(np.float32)
    x, queries = standardised(train, test)
    assert x.dtype == queries.dtype == np.float64
    np.testing.assert_allclose(x[:, :3].mean(axis=0), 0.0, atol=1e-14)
    np.testing.assert_allclose(x[:, :3].std(axis=0), 1.0, rtol=1e-14)
    wide, others = train[:, :3].astype(np.float64), test[:, :3].astype(np.float64)
    expected = (others - wide.mean(axis=0)[None, :]) / wide.std(axis=0)[None, :]
    np.testing.assert_allclose(queries[:, :3], expected, rtol=1e-13)
    assert not x[:, 3:].any()
    assert not queries[:, 3:].any()


def test_float64_columns_are_constant_by_their_own_rounding():
    column = 1.0 + 1e-9 * np.arange(8.0)[:, None]
    x, _ = standardised(column, column)
    np.testing.assert_allclose(x.std(axis=0), 1.0, rtol=1e-6)


def test_every_inner_shuffle_is_its_own():
    seeds = {inner_seed(seed, fold) for seed in range(20) for fold in range(10)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**32 for seed in seeds)
