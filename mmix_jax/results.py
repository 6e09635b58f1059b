"""What a run comes to: scores, and the records of `results.jsonl`."""

import dataclasses
import importlib.metadata
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mmix_jax import __version__
from mmix_jax.errors import InputError

RESULTS_FILE = "results.jsonl"
_DISTRIBUTIONS = {"jax": "jax", "flax": "flax", "optax": "optax", "orbax": "orbax-checkpoint"}


class Score(NamedTuple):
    """Mean and spread of a score, with its single values; accuracies are fractions in [0, 1].

    mean: arithmetic mean. std: sample standard deviation (ddof 1), 0 for a single value. n: how
    many values. values: one per classifier, repeat or training; the protocol says which.
    """

    mean: float
    std: float
    n: int
    values: tuple[float, ...]


def score(values: Iterable[float]) -> Score:
    """The `Score` of finite values.

    Raises:
      ValueError: there is no value, or one is not finite.
    """
    numbers = tuple(float(value) for value in values)
    if not numbers:
        raise ValueError("a score needs at least one value, found none; measure something first")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"a score needs finite values, found {numbers}; look for a diverged run")
    # Exact sums: equal values have exactly no spread, in any order.
    mean = math.fsum(numbers) / len(numbers)
    squares = math.fsum((value - mean) ** 2 for value in numbers)
    std = math.sqrt(squares / (len(numbers) - 1)) if min(numbers) < max(numbers) else 0.0
    return Score(mean, std, len(numbers), numbers)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One line of `results.jsonl`: one metric of one representation, over all trainings.

    `Result(**score._asdict(), seeds=..., ...)` takes mean, std, n and values from a `Score`.

    Args:
      task: `node`, `graph`, `clustering`, `image` or `edit_distance`.
      dataset, framework, mixing, candidates, objective: the names that the config uses; an
        empty string where one does not apply.
      representation: `a`, `b`, `mean` or `single`.
      trained: False for the row of the random-initialised encoder.
      metric: `accuracy`, `micro_f1`, `nmi`, ...; accuracies are fractions in [0, 1].
      mean, std, n: the score; n is what std is over (trainings, except under a protocol that
        says otherwise).
      values: one per training, in the order of `seeds`; what paired comparisons use.
      seeds: the seed of every training.
      protocol: how the representation was evaluated.
      selection: how the checkpoint was chosen.
      seed: the first seed, the one in the config.
      steps: optimisation steps of one training.
      seconds: wall time of all trainings.
      device: kind and number of devices, in words.
      versions: of the libraries, see `versions`.
      parts: where a value is a mean over splits, the score on each split, per training; mean and
        std are then over all of them.
      encoder: the config's name; empty in older results and where there is none.
      beyond: options that the paper does not have, `debiased=0.1, mixing_start=0.5`; empty without.

    Raises:
      ValueError: values, parts and seeds differ in number, or a seed is repeated.
    """

    task: str
    dataset: str
    framework: str
    mixing: str
    candidates: str
    objective: str
    representation: str
    trained: bool
    metric: str
    mean: float
    std: float
    n: int
    values: tuple[float, ...]
    seeds: tuple[int, ...]
    protocol: str
    selection: str
    seed: int
    steps: int
    seconds: float
    device: str
    versions: dict[str, str]
    parts: tuple[tuple[float, ...], ...] = ()
    encoder: str = ""
    beyond: str = ""

    def __post_init__(self):
        if len(self.values) != len(self.seeds):
            raise ValueError(
                "a result has one value per seed, "
                f"found {len(self.values)} values and {len(self.seeds)} seeds; give one for each"
            )
        sizes = {len(part) for part in self.parts}
        if self.parts and (len(self.parts) != len(self.seeds) or len(sizes) > 1):
            raise ValueError(
                "parts of a result must be as many for each seed, found "
                f"{[len(part) for part in self.parts]} for {len(self.seeds)} seeds; give all"
            )
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(
                f"the seeds of a result must differ, found {list(self.seeds)}; train each once"
            )


def versions() -> dict[str, str]:
    """Versions of what computes: jax, flax, optax, orbax and this package; "absent" if missing."""
    numbers = {"mmix_jax": __version__}
    for name, distribution in _DISTRIBUTIONS.items():
        try:
            numbers[name] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            numbers[name] = "absent"
    return numbers


def write_results(path: str | os.PathLike[str], results: Iterable[Result]) -> None:
    """Write a JSON object per line; a reader sees the old file or the new one whole.

    Folders that are missing are made.

    Raises:
      ValueError: a number is not finite: that is no JSON, and a diverged run has no score.
      OSError: the file cannot be written.
    """
    path = Path(path)
    lines = [
        json.dumps(dataclasses.asdict(result), allow_nan=False, default=_plain) + "\n"
        for result in results
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target: os.replace is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_results(path: str | os.PathLike[str]) -> list[Result]:
    """Read what `write_results` wrote; blank lines are skipped, an empty file has no results.

    Raises:
      InputError: the file cannot be read, or a line is not a result: names file and line.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(
            f"cannot read results from {path}: {error.strerror}; a finished run writes this file"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text (byte {error.start}); it is damaged: evaluate the run again"
        ) from error
    # Not splitlines(): JSON strings may hold U+2028 and its like unescaped.
    return parse_results(text.split("\n"), path)


def parse_results(
    lines: Iterable[str], path: str | os.PathLike[str], first: int = 1
) -> list[Result]:
    """The results in lines of a file, of which the first has this number; as `read_results`."""
    numbered = enumerate(lines, start=first)
    return [_parse(line, f"{path}, line {number}") for number, line in numbered if line.strip()]


def _plain(value: Any):
    """The Python number in a NumPy or JAX scalar."""
    return value.item()


def _parse(line: str, where: str) -> Result:
    try:
        record = json.loads(line, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: not a JSON object ({_one_line(error)}); evaluate the run again"
        ) from error
    if not isinstance(record, dict):
        raise InputError(
            f"{where}: a result is a JSON object, found {_kind(record)}; evaluate the run again"
        )
    names = [field.name for field in dataclasses.fields(Result)]
    record = {"parts": [], "encoder": "", "beyond": ""} | record  # older results lack them
    missing = [name for name in names if name not in record]
    unknown = [name for name in record if name not in names]
    if missing or unknown:
        raise InputError(
            f"{where}: wrong fields (missing: {_listing(missing)}; unknown: {_listing(unknown)}); "
            "the file is from another version: evaluate the run again"
        )
    try:
        fields: dict[str, Any] = {name: _CHECKS[name](name, record[name]) for name in names}
        return Result(**fields)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def _reject_constant(name: str):
    raise ValueError(f"{name} is not a number")


def _of_type(wanted: type, words: str):
    def check(name: str, value: Any):
        # bool is a subclass of int, but True is no count.
        if type(value) is not wanted:
            raise ValueError(f"{name} must be {words}, found {_kind(value)}")
        return value

    return check


def _number(name: str, value: Any) -> float:
    try:
        if type(value) in (int, float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # a whole number beyond any float
        pass
    raise ValueError(f"{name} must be a finite number, found {_kind(value)}")


def _tuple_of(check):
    def check_all(name: str, value: Any):
        _of_type(list, "a list")(name, value)
        return tuple(check(f"{name}[{i}]", item) for i, item in enumerate(value))

    return check_all


def _version_table(name: str, value: Any) -> dict[str, str]:
    _of_type(dict, "an object of strings")(name, value)
    return {key: _string(f"{name}.{key}", version) for key, version in value.items()}


_string = _of_type(str, "a string")
_whole = _of_type(int, "a whole number")
# One check per field that is not a string.
_CHECKS = dict.fromkeys((field.name for field in dataclasses.fields(Result)), _string) | {
    "trained": _of_type(bool, "true or false"),
    "mean": _number,
    "std": _number,
    "n": _whole,
    "values": _tuple_of(_number),
    "seeds": _tuple_of(_whole),
    "seed": _whole,
    "steps": _whole,
    "seconds": _number,
    "versions": _version_table,
    "parts": _tuple_of(_tuple_of(_number)),
}


def _kind(value: Any) -> str:
    return json.dumps(value)[:40]


def _listing(names: list[str]) -> str:
    return ", ".join(names) if names else "none"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
