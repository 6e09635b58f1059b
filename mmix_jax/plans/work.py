"""A plan carried out: what is missing is run, what is there is read; and what that will take."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from mmix_jax.errors import InputError, MissingData
from mmix_jax.plans.runs import (
    Found,
    Setting,
    carry_out,
    check,
    found,
    missing,
    write_record,
)

log = logging.getLogger(__name__)


class Planned(NamedTuple):
    """A run, the seeds it ought to have, and how many trainings are missing."""

    setting: Setting
    seeds: range
    missing: int


class Work(NamedTuple):
    """What a plan came to: runs with their scores, and why others have none."""

    runs: dict[Setting, Found]
    reasons: dict[Setting, str]

    def reason(self, setting: Setting) -> str:
        """Why a row has no score."""
        return self.reasons.get(setting, "no such score" if setting in self.runs else "not run")


def plan(settings: Mapping[Setting, range], folder: Path) -> list[Planned]:
    """What there is to do, after a look at everything that is there.

    Raises:
      InputError: a config is wrong, or the folder has a run with other settings or damaged files.
    """
    try:
        for setting, seeds in settings.items():
            check(setting, seeds, folder)
        return [
            Planned(setting, seeds, missing(setting, seeds, folder))
            for setting, seeds in settings.items()
        ]
    except OSError as error:
        raise InputError(
            f"--runs must be a folder that can be read, found {folder}: {error.strerror}; name "
            "another"
        ) from error


def carried_out(
    planned: list[Planned], folder: Path, interrupted: Callable[[], bool], *, run: bool = True
) -> Work:
    """Run what is missing, in order, and read the rest; without `run` only read.

    A data set that is nowhere costs its own rows, and is looked for once; so does a run that fails,
    as for a loss that is not finite. Both are said.

    Raises:
      InputError: what is there is damaged.
      Interrupted: the current run's checkpoint was saved; what was finished stays.
    """
    from mmix_jax.training.loop import Interrupted

    work, absent = Work({}, {}), set()
    todo = [p for p in planned if p.missing] if run else []
    for number, of in enumerate(todo, start=1):
        if interrupted():
            raise Interrupted(0)
        dataset = of.setting.asked(of.seeds).dataset
        if dataset in absent:
            continue
        log.info(
            "run %d of %d: %s, %d of %d trainings missing",
            *(number, len(todo), of.setting.name, of.missing, len(of.seeds)),
        )
        try:
            carry_out(of.setting, of.seeds, folder, interrupted)
        except MissingData as error:
            absent.add(dataset)
            log.warning("warning: no rows of %s: %s", dataset, error)
        except InputError as error:
            work.reasons[of.setting] = "failed"
            log.warning("warning: no row of %s: %s", of.setting.name, error)
    for of in planned:
        if there := found(of.setting, folder):
            work.runs[of.setting] = there
        elif of.setting.asked(of.seeds).dataset in absent:
            work.reasons[of.setting] = "data absent"
    return work


def collect(work: Work, folder: Path) -> None:
    """Write the records of all runs."""
    for setting, there in work.runs.items():
        write_record(setting, there, folder)
    print(f"wrote records of {len(work.runs)} runs to {folder}")


def seconds_of(of: Planned, folder: Path, usual: Mapping[str, float]) -> float | None:
    """An estimate of what is missing of a run, from its own trainings or those `usual` for its
    config; None where nothing is known."""
    there = found(of.setting, folder)
    if there is not None and len(there.seeds) and there.seconds:
        each = there.seconds / len(there.seeds)
    elif of.setting.config in usual:
        each = usual[of.setting.config]
    else:
        return None
    return each * of.missing


def in_words(seconds: float) -> str:
    """`40 s`, `12 min` or `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def dry_lines(planned: list[Planned], folder: Path, usual: Mapping[str, float]) -> list[str]:
    """Commands of what is missing, and an estimate of their time."""
    todo = [of for of in planned if of.missing]
    guesses = {of: seconds_of(of, folder, usual) for of in todo}
    lines = []
    for of, seconds in guesses.items():
        guess = "time unknown" if seconds is None else f"about {in_words(seconds)}"
        lines.append(f"{of.setting.command(of.seeds, folder)}  # {of.missing} trainings, {guess}")
    known = [seconds for seconds in guesses.values() if seconds is not None]
    trainings = sum(of.missing for of in todo)
    total = f"{len(todo)} of {len(planned)} runs, {trainings} trainings"
    unknown = len(guesses) - len(known)
    total += f": about {in_words(sum(known))} on two CPU cores" if known else ""
    total += f"; of {unknown} the time is not known" if unknown else ""
    return [*lines, total if todo else "nothing is missing"]
