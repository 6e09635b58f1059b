"""The power series beside the library's diffusion."""

import numpy as np
import pytest

from benchmarks.parts import diffusion


@pytest.mark.parametrize("kind", ["ppr", "heat"])
def test_power_series_reaches_the_tolerance(kind):
    coefficients = diffusion.power_coefficients(kind)
    assert np.sum(coefficients) >= 1 - diffusion.TOLERANCE
    assert np.sum(coefficients[:-1]) < 1 - diffusion.TOLERANCE
