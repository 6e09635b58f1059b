"""Planned runs: a config, a variant and changed fields, each in a workdir of its own.

A folder of runs holds, for each, `NAME/`, the program's own workdir, or `NAME.jsonl`, its record:
one line that tells the settings, then the lines of its `results.jsonl`.
"""

import dataclasses
import hashlib
import json
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from mmix_jax.command_line import changed, one_line, open_config
from mmix_jax.config_files import find_config
from mmix_jax.errors import InputError
from mmix_jax.experiments import records
from mmix_jax.experiments.configs import read
from mmix_jax.experiments.schema import Run
from mmix_jax.report.files import write_whole
from mmix_jax.results import RESULTS_FILE, Result, parse_results, read_results, write_results
from mmix_jax.surroundings import locked

# What one line of a record has for all of its results.
_SHARED = ("versions", "device")
_SETTINGS = "settings"
_FLAG = "--runs"
_LONGEST = 180  # bytes of a name; file systems take 255, and writing adds to it


class Setting(NamedTuple):
    """Which run: as it stands in `--config=CONFIG:VARIANT --config.KEY=VALUE`."""

    config: str
    variant: str = ""
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Of its workdir: `cora-mo,mixing_temperature=0.3`, fit for any file system."""
        stem = find_config(self.config)[0].stem
        name = f"{stem}-{quote(self.variant, safe='+')}" if self.variant else stem
        name = ",".join([name, *(f"{key}={quote(text, safe=' ()')}" for key, text in self.changes)])
        return short_name(name)

    @property
    def given(self) -> str:
        """CONFIG:VARIANT."""
        return f"{self.config}:{self.variant}" if self.variant else self.config

    def command(self, seeds: range, folder: Path) -> str:
        """The program's command that does the same."""
        parts = ["python", "-m", "mmix_jax.main", f"--config={self.given}"]
        parts += [f"--config.{key}={text}" for key, text in self.changes]
        if seeds.start:
            parts.append(f"--config.seed={seeds.start}")
        parts += [f"--config.num_seeds={len(seeds)}", f"--workdir={folder / self.name}"]
        return shlex.join(parts)

    def asked(self, seeds: range) -> Run:
        """Its config with these seeds, every value checked.

        Raises:
          InputError: the config is not there, or a field is wrong.
        """
        config, _, _ = open_config(self.given)
        of_seeds = {"seed": str(seeds.start), "num_seeds": str(len(seeds))}
        return read(changed(config, dict(self.changes) | of_seeds))


class Found(NamedTuple):
    """What a folder holds of a run: its settings, flat, and its results."""

    settings: Mapping[str, Any]
    results: list[Result]

    @property
    def seeds(self) -> range:
        """Of its trainings, that are scored."""
        start = int(self.settings.get("seed", 0))
        trained = [r for r in self.results if r.trained and r.steps]
        return range(start, start + min((len(r.seeds) for r in trained), default=0))

    @property
    def seconds(self) -> float:
        """Of all trainings and their evaluation."""
        return max((r.seconds for r in self.results if r.trained and r.steps), default=0.0)


def found(setting: Setting, folder: Path) -> Found | None:
    """What the folder holds of a run, its workdir before its record; None without scores.

    Raises:
      InputError: what is there is damaged.
    """
    workdir, record = folder / setting.name, folder / f"{setting.name}.jsonl"
    if (workdir / RESULTS_FILE).is_file() and (workdir / "config.json").is_file():
        settings = records.read_record(workdir / "config.json", flag=_FLAG)
        if results := read_results(workdir / RESULTS_FILE):
            return Found(settings, results)
    there = _read_record(record) if record.is_file() else None
    return there if there is not None and there.results else None


def check(setting: Setting, seeds: range, folder: Path) -> None:
    """Refuse a folder that holds the run with other settings; fewer or more seeds are none.

    Raises:
      InputError: names the fields that differ, and what a config is wrong in.
    """
    config, workdir = setting.asked(seeds), folder / setting.name
    there = found(setting, folder)
    recorded = [dict(there.settings)] if there is not None else []
    if (workdir / "config.json").is_file():
        recorded.append(records.read_record(workdir / "config.json", flag=_FLAG))
    for settings in recorded:
        more = max(len(seeds), settings.get("num_seeds", 0))
        asked = dataclasses.replace(config, num_seeds=more)
        records.check_settings(asked, settings, workdir, flag=_FLAG, fixed=True)


def missing(setting: Setting, seeds: range, folder: Path) -> int:
    """How many of the trainings have no scores in the folder."""
    there = found(setting, folder)
    return len(seeds) if there is None else max(0, len(seeds) - len(there.seeds))


def carry_out(
    setting: Setting, seeds: range, folder: Path, interrupted: Callable[[], bool]
) -> list[Result]:
    """Train what is not there, evaluate, and write the results; goes on where it was cut off.

    Raises:
      InputError: as the program; MissingData where the data set is nowhere.
      Interrupted: a checkpoint was saved.
    """
    import jax

    from mmix_jax.experiments import programs
    from mmix_jax.experiments.run import train

    workdir = folder / setting.name
    path = workdir / "config.json"
    if path.is_file():  # the seeds of a run only grow, and those before have their scores
        there = records.read_record(path, flag=_FLAG).get("num_seeds", 0)
        seeds = range(seeds.start, seeds.start + max(len(seeds), there))

    def report(results: list[Result]) -> None:
        try:
            write_results(workdir / RESULTS_FILE, results)
        except OSError as error:
            raise InputError(
                f"results must be writable at {workdir}, found {one_line(error)}; "
                f"choose another {_FLAG}"
            ) from error

    with programs.kept(), locked(workdir, flag=_FLAG):
        results = train(setting.asked(seeds), workdir, interrupted, report)
    jax.clear_caches()  # the next run has other programs
    return results


def write_record(setting: Setting, there: Found, folder: Path) -> Path:
    """Write a run's record, from which its rows of a table come again.

    Raises:
      InputError: it cannot be written.
    """
    shared = {name: getattr(there.results[0], name) for name in _SHARED}
    # All of them: defaults may change. Where the data lay is nobody's business.
    own = {key: value for key, value in sorted(there.settings.items()) if key != "data_dir"}
    lines = [json.dumps({_SETTINGS: own} | shared)]
    for result in there.results:
        values = dataclasses.asdict(result)
        lines.append(json.dumps({k: v for k, v in values.items() if v != shared.get(k)}))
    text = "\n".join(lines) + "\n"
    return write_whole(
        folder / f"{setting.name}.jsonl",
        lambda path: path.write_text(text, "utf-8"),
        what="records",
        flag="--collect",
    )


def _read_record(path: Path) -> Found:
    try:
        first, *rest = path.read_text("utf-8").strip("\n").split("\n")
        head = json.loads(first)
        settings = records.checked_record(head[_SETTINGS], path, flag=_FLAG)
        shared = {name: head[name] for name in _SHARED}
        lines = [json.dumps(shared | json.loads(line)) for line in rest]
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"a record must tell settings in its first line and a result in each other, found "
            f"{path} damaged ({type(error).__name__}: {error}); remove it, or write it anew"
        ) from error
    return Found(settings, parse_results(lines, path, first=2))


def writable(folder: Path, flag: str = _FLAG) -> None:
    """Raise InputError where a folder cannot be made or written; it is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{flag} must be a folder, found {folder}: {error.strerror}; name another"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{flag} must be writable, found {folder}; name another")


def short_name(name: str) -> str:
    """The name, or its beginning and a hash where a file system would not take it whole."""
    coded = name.encode()
    if len(coded) <= _LONGEST:
        return name
    begin = coded[: _LONGEST - 9].decode(errors="ignore")
    return f"{begin}~{hashlib.sha256(coded).hexdigest()[:8]}"
