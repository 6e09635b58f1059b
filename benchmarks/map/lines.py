"""The file of a map: a line of JSON for each thing that is known."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmix_jax.errors import InputError

FILE = "map.jsonl"
_KEYS = ("rule", "homophily", "signal", "seed", "set")


def key_of(line: Mapping[str, Any]) -> tuple:
    """What the line is of: a rule on a graph, or a data set."""
    return tuple(line.get(key) for key in _KEYS)


class Lines:
    """What a folder knows already, by what it is of. A last line that was cut off is not known, and
    is written over: `damaged` says so.

    Raises:
      InputError: another line is damaged, or of other settings; or the file cannot be read.
    """

    def __init__(self, folder: Path, settings: str):
        self.path, self._settings = folder / FILE, settings
        self.known: dict[tuple, dict[str, Any]] = {}
        try:
            raw = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise InputError(
                f"{self.path} must be a file that can be read, found {error}; choose another --runs"
            ) from error
        whole, _, rest = raw.rpartition(b"\n")
        good = len(raw) - len(rest)
        lines = whole.split(b"\n") if whole else []
        for number, text in enumerate(lines, 1):
            line = _read(text)
            if line is None and number == len(lines) and not rest:
                good -= len(text) + 1
                rest = text
                continue
            self._check(line, number)
            assert line is not None
            self.known[key_of(line)] = line
        self.damaged = bool(rest)
        self._cut = good if rest else None

    def _check(self, line: dict[str, Any] | None, number: int) -> None:
        if line is None:
            raise InputError(
                f"every line of {self.path} but the last must be JSON, found another in line "
                f"{number}; take it out, or choose another --runs"
            )
        if line.get("settings") != self._settings:
            raise InputError(
                f"lines of {self.path} must be of the settings {self._settings}, found "
                f"{line.get('settings')} in line {number}; choose another --runs"
            )

    def add(self, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Append a line, behind what is whole.

        Raises:
          InputError: it cannot be written.
        """
        line = {"settings": self._settings, **key, **values}
        text = json.dumps(line, allow_nan=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if self._cut is not None:
                    file.truncate(self._cut)
                    self._cut = None
                file.write(text.encode())
        except OSError as error:
            raise InputError(
                f"{self.path} must be a file that can be written, found {error}; choose another "
                "--runs"
            ) from error
        self.known[key_of(line)] = line


def _read(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
