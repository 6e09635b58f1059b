"""What the paper's theorem 3.2 says of sizes."""

import math
from typing import Any

from mmix_jax.fields import MOST_ROWS, POSITIVE, between
from mmix_jax.ops.numbers import real_number, whole_number


def sample_size(dimension: int, *, delta: float, mu: float = 1.0, C: float = 1.0) -> int:
    """The least N with N > (μ²/C) (log(7 + 1/N) + 2 log F' − log δ) (eq. 12).

    N stands on both sides; the right one falls as N rises, so that the least N is found by halving.
    The theorem (3.2 of Zhang et al., KDD 2022) assumes an output dimension F' > N, and leaves its
    constants μ and C unknown: that N grows with log F' is what it says, no single number.

    Args:
      dimension: F', the encoder's output dimension.
      delta: δ in (0, 1).
      mu, C: its constants, positive.

    Returns:
      N, in samples.

    Raises:
      ValueError: an argument is out of range, or N is beyond 2**31 − 1.

    Example:
      >>> from mmix_jax import theory
      >>> theory.sample_size(256, delta=0.1), theory.sample_size(512, delta=0.1)
      (16, 17)
    """
    F = whole_number("dimension", dimension, 1, "256 is usual")
    delta = real_number("delta", delta, between(0.0, 1.0), "0.1 is usual")
    mu = real_number("mu", mu, POSITIVE, "1 is usual")
    factor = mu * mu / real_number("C", C, POSITIVE, "1 is usual")  # infinite ones are refused
    if not 0.0 < delta < 1.0:
        raise ValueError(f"delta must lie between 0 and 1, found {delta}; 0.1 is usual")

    def enough(N: int) -> Any:
        return factor * (math.log(7 + 1 / N) + 2 * math.log(F) - math.log(delta)) < N

    low, high = 0, 1  # not enough, enough
    while not enough(high):
        low, high = high, 2 * high
        if low > MOST_ROWS:
            raise ValueError(f"N must be below 2**31, found more; lower mu ({mu}) or raise C ({C})")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
