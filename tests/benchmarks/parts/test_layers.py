"""What convolutions are timed and counted."""

from benchmarks.parts import layers
from benchmarks.suite import Options


def test_a_value_and_both_gradients_are_three_products():
    value, gradients = layers.measure(Options(quick=True, repeats=1))
    # Two images of 4 × 4: 16 places, 9 · 8 inputs, 8 outputs, a product and a sum each.
    assert value["flops"] == 2 * 2 * 16 * 9 * 8 * 8
    assert gradients["flops"] == 3 * value["flops"]
    assert value["seconds"] > 0 and value["n"] == 1
