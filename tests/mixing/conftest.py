"""What the tests on golden numbers share."""

import jax
import pytest


@pytest.fixture(params=["f64", "f32"])
def precision(request):
    """The prefix of the golden arrays, and JAX in that precision."""
    with jax.enable_x64(request.param == "f64"):
        yield request.param
