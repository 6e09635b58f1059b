"""The steps of a plan, each a process of its own with seconds it may take; what is done is kept."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.suite import write_whole
from mmix_jax.errors import InputError

FILE = "plan.json"
GRACE = 25.0  # seconds in which an interrupted step may save what it has
_POLL, _PUBLISH_EVERY = 0.2, 20.0
DONE, FAILED, CUT = "done", "failed", "cut off"


class Step(NamedTuple):
    """A command with its log's name. most: seconds that it may take. A step that was cut off is
    started again by the next call; a training then goes on."""

    name: str
    command: list[str]
    most: float


class Kept:
    """What a folder knows of its plan: `settings` that later calls keep to, and how steps ended.

    Raises:
      InputError: the file is damaged.
    """

    def __init__(self, folder: Path):
        self._path = folder / FILE
        self.settings: dict[str, Any] = {}
        self.steps: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            try:
                content = json.loads(self._path.read_text("utf-8"))
                self.settings, self.steps = content["settings"], content["steps"]
                kinds = [self.settings, self.steps, *self.steps.values()]
                if not all(isinstance(kind, dict) for kind in kinds):
                    raise TypeError("objects are wanted")
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    f"{self._path} must be a plan's record, found {type(error).__name__}; choose "
                    "another --runs"
                ) from error

    def status(self, name: str) -> str:
        """How a step ended; empty where it has not begun."""
        return self.steps.get(name, {}).get("status", "")

    def seconds(self, name: str) -> float:
        """What a step has taken in all calls."""
        return self.steps.get(name, {}).get("seconds", 0.0)

    def write(self) -> None:
        content = {"settings": self.settings, "steps": self.steps}
        write_whole(self._path, json.dumps(content, indent=1) + "\n")


def carry_out(
    step: Step,
    kept: Kept,
    log: Path,
    *,
    environment: Mapping[str, str],
    publish: Callable[[], None],
    interrupted: Callable[[], bool],
) -> str:
    """Run a step, its output into `log`; returns and keeps how it ended.

    Past its seconds, or where somebody interrupts, it is interrupted, which lets a training save
    its state, and killed after `GRACE`. `publish` is called now and then meanwhile.
    """
    begin = published = time.monotonic()
    print(f"{step.name}: at most {step.most:.0f} s", flush=True)
    cut = False
    with log.open("ab") as stream:
        process = subprocess.Popen(
            step.command, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, **environment}, start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None:
                now = time.monotonic()
                if now - begin > step.most or interrupted():
                    cut = True
                    _end(process)
                    break
                if now - published > _PUBLISH_EVERY:
                    publish()
                    published = now
                time.sleep(_POLL)
        finally:
            if process.poll() is None:
                process.kill()
    seconds = time.monotonic() - begin
    status = DONE if process.returncode == 0 else CUT if cut else FAILED
    kept.steps[step.name] = {
        "status": status,
        "seconds": round(kept.seconds(step.name) + seconds, 1),
    }
    kept.write()
    publish()
    print(f"  {status} after {seconds:.0f} s{_last_line(log) if status == FAILED else ''}")
    return status


def _end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").split("\n")
    said = [line for line in lines if line.strip()]
    return f": {said[-1][:300]}" if said else ""


def python(module: str, *arguments: str) -> list[str]:
    """The command of a module, by this interpreter; it ends with this process."""
    return [sys.executable, "-u", "-m", "benchmarks.device.child", module, *arguments]
