"""When something is due."""

from typing import NamedTuple


class Cadence(NamedTuple):
    """Due every `every` steps (counted from 1) and after the last; `every` 0: only then."""

    every: int
    last: int

    def due(self, step: int) -> bool:
        """Whether it is due once `step` steps are done."""
        return step == self.last or (self.every > 0 and step > 0 and step % self.every == 0)

    def until(self, step: int) -> int:
        """Steps from `step` to the next that is due; 0 or less once the last is done."""
        rest = self.last - step
        return rest if self.every <= 0 else min(rest, self.every - step % self.every)
