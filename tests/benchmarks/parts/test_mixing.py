"""Mixing rules: products counted, and both sides' mixtures."""

from functools import partial

import pytest

from benchmarks.parts import mixing
from benchmarks.suite import Options

TINY = Options(quick=True, repeats=1)


@pytest.mark.parametrize(
    ("rule", "candidates", "streamed", "expected"),
    [
        ("mo", "all", False, (2, 6)),
        ("mo", "op", True, (2, 7)),
        ("binary", "all", True, (1, 1)),
        ("random", "all", False, (1, 2)),
        ("random", "op", False, (2, 3)),
        ("none", "op", True, (0, 0)),
    ],
)
def test_products_of_mixing(rule, candidates, streamed, expected):
    assert mixing.products(rule, candidates, streamed=streamed) == expected


def test_mixtures_of_both_sides_agree(capsys):
    pytest.importorskip("torch")
    rows = []
    for mix, torch_mix in _mixing_sides():
        for rule in ("mo", "mp"):
            rows += mixing.rows_of_rule(rule, mixing.draw_inputs(30, 8), mix, torch_mix, TINY)
    assert len(rows) == 12
    assert max(row["difference"] for row in rows) < 1e-5


def _mixing_sides():
    """(library, torch) along edges, and over pairs with both kinds of candidates."""
    from benchmarks.torch import forms
    from mmix_jax.mixing import mix_edges, mix_pairs

    senders, receivers = mixing.draw_edges(30)
    ends = {"senders": senders, "receivers": receivers}
    torch_ends = {name: forms.tensor(x).long() for name, x in ends.items()}
    yield (
        partial(mix_edges, **ends, self_weight=0.2),
        partial(forms.mix_edges, **torch_ends, self_weight=0.2),
    )
    for candidates, threshold in (("all", None), ("op", 0.3)):
        yield (
            partial(mix_pairs, candidates=candidates, threshold=threshold or 0.0),
            partial(forms.mix_pairs, threshold=threshold, self_weight=0.2),
        )
