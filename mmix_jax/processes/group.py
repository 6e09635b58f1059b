"""The processes of this run, and this one's place among them."""

from typing import NamedTuple


class Group(NamedTuple):
    """The processes of a run, and this one's place among them."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether it is this process that writes, judges and speaks."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1


_group = Group()


def group() -> Group:
    """The processes of this run: one, until `enter`."""
    return _group


def enter(rank: int, size: int) -> Group:
    """From now on this process is one of several; who leaves enters a group of its own."""
    global _group
    _group = Group(rank, size)
    return _group
