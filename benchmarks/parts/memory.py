"""Part `memory`: peak memory of the loss with its gradient over N, and the largest N that fits.

Every figure is a process of its own: its largest resident set less that after its imports, or on an
accelerator the device's own peak. Two sizes give the growth, by row for the streamed form and by
pair for the dense ones; where it leads is confirmed by one run just below, unless that takes too
long. A run that takes more corrects the growth.
"""

import time
from typing import NamedTuple

from benchmarks import suite, timing
from benchmarks.suite import Options, Row

DIMENSION = 128
BELOW = 0.95  # of the predicted N: what is confirmed
MAX_SECONDS = 240.0


class Growth(NamedTuple):
    """Memory `start + slope · N^power` in bytes, and the seconds that N² costs."""

    start: float
    slope: float
    power: int
    seconds_per_pair: float

    def largest(self, limit: float) -> int:
        """The largest N within `limit` bytes; 0 where not even the start fits."""
        return int(max((limit - self.start) / self.slope, 0.0) ** (1 / self.power))


def fit(measured: list[tuple[int, float, float]], power: int) -> Growth | None:
    """Growth through the last two of (N, bytes, seconds); None where memory does not grow."""
    (small, low, _), (large, high, seconds) = measured[-2:]
    slope = (high - low) / (large**power - small**power)
    if slope <= 0:
        return None
    return Growth(high - slope * large**power, slope, power, seconds / large**2)


def peak_of_loss(form: str, num_rows: int, dimension: int, block_size: int) -> dict[str, float]:
    """One call of the loss with its gradient in this process, compilation included."""
    import numpy as np

    draw, shape = np.random.default_rng(0), (num_rows, dimension)
    if form == "torch":
        from benchmarks.torch import forms, side

        floor = timing.resident_mb()
        u, v = (draw.standard_normal(shape, np.float32) for _ in range(2))
        begin = time.perf_counter()
        forms.info_nce_side(u, v, 1.0, "full", gradient=True)()
        seconds, device = time.perf_counter() - begin, side.device_peak()
    else:
        import jax

        from mmix_jax.losses import info_nce

        floor = timing.resident_mb()
        u, v = (draw.standard_normal(shape, np.float32) for _ in range(2))

        def loss(u, v):
            return info_nce(u, v, block_size=block_size if form == "streamed" else None)

        begin = time.perf_counter()
        jax.block_until_ready(jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(u, v))
        seconds, device = time.perf_counter() - begin, timing.device_peak()
    return {"seconds": seconds, "floor_mb": floor, "peak_mb": timing.resident_mb(), **device}


def bytes_and_seconds(form: str, num_rows: int, options: Options) -> tuple[float, float]:
    """Bytes above the imports, and seconds with compilation, of one call in its own process."""
    suite.say(f"{form}, N={num_rows}")
    block_size = suite.block_size_of(options)
    peak = timing.apart(peak_of_loss, form, num_rows, DIMENSION, block_size)
    above = peak.get("device_peak_mb", peak["peak_mb"] - peak["floor_mb"])
    return 1e6 * above, peak["seconds"]


def row_of(form: str, num_rows: int, nbytes: float, seconds: float) -> Row:
    row: Row = {"what": form, "rows": num_rows, "dimension": DIMENSION}
    return row | {"above_floor_mb": nbytes / 1e6, "seconds": seconds, "n": 1}


def predicted(growth: Growth, limit: float) -> Row:
    """The largest N within the limit, and the growth that says so."""
    by_row = {"kb_per_row": growth.slope / 1e3}
    return {
        "rows": growth.largest(limit),
        **(by_row if growth.power == 1 else {"bytes_per_pair": growth.slope}),
    }


def rows_of_form(form: str, sizes: list[int], power: int, options: Options) -> list[Row]:
    """A row per N, and one of the largest N within the limit."""
    measured = [(size, *bytes_and_seconds(form, size, options)) for size in sizes]
    rows = [row_of(form, *figures) for figures in measured]
    growth = fit(measured, power) if len(measured) > 1 else None
    if growth is None:
        return rows
    limit = 1e9 * options.limit_gb
    row: Row = {"what": f"{form}, largest N", "rows": 0, "dimension": DIMENSION}
    row |= {**predicted(growth, limit), "limit_gb": options.limit_gb, "n": 1}
    tried = int(BELOW * row["rows"])
    rows.append(row)
    if tried > sizes[-1] and growth.seconds_per_pair * tried**2 < MAX_SECONDS:
        nbytes, seconds = bytes_and_seconds(form, tried, options)
        row["confirmed"] = nbytes <= limit
        rows.append(row_of(form, tried, nbytes, seconds))
        corrected = fit([measured[-1], (tried, nbytes, seconds)], power)
        if not row["confirmed"] and corrected is not None:  # small sizes grow more slowly
            row |= predicted(corrected, limit)
    return rows


def measure(options: Options) -> list[Row]:
    """Streamed, dense, and PyTorch's dense form."""
    streamed, dense = [10_000, 20_000, 40_000], [4000, 8000]
    if options.quick:
        streamed, dense = [200, 400], [200, 400]
    if options.rows:
        streamed = dense = sorted(options.rows)
    if options.quick:  # nothing to confirm: of so little memory most is the compiler's
        options = options._replace(limit_gb=1e-6)
    rows = rows_of_form("streamed", streamed, 1, options)
    rows += rows_of_form("dense", dense, 2, options)
    if suite.HAVE_TORCH:
        rows += rows_of_form("torch", dense, 2, options)
    return rows
