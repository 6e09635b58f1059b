"""The printer of tables, and the turns that sides take."""

from benchmarks import suite
from benchmarks.suite import Options


def test_rows_of_different_columns_make_one_table():
    rows = [
        {"what": "a", "rows": 20_000, "seconds": 0.12345, "flops": 1.0, "gflops": 12.34},
        {"what": "longer", "rows": 10, "seconds": 312.4, "share_of_peak": 0.5, "odd_key": True},
    ]
    lines = suite.text_table(rows).splitlines()
    assert lines[0].split() == ["what", "N", "s", "GFLOP/s", "share", "of", "peak", "odd", "key"]
    assert lines[1].split() == ["a", "20,000", "0.123", "12.3"]
    assert lines[2].split() == ["longer", "10", "312", "50", "%", "yes"]
    assert len({len(line.rstrip()) for line in lines[::2]}) == 1


def test_alternatives_take_turns():
    order: list[str] = []
    sides = {name: (lambda name=name: order.append(name)) for name in "ab"}
    medians = suite.median_seconds(sides, Options(repeats=2), warm_up=1)
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert set(medians) == {"a", "b"}
