"""Tables of planned runs: what each row is of, and how it compares."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mmix_jax.plans.runs import Found, Setting
from mmix_jax.report.compare import Comparison, compare
from mmix_jax.report.paired import holm
from mmix_jax.results import Result

PAPER_ONLY = "not among ours"  # what a row says that has no run


class Measure(NamedTuple):
    """Which line of `results.jsonl`: its metric, representation, how its protocol begins, and of a
    method that is not pretrained its name."""

    metric: str
    representation: str
    protocol: str = ""
    method: str = ""

    def of(self, results: Sequence[Result], *, trained: bool = True) -> Result | None:
        """The first such result."""
        for r in results:
            own = r.framework == self.method if self.method else r.mixing != "-"
            named = (r.metric, r.representation, r.trained)
            wanted = named == (self.metric, self.representation, trained)
            if own and wanted and r.protocol.startswith(self.protocol):
                return r
        return None


class Paper(NamedTuple):
    """The paper's score, in the unit of results (fractions), and its deviation where it has one."""

    mean: float
    std: float | None = None

    def covers(self, mean: float) -> bool | None:
        """Whether a score lies within its deviation; None where it has none."""
        return None if self.std is None else abs(mean - self.mean) <= self.std + 1e-9


class Line(NamedTuple):
    """A row of a table.

    dataset, row: its names; rows of one data set and measure stand together. setting: its run;
    None where the paper alone has the row. seeds: how many trainings it ought to have. against:
    the row whose scores are subtracted, seed by seed. trained: False for the random-initialised
    encoder of the run.
    """

    dataset: str
    row: str
    setting: Setting | None
    measure: Measure
    seeds: int = 1
    paper: Paper | None = None
    against: str = ""
    trained: bool = True

    @property
    def group(self) -> tuple[str, Measure]:
        """What rows have in common that are compared; branches are measures of one kind."""
        return self.dataset, self.measure._replace(representation="", method="")


class Table(NamedTuple):
    """A table by its name, with a title and what is to be known of all its rows."""

    name: str
    title: str
    caption: str
    lines: tuple[Line, ...]

    @property
    def settings(self) -> dict[Setting, int]:
        """Runs behind it, in order, with the seeds they ought to have."""
        seeds: dict[Setting, int] = {}
        for line in self.lines:
            if line.setting is not None:
                seeds[line.setting] = max(line.seeds, seeds.get(line.setting, 0))
        return seeds


class Cell(NamedTuple):
    """What a line comes to.

    result: None where there is none, for the `reason`. untrained: of the random-initialised
    encoders of the run. compared: to the row `against`, and p after Holm's correction in its table.
    """

    line: Line
    result: Result | None
    untrained: Result | None
    compared: Comparison | None
    p: float | None
    reason: str = ""


def cells_of(
    table: Table, runs: Mapping[Setting, Found], reason: Callable[[Setting], str]
) -> list[Cell]:
    """The table's cells, in the order of its lines.

    Differences of a row are paired with the row that it names, of the same data set and metric;
    where the two have no seed in common, or scores of other splits, there is none. Questions of
    Holm's family are the differences of all trained rows of the table.
    """
    results = [_result_of(line, runs) for line in table.lines]
    bases = {
        (line.group, line.row): result
        for line, result in zip(table.lines, results, strict=True)
        if result is not None and line.trained
    }
    compared = [
        comparison(bases.get((line.group, line.against)), result) if line.against else None
        for line, result in zip(table.lines, results, strict=True)
    ]
    asked = [
        found.p if found is not None and line.trained else None
        for line, found in zip(table.lines, compared, strict=True)
    ]
    cells = []
    for line, result, found, p in zip(table.lines, results, compared, holm(asked), strict=True):
        untrained, why = None, ""
        if line.setting is not None and line.setting in runs and line.trained:
            untrained = line.measure.of(runs[line.setting].results, trained=False)
        if result is None:
            why = PAPER_ONLY if line.setting is None else reason(line.setting)
        cells.append(Cell(line, result, untrained, found, p, why))
    return cells


def _result_of(line: Line, runs: Mapping[Setting, Found]) -> Result | None:
    if line.setting is None or line.setting not in runs:
        return None
    return line.measure.of(runs[line.setting].results, trained=line.trained)


def comparison(base: Result | None, result: Result | None) -> Comparison | None:
    """The difference to a base of the same metric, whatever its branch, trained or not; None where
    there is none, or no seed in common."""
    if base is None or result is None or result is base or base.protocol != result.protocol:
        return None
    same = {"trained": True, "representation": result.representation, "dataset": result.dataset}
    base, result = (dataclasses.replace(r, **same) for r in (base, result))
    sizes = {len(part) for r in (base, result) for part in r.parts}
    if not set(base.seeds) & set(result.seeds) or len(sizes) > 1:
        return None
    return compare([base], [result])[0]
