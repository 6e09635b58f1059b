"""The program in this process, on a graph of thirty nodes, and what is expected of its errors."""

import contextlib
import dataclasses
import io
import pathlib
import re
import signal
import sys
import warnings
from typing import NamedTuple

from mmix_jax import main
from mmix_jax.results import read_results

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
BAR = re.compile(r"\d+%\|")  # a progress bar's line
QUICK = ("--config.width=8", "--config.num_devices=1")


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def told(self) -> list[str]:
        """Lines on standard error, progress bars aside."""
        lines = re.split(r"[\r\n]+", self.err)
        return [line for line in lines if line.strip() and not BAR.search(line)]


def run(*arguments, process: tuple[str, ...] = ()) -> Ran:
    """The program in this process, with its exit status and all that it prints.

    `process` is what sys.argv holds meanwhile; the same arguments without it.
    """
    argv = ["mmix_jax.main", *map(str, arguments)]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = list(process) or argv
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            # ml_collections loads config files in an old way, one into the other's module
            sys.modules.pop("config_config", None)
            warnings.filterwarnings("ignore", "the load_module", DeprecationWarning)
            try:
                status = main.main(argv)
            except SystemExit as stop:
                status = stop.code
    finally:
        sys.argv = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Ran(status, out.getvalue(), err.getvalue())


def refused(ran: Ran, *words: str) -> None:
    """Exit status 2 and exactly one line, which holds these words."""
    assert ran.status == 2, ran
    assert len(ran.told) == 1, ran.told
    assert ran.told[0].startswith("error: ")
    assert "Traceback" not in ran.err + ran.out
    for word in words:
        assert word in ran.told[0]


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def numbers(workdir: pathlib.Path):
    """The results but for the time they took."""
    results = read_results(workdir / "results.jsonl")
    return [dataclasses.replace(result, seconds=0.0) for result in results]


def steps_of(workdir: pathlib.Path) -> list[int]:
    folder = workdir / "checkpoints" / "seed_0"
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
