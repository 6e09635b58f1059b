"""Growth of memory over N, and the largest N that it leads to."""

import pytest

from benchmarks.parts import memory
from benchmarks.suite import Options


@pytest.mark.parametrize("power", [1, 2])
def test_growth_finds_what_memory_was_made_of(power):
    def taken(size: int) -> float:
        return 3e6 + 24.0 * size**power

    sizes = [100, 1000, 2000]
    growth = memory.fit([(size, taken(size), 4.0) for size in sizes], power)
    assert growth is not None
    assert growth.slope == pytest.approx(24.0)
    largest = growth.largest(1e9)
    assert taken(largest) <= 1e9 < taken(largest + 2)
    assert growth.seconds_per_pair == 4.0 / 2000**2
    assert growth.largest(1e6) == 0


@pytest.mark.parametrize(("extra", "largest", "slope"), [(0.0, 7905, 16.0), (0.2e9, 7157, 19.8178)])
def test_the_largest_size_is_confirmed_or_corrected_by_a_run(monkeypatch, extra, largest, slope):
    def taken(form, num_rows, options):
        return 16.0 * num_rows**2 + (extra if num_rows > 2000 else 0.0), 1.0

    monkeypatch.setattr(memory, "bytes_and_seconds", taken)
    rows = memory.rows_of_form("dense", [1000, 2000], 2, Options(limit_gb=1.0))
    assert [row["rows"] for row in rows] == [1000, 2000, largest, 7509]
    assert rows[2]["bytes_per_pair"] == pytest.approx(slope, rel=1e-4)
    assert rows[2]["confirmed"] is (extra == 0.0)
    assert rows[3]["above_floor_mb"] == pytest.approx((16.0 * 7509**2 + extra) / 1e6)


def test_memory_that_does_not_grow_predicts_nothing():
    assert memory.fit([(100, 5e6, 1.0), (200, 5e6, 1.0)], 1) is None
