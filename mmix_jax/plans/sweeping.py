"""A sweep: every combination of the values of some fields, against one of them."""

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mmix_jax.config_files import find_config
from mmix_jax.errors import InputError
from mmix_jax.experiments.schema import Run
from mmix_jax.plans.catalog import SECONDS
from mmix_jax.plans.runs import Found, Setting, short_name, writable
from mmix_jax.plans.table import Cell, Line, Measure, Table, cells_of
from mmix_jax.plans.work import Work, carried_out, collect, dry_lines, plan
from mmix_jax.plans.written import text, write_table
from mmix_jax.results import score
from mmix_jax.training.metrics import read_history

Pair = tuple[str, str]
_VARIANT = "variant"
_VALIDATION = ("validation_accuracy", "validation_micro_f1")
# What a run is judged by, by task: metrics and how their protocols begin, the headline first.
_HEADLINES = {
    "node": (("accuracy", ""),),
    "graph": (("accuracy", "svm"),),
    "image": (("top1", "linear"), ("top1", "knn")),
}


class Sweep(NamedTuple):
    """What the flags of `sweep` ask for."""

    given: str
    changes: tuple[Pair, ...]
    vary: Sequence[str]
    baseline: str
    seeds: range
    folder: Path
    dry: bool = False
    read: bool = False
    validation: bool = False
    arms: Sequence[str] = ()
    collect: Path | None = None


def pairs_of(flags: Iterable[str]) -> tuple[Pair, ...]:
    """(KEY, VALUE) of flags `--config.KEY=VALUE`.

    Raises:
      InputError: one has no value.
    """
    pairs = []
    for flag in flags:
        key, equals, value = flag.lstrip("-").removeprefix("config.").partition("=")
        if not equals or not key:
            raise InputError(f"fields are set by --config.KEY=VALUE, found {flag}; write it so")
        pairs.append((key, value))
    return tuple(pairs)


def arms_of(arms: Sequence[str]) -> list[tuple[Pair, ...]]:
    """The fields that each of `KEY=V,KEY=V` sets; a comma before no KEY= belongs to a value.

    Raises:
      InputError: one sets nothing, or a field twice.
    """
    split = []
    for given in arms:
        pairs = tuple(
            (key.strip(), value.strip())
            for key, _, value in (part.partition("=") for part in re.split(r",(?=\s*\w+=)", given))
        )
        if not all(key and value for key, value in pairs):
            raise InputError(f"--arm must be KEY=V,KEY=V,…, found '{given}'; write it so")
        if len(dict(pairs)) < len(pairs):
            raise InputError(f"an arm sets a field once, found '{given}'; leave one out")
        split.append(pairs)
    return split


def values_of(vary: Sequence[str]) -> dict[str, list[str]]:
    """{KEY: [V1, V2, …]} of `KEY=V1,V2,…`; commas in brackets part no values.

    Raises:
      InputError: there is none, one has no values or comes twice.
    """
    if not vary:
        raise InputError(
            "a sweep varies something, found no --vary and no --arm; add --vary KEY=V1,V2"
        )
    varied: dict[str, list[str]] = {}
    for given in vary:
        key, equals, listed = given.partition("=")
        values = [value.strip() for value in re.split(r",(?![^(\[]*[)\]])", listed)]
        if not key or not equals or not all(values):
            raise InputError(f"--vary must be KEY=V1,V2,…, found '{given}'; write it so")
        if key in varied:
            raise InputError(f"--vary {key} must be given once, found it twice; join the values")
        if len(set(values)) < len(values):
            raise InputError(f"--vary {key} must have each value once, found '{listed}'")
        varied[key] = values
    return varied


def _baseline(given: str, varied: dict[str, list[str]]) -> Pair:
    """(KEY, VALUE) of what differences are taken to: as it is given, or the first value varied."""
    key, _, value = given.partition("=")
    if not given:
        key, value = next((k, values[0]) for k, values in varied.items())
    if value not in varied.get(key, []):
        known = "; ".join(f"{k}={','.join(values)}" for k, values in varied.items())
        raise InputError(f"--baseline must be one of the values varied ({known}), found '{given}'")
    return key, value


def _setting(asked: Sweep, chosen: Sequence[Pair]) -> Setting:
    _, variant = find_config(asked.given)
    config = asked.given.removesuffix(f":{variant}") if variant else asked.given
    joined = [value for key, value in chosen if key == _VARIANT]
    fields = (*asked.changes, *(pair for pair in chosen if pair[0] != _VARIANT))
    return Setting(config, "+".join(filter(None, [variant, *joined])), fields)


def _words(pairs: Iterable[Pair]) -> str:
    return ", ".join(value if key == _VARIANT else f"{key}={value}" for key, value in pairs)


def table_of(asked: Sweep) -> Table:
    """The table of a sweep, without its scores.

    Raises:
      InputError: as `values_of`; a field is set twice; a value is wrong; the task has no single
        measure; or two combinations are the same run.
    """
    combinations = _combinations(asked)
    varied = list(dict.fromkeys(key for chosen in combinations for key, _ in chosen[0]))
    _check_fields([key for key, _ in asked.changes], varied)
    lines, configs = [], {}
    for chosen, base in combinations:
        setting = _setting(asked, chosen)
        config = setting.asked(asked.seeds)
        if config.task not in _HEADLINES:
            raise InputError(
                f"a sweep needs a task whose runs have scores ({', '.join(_HEADLINES)}), found "
                f"'{config.task}'; run its variants by `python -m mmix_jax.reproduce table10`"
            )
        if config in configs:
            raise InputError(
                f"combinations must be different runs, found '{_words(chosen)}' the same as "
                f"'{_words(configs[config])}'; leave one out"
            )
        configs[config] = chosen
        against = "" if base == chosen else _words(base)
        lines += [
            Line(
                config.dataset, _words(chosen), setting, measure, len(asked.seeds), against=against
            )
            for measure in _measures(asked, config)
        ]
    measures = list(dict.fromkeys(line.measure for line in lines))
    lines = sorted(lines, key=lambda line: measures.index(line.measure))  # each by itself
    changes = f" with {_words(asked.changes)}" if asked.changes else ""
    title = f"{asked.given}{changes}, {' × '.join(varied)} varied"
    against = _against(asked)
    equal = "" if asked.arms else ", other things equal"
    caption = f"Differences are to {_words(against)}{equal}."
    if asked.validation:
        caption += " Best validation score of each training: no test label is in it."
    # Other values, or another baseline, are another table.
    of_arms = (asked.arms,) if asked.arms else ()
    asks = repr((asked.vary, *of_arms, _of_hash(against), asked.seeds, asked.validation)).encode()
    name = short_name(f"sweep-{_setting(asked, ()).name}-{'-'.join(varied)}")
    name += f"-{hashlib.sha256(asks).hexdigest()[:6]}" + "-validation" * asked.validation
    return Table(name, title, caption, tuple(lines))


def _measures(asked: Sweep, config: Run) -> list[Measure]:
    """What a run is judged by."""
    measures = _HEADLINES[config.task]
    if config.dataset.startswith("ppi"):
        measures = (("micro_f1", ""),)
    if asked.validation:
        measures = ((_checked_validation(config, measures[0][0]), ""),)
    return [Measure(metric, config.representation, protocol) for metric, protocol in measures]


def _against(asked: Sweep) -> tuple[Pair, ...]:
    """What differences are taken to: an arm, or a value of one field."""
    if not asked.arms:
        return (_baseline(asked.baseline, values_of(asked.vary)),)
    if asked.baseline and asked.baseline not in asked.arms:
        raise InputError(
            f"--baseline must be one of the arms ({'; '.join(asked.arms)}), found "
            f"'{asked.baseline}'; name it as it stands there"
        )
    return arms_of([asked.baseline or asked.arms[0]])[0]


def _of_hash(against: tuple[Pair, ...]) -> Pair | tuple[Pair, ...]:
    return against[0] if len(against) == 1 else against


def _combinations(asked: Sweep) -> list[tuple[tuple[Pair, ...], tuple[Pair, ...]]]:
    """Every combination, with that which it is held against."""
    against = _against(asked)
    if asked.arms:
        if asked.vary:
            raise InputError("a sweep has --vary or --arm, found both; spell the arms out")
        if len(asked.arms) < 2:
            raise InputError("a sweep compares arms, found one; add another --arm")
        return [(arm, against) for arm in arms_of(asked.arms)]
    (key, value), varied = against[0], values_of(asked.vary)
    return [
        (chosen, tuple((k, value if k == key else v) for k, v in chosen))
        for values in itertools.product(*varied.values())
        for chosen in [tuple(zip(varied, values, strict=True))]
    ]


def _check_fields(changed: Sequence[str], varied: Sequence[str]) -> None:
    for key in (*changed, *varied):
        if key in ("seed", "num_seeds"):
            raise InputError(f"seeds of a sweep are set by --seeds, found {key}; pass --seeds=0:5")
    for key in varied:
        if key in changed:
            raise InputError(
                f"a field is set or varied, found {key} in --config.{key} and in --vary or --arm; "
                "leave one out"
            )


def _checked_validation(config: Run, metric: str) -> str:
    """The name of a training's validation score."""
    if config.task != "node" or config.selection != "validation" or config.protocol == "reference":
        raise InputError(
            "--validation shows what trainings are chosen by, found "
            f"task '{config.task}' with selection '{config.selection}' and protocol "
            f"'{config.protocol}'; leave it out, or set --config.selection=validation"
        )
    return f"validation_{metric}"


def _validation_of(setting: Setting, there: Found, folder: Path) -> Found:
    """The run with its best validation scores in the place of its results."""
    best: dict[str, dict[int, float]] = {}
    late = float(there.settings.get("mixing_start", 0.0)) > 0.0
    for seed in there.seeds:
        history = read_history(folder / setting.name, seed)
        for name in _VALIDATION:
            if logged := [row[name] for row in history if name in row]:
                # Where mixing starts late, only a step that mixes was chosen.
                kept = _chosen_score(folder / setting.name, seed) if late else max(logged)
                best.setdefault(name, {})[seed] = kept
    judged = [name.removeprefix("validation_") for name in _VALIDATION]
    trained = [r for r in there.results if r.trained and r.metric in judged]
    results = [
        dataclasses.replace(
            r,
            **score(values.values())._asdict(),
            seeds=tuple(values),
            metric=name,
            parts=(),
            protocol="best while training",
        )
        for name, values in best.items()
        for r in trained
    ]
    return Found(there.settings, results)


def _chosen_score(workdir: Path, seed: int) -> float:
    """The score of the step that a training has chosen, by its own record."""
    from mmix_jax.experiments.pretraining import checkpoint_folder
    from mmix_jax.training.checkpoint import Checkpointer

    with Checkpointer(checkpoint_folder(workdir, seed), read_only=True) as checkpointer:
        progress = checkpointer.latest_progress()
    if progress is None:
        raise InputError(f"a score needs a checkpoint, found none whole in {workdir}; train anew")
    return progress["best_score"]


def cells_of_sweep(asked: Sweep, table: Table, work: Work) -> list[Cell]:
    """The table's cells, of test scores or of validation scores."""
    runs = work.runs
    if asked.validation:
        runs = {s: _validation_of(s, there, asked.folder) for s, there in runs.items()}
    return cells_of(table, runs, work.reason)


def sweep(asked: Sweep, interrupted: Callable[[], bool]) -> None:
    """Run what is missing of a sweep, print its table and write it.

    Raises:
      InputError: bad input.
      Interrupted: what was finished stays.
    """
    table = table_of(asked)
    if not (asked.dry or asked.read):
        writable(asked.folder)
        if asked.collect:  # now, not after hours
            writable(asked.collect, "--collect")
    planned = plan(dict.fromkeys(table.settings, asked.seeds), asked.folder)
    if asked.dry:
        print("\n".join(dry_lines(planned, asked.folder, SECONDS)))
        return
    work = carried_out(planned, asked.folder, interrupted, run=not asked.read)
    if not work.runs:
        raise InputError(
            f"a table needs scores, found none in {asked.folder}; "
            + ("run it without --read" if asked.read else "see to what the lines above name")
        )
    cells = cells_of_sweep(asked, table, work)
    print("\n" + text(table, cells))
    if asked.collect:
        writable(asked.collect, "--collect")
        collect(work, asked.collect)

    def command(cell: Cell) -> str:
        setting = cell.line.setting
        return "" if setting is None else setting.command(asked.seeds, asked.folder)

    if asked.read:
        return
    for path in write_table(table, cells, asked.folder, command):
        print(f"wrote {path}")
