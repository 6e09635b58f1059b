"""The golden graphs, and a float64 loop for Â, shared by this room's tests."""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from scipy.linalg import block_diag

NAMES = [
    "karate",
    "karate_weighted",
    "path5",
    "star6",
    "path5_plus_isolated",
    "petersen",
    "random20",
]


class Case(NamedTuple):
    """A golden graph as edges, and its golden numbers under their names."""

    senders: np.ndarray
    receivers: np.ndarray
    weight: np.ndarray
    num_nodes: int
    numbers: dict[str, np.ndarray]

    @property
    def edges(self):
        return self.senders, self.receivers


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    path = pathlib.Path(__file__).parents[1] / "golden" / "diffusion.npz"
    with np.load(path) as archive:
        return dict(archive)


@pytest.fixture
def make_case(golden) -> Callable[[str], Case]:
    def make(name: str) -> Case:
        names = [key for key in golden if key.startswith(name + "_")]
        numbers = {key.removeprefix(name + "_"): golden[key] for key in names}
        receivers, senders = numbers["adj"].nonzero()
        weight = numbers["adj"][receivers, senders]
        return Case(senders, receivers, weight, len(numbers["adj"]), numbers)

    return make


@pytest.fixture(params=NAMES)
def case(request, make_case) -> Case:
    return make_case(request.param)


@pytest.fixture
def side_by_side(make_case) -> Callable[[str], Case]:
    """All golden graphs that have a number of that name, as one graph: JAX compiles once."""

    def join(number: str) -> Case:
        cases = [case for case in map(make_case, NAMES) if number in case.numbers]
        offsets = np.cumsum([0, *(case.num_nodes for case in cases)])
        at = list(zip(cases, offsets[:-1], strict=True))
        return Case(
            np.concatenate([case.senders + offset for case, offset in at]),
            np.concatenate([case.receivers + offset for case, offset in at]),
            np.concatenate([case.weight for case in cases]),
            int(offsets[-1]),
            {number: block_diag(*(case.numbers[number] for case in cases))},
        )

    return join


def _naive_operator(senders, receivers, num_nodes, weight, self_loops=1.0) -> np.ndarray:
    adjacency = np.zeros((num_nodes, num_nodes))
    for sender, receiver, w in zip(senders, receivers, weight, strict=True):
        adjacency[receiver, sender] += w
    for i in range(num_nodes):
        adjacency[i, i] += self_loops
    degree = [sum(row) for row in adjacency]
    operator = np.zeros_like(adjacency)
    for i in range(num_nodes):
        for j in range(num_nodes):
            if adjacency[i, j] > 0 and degree[j] > 0:
                operator[i, j] = adjacency[i, j] / (degree[i] * degree[j]) ** 0.5
    return operator


@pytest.fixture(scope="session")
def naive_operator() -> Callable[..., np.ndarray]:
    """Â by loops over edges and entries."""
    return _naive_operator
