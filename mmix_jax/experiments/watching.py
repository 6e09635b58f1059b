"""Warnings of a training that does not do what is wanted of it."""

import logging

from mmix_jax.mixing import Mixing
from mmix_jax.training.loop import Writer

_ALL_BUT_UNMIXED = 0.95
# A loss that moved by less than this share in so many evaluations stands still.
_STILL, _JUDGED_AT = 1e-3, 10
# Over so many candidates a mixture whose weights differ by e² at most is all but their mean.
_MANY_CANDIDATES = 500
log = logging.getLogger(__name__)


def warn_of_flat_weights(mixing: Mixing, num_candidates: int) -> None:
    """Say where similarity cannot matter: cosines lie in [−1, 1], so that no weight is over
    e^{2/τ_mix} times another."""
    by_similarity = mixing.rule in ("mo", "mp") and not mixing.into_negatives
    if not by_similarity or mixing.candidates != "all" or mixing.temperature < 1.0:
        return
    if num_candidates >= _MANY_CANDIDATES:
        log.warning(
            "warning: at mixing_temperature %g a mixture of %d candidates is nearly their mean (no "
            "weight is over e^%.3g times another), whatever their similarity; lower it, to 0.1 "
            "say, or take candidates wp or op",
            *(mixing.temperature, num_candidates, 2.0 / mixing.temperature),
        )


class WatchedWriter:
    """A metrics writer that says once when a training does not do what is wanted of it.

    Mixing has all but stopped: over 95 % of rows are unmixed. Nothing is learnt: from the first to
    the tenth evaluation, of a training that it has seen from its start, the loss stays within a
    thousandth.
    """

    def __init__(
        self, writer: Writer, mixing: Mixing, *, fresh: bool = False, first_mixed: int = 0
    ):
        self._writer, self._mixing, self._fresh = writer, mixing, fresh
        self._first_mixed = first_mixed
        self._losses: list[float] = []
        self._said_unmixed = False

    def write(self, step: int, values: dict[str, float]) -> None:
        self._writer.write(step, values)
        self._watch_mixing(step, values)
        if self._fresh and "loss" in values:
            self._watch_loss(step, values["loss"])

    def _watch_loss(self, step: int, loss: float) -> None:
        losses = self._losses
        losses.append(loss)
        low, high = min(losses), max(losses)
        if len(losses) == _JUDGED_AT and high - low <= _STILL * max(abs(low), abs(high)):
            log.warning(
                "warning: the loss has not moved in %d evaluations (%.5g to %.5g up to step %d), "
                "so nothing is learnt; look at the scale of the features (of graphs, "
                "normalise_features zscore), or raise learning_rate",
                *(_JUDGED_AT, low, high, step),
            )

    def _watch_mixing(self, step: int, values: dict[str, float]) -> None:
        unmixed = values.get("mixing/unmixed", 0.0)
        mixing = self._mixing
        wanted = not mixing.of_inputs and not mixing.into_negatives and mixing.rule != "none"
        wanted &= step > self._first_mixed  # before, nothing is to be mixed
        if wanted and unmixed > _ALL_BUT_UNMIXED and not self._said_unmixed:
            self._said_unmixed = True
            log.warning(
                "warning: %.0f %% of samples are mixed with no other at step %d (mixing %s, "
                "candidates %s); a lower threshold, or candidates all, mixes more",
                *(100 * unmixed, step, self._mixing.rule, self._mixing.candidates),
            )
