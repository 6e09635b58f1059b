"""Paired comparison of two runs: the same seeds, with one setting changed.

`python -m mmix_jax.report.compare A/results.jsonl B/results.jsonl` (or the workdirs A and B)
prints the differences B - A. Trainings that share a seed share their split and first parameters,
so that their difference varies less than that of two independent scores.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.report.paired import paired
from mmix_jax.report.tables import align, framework_name, metric_name, signed
from mmix_jax.results import RESULTS_FILE, Result, read_results, score
from mmix_jax.surroundings import print_anything, user_path


class Topic(NamedTuple):
    """What two results must agree on to be compared."""

    dataset: str
    representation: str
    metric: str
    trained: bool

    def __str__(self) -> str:
        encoder = "" if self.trained else " (random-init)"
        return f"{self.dataset}, {self.representation}, {self.metric}{encoder}"


class Comparison(NamedTuple):
    """Differences B - A over the common seeds, in the unit of the results (fractions).

    topic: data set, representation, metric, trained or not. protocol: the evaluation protocol of
    both. seeds: the common ones, ascending. mean: mean difference. interval: its 95 % confidence
    interval, and p the two-sided p-value of no difference (`paired`); None for a single seed, which
    has no spread. splits: scores per
    seed, each on a split of its own; 1 where a seed has one score. above, equal, below: how many
    seeds have B > A, B = A, B < A. sign_p: two-sided exact sign test over the pairs that differ; 1
    where none does. unpaired: how many seeds only one of the two has; they are left out.
    """

    topic: Topic
    protocol: str
    seeds: tuple[int, ...]
    mean: float
    interval: tuple[float, float] | None
    p: float | None
    splits: int
    above: int
    equal: int
    below: int
    sign_p: float
    unpaired: int


# Scores by seed, under each protocol, of each topic: one, or one per split.
_Values = dict[Topic, dict[str, dict[int, tuple[float, ...]]]]


def compare(a: Iterable[Result], b: Iterable[Result]) -> list[Comparison]:
    """Compare two runs by seed on every topic they have in common, in the order of `a`.

    Raises:
      InputError: no common topic, a topic under different protocols or without a common seed, or
        a seed that occurs twice for one topic (results of several settings in one file).
    """
    values_a, values_b = _by_topic(a, "A"), _by_topic(b, "B")
    topics = [topic for topic in values_a if topic in values_b]
    if not topics:
        raise InputError(
            "two runs must share a data set, representation and metric, "
            f"found {_listing(values_a)} in A and {_listing(values_b)} in B; give runs that do"
        )
    return [
        _compare_pairs(topic, protocol, values_a[topic], values_b[topic])
        for topic in topics
        for protocol in _common_protocols(topic, values_a[topic], values_b[topic])
    ]


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as aligned text; accuracies in percentage points."""
    columns = {
        "dataset": [c.topic.dataset for c in comparisons],
        "representation": [c.topic.representation for c in comparisons],
        "trained": ["yes" if c.topic.trained else "random-init" for c in comparisons],
        "metric": [metric_name(c.topic.metric) for c in comparisons],
        "B - A": [signed(c.topic.metric, c.mean) for c in comparisons],
        "95 % interval": [_interval(c) for c in comparisons],
        "n": [f"{len(c.seeds)}" + f" x {c.splits}" * (c.splits > 1) for c in comparisons],
        "B>A": [str(c.above) for c in comparisons],
        "B=A": [str(c.equal) for c in comparisons],
        "B<A": [str(c.below) for c in comparisons],
        "sign p": [f"{c.sign_p:.3f}" for c in comparisons],
    }
    return "\n".join(align(columns, right=("B - A", "n", "B>A", "B=A", "B<A", "sign p")))


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the table and returns 0, or an `error:` line and returns 2."""
    print_anything()
    try:
        args = _parser().parse_args(argv)
        runs = {"A": _load(args.a), "B": _load(args.b)}
        comparisons = compare(runs["A"], runs["B"])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, path in (("A", args.a), ("B", args.b)):
        print(f"{name}: {path} ({_settings(runs[name])})")
    print(comparison_table(comparisons))
    for note in _notes(runs["A"], runs["B"], comparisons):
        print(f"note: {note}")
    return 0


def _by_topic(results: Iterable[Result], name: str) -> _Values:
    values: _Values = {}
    for r in results:
        topic = Topic(r.dataset, r.representation, r.metric, r.trained)
        by_seed = values.setdefault(topic, {}).setdefault(r.protocol, {})
        repeated = sorted(by_seed.keys() & set(r.seeds))
        if repeated:
            raise InputError(
                f"a run must have one value per seed, found seed {repeated[0]} twice in {name} "
                f"for {topic}; keep the results of one setting per file"
            )
        by_seed.update(zip(r.seeds, r.parts or [(value,) for value in r.values], strict=True))
    return values


def _common_protocols(topic: Topic, a: dict, b: dict) -> list[str]:
    common = [protocol for protocol in a if protocol in b]
    if not common:
        raise InputError(
            f"two runs must be evaluated by one protocol, found {_listing(a)} in A and "
            f"{_listing(b)} in B for {topic}; evaluate one of them again"
        )
    return common


def _compare_pairs(topic: Topic, protocol: str, a: dict, b: dict) -> Comparison:
    from scipy import stats

    a, b = a[protocol], b[protocol]
    seeds = tuple(sorted(a.keys() & b.keys()))
    if not seeds:
        raise InputError(
            f"two runs must share seeds, found {_listing(a)} in A and {_listing(b)} in B "
            f"for {topic}; train with the same seeds"
        )
    if len({len(run[seed]) for run in (a, b) for seed in seeds}) > 1:
        raise InputError(
            f"two runs must be scored on the same splits, found other numbers of them in A and B "
            f"for {topic}; evaluate one of them again"
        )
    differences = np.array([np.subtract(b[seed], a[seed]) for seed in seeds])
    by_seed = score(differences.mean(axis=1))
    spread = paired(differences)
    above = sum(value > 0 for value in by_seed.values)
    below = sum(value < 0 for value in by_seed.values)
    return Comparison(
        topic=topic,
        protocol=protocol,
        seeds=seeds,
        mean=by_seed.mean,
        interval=spread.interval,
        p=spread.p,
        splits=differences.shape[1],
        above=above,
        equal=len(seeds) - above - below,
        below=below,
        sign_p=float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0,
        unpaired=len(a.keys() ^ b.keys()),
    )


def _listing(names: Iterable) -> str:
    """At most three names, for an error line."""
    names = [str(name) for name in names]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ("; ".join(names[:3]) + more) if names else "nothing"


def _interval(comparison: Comparison) -> str:
    if comparison.interval is None:
        return "undefined (one pair)"
    low, high = (signed(comparison.topic.metric, end) for end in comparison.interval)
    return f"[{low}, {high}]"


def _settings(results: Iterable[Result]) -> str:
    """Framework, objective, mixing and candidates of the trained rows, e.g. `mvgrl mo wp`."""
    names = {
        " ".join(filter(None, (framework_name(r), r.objective, r.mixing, r.candidates)))
        for r in results
        if r.trained
    }
    return "; ".join(sorted(names)) or "random-init only"


def _notes(
    a: Iterable[Result], b: Iterable[Result], comparisons: Sequence[Comparison]
) -> list[str]:
    selections = [sorted({r.selection for r in run if r.trained}) for run in (a, b)]
    notes = []
    if selections[0] != selections[1]:
        by = [", ".join(names) or "none" for names in selections]
        notes.append(f"checkpoints were chosen differently: by {by[0]} in A, {by[1]} in B")
    unpaired = max(c.unpaired for c in comparisons)
    if unpaired:
        notes.append(f"{unpaired} seeds of only one run are left out")
    return notes


def _load(path: Path) -> list[Result]:
    path = user_path(path, "results")
    path = path / RESULTS_FILE if path.is_dir() else path
    results = read_results(path)
    if not results:
        raise InputError(f"{path} must hold results, found none; evaluate the run again")
    return results


class _Parser(argparse.ArgumentParser):
    """Bad usage is bad input: one line, as everywhere."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; give two results files or workdirs")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m mmix_jax.report.compare",
        description="Paired differences B - A between two runs, by seed.",
    )
    parser.add_argument("a", type=Path, help="results.jsonl of run A, or its workdir")
    parser.add_argument("b", type=Path, help="results.jsonl of run B, or its workdir")
    return parser


if __name__ == "__main__":
    sys.exit(main())
