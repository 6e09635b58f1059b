"""Checks, times and trains on a machine with an accelerator, within seconds that are known before.

    python -m benchmarks.device [--budget_s=540] [--runs=DIR] [--out=DIR] [--data_dir=DIR]
        [--rules RULE …] [--epochs=N] [--quick]

It checks the authors' numbers and the streamed loss against the dense one, times epochs of
ResNet-18, large losses and graphs, names the costliest operations, and trains CIFAR-10 by the
strong recipe: the first two rules for as many epochs as the budget lets both have, further ones
if time is left for as many. --epochs says how many. PyTorch is timed last, where it is installed.

--runs (default runs/device) keeps workdirs and logs. --out (default RUNS/out) gets what is wanted
elsewhere, as it comes, in files of 16 MiB at most: device.json, logs.tar.gz, and the encoders of
the first two rules. Who is cut off loses nothing: the same command does what is not done yet, and
goes on with trainings where they stand. --quick tries all of it on a CPU in a few minutes.

Exit status: 0 done; 1 a step failed, its log says why; 2 bad input, one `error:` line; 130
interrupted, or out of time: the same command goes on.
"""

import argparse
import json
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import suite, timing
from benchmarks.device.plan import CUT, FAILED, Kept, Step, carry_out, python
from benchmarks.suite import Row, write_whole
from mmix_jax import command_line
from mmix_jax.errors import InputError
from mmix_jax.experiments import IMAGE_VARIANTS
from mmix_jax.fields import unknown
from mmix_jax.surroundings import locked, user_path
from mmix_jax.training import interrupts

# Seconds that each may take; the machine's own line comes first, and tells what it is.
MEASURES = {"machine": 60.0, "checks": 60.0, "epochs": 120.0, "large": 60.0, "profile": 45.0}
TORCH = ("versus_torch", 120.0)
# Beside a training's epochs: start, compiling, both evaluations, figures, packing.
_AROUND = 45.0
_MOST_EPOCHS = 1000  # of the recipe
_LEAST = 20.0  # seconds that a step is worth starting for
_RULES = ("none", "mo_op", "mo_all", "mp", "binary", "i_mix")
_FIRST = 2  # rules that share the budget, and whose encoders come home


class Plan:
    """One call: what is left of its budget, its folders, and how steps ended."""

    def __init__(self, args: argparse.Namespace, interrupted: Callable[[], bool]):
        self.begin, self.args, self.interrupted = time.monotonic(), args, interrupted
        self.runs = user_path(args.runs, "--runs")
        self.out = user_path(args.out, "--out") if args.out else self.runs / "out"
        for folder, flag in ((self.runs, "--runs"), (self.out, "--out")):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"{flag} must be a folder to write in, found {error}") from error
        self.kept = Kept(self.runs)
        quick = self.kept.settings.setdefault("quick", args.quick)
        if quick != args.quick:
            found = "with" if quick else "without"
            raise InputError(
                f"{self.runs} must be of a call like this, found one {found} --quick; choose "
                "another --runs"
            )
        self.environment = {"MMIX_DATA_DIR": args.data_dir} if args.data_dir else {}
        self.failed = False

    @property
    def left(self) -> float:
        """Seconds of the budget."""
        return self.args.budget_s - (time.monotonic() - self.begin)

    def rows(self, name: str) -> list[Row]:
        path = self.runs / f"{name}.jsonl"
        lines = path.read_text("utf-8").split("\n") if path.exists() else []
        return [json.loads(line) for line in lines[:-1]]  # the last is empty, or was cut off

    def run(self, name: str, command: list[str], most: float) -> None:
        """A step, unless it is done or there is no time for it."""
        if self.kept.done(name):
            return
        if self.left < _LEAST or self.interrupted():
            print(f"{name}: no time is left")
            raise SystemExit(interrupts.STATUS)
        status = carry_out(
            Step(name, command, min(most, self.left)),
            self.kept,
            self.runs / f"{name}.log",
            environment=self.environment,
            publish=self.publish,
            interrupted=self.interrupted,
        )
        self.failed |= status == FAILED
        if self.interrupted() or (status == CUT and self.left < _LEAST):
            raise SystemExit(interrupts.STATUS)

    def measure(self, name: str, most: float) -> list[Row]:
        """The rows of a measure; what a cut-off one had measured before is measured anew."""
        path = self.runs / f"{name}.jsonl"
        if not self.kept.done(name):
            path.unlink(missing_ok=True)
        flags = ["--quick"] if self.args.quick else []
        self.run(name, python("benchmarks.device.measures", name, str(path), *flags), most)
        return self.rows(name)

    def train(self, rule: str, epochs: int, most: float) -> None:
        """A training by the strong recipe, to its end."""
        name, changes = f"train_{rule}", [f"--config.num_epochs={epochs}"]
        workdir = self.runs / name
        config = f"cifar10:strong+{rule}" + ("+smoke" if self.args.quick else "")
        changes += [f"--workdir={workdir}", "--config.figures=True"]
        self.run(name, python("mmix_jax.main", f"--config={config}", *changes), most)
        if self.kept.done(name) and self.args.rules.index(rule) < _FIRST:
            places = [f"--from={workdir}", f"--to={self.out}"]
            command = python("benchmarks.device.weights", "pack", rule, *places)
            self.run(f"pack_{rule}", command, 60.0)

    def publish(self) -> None:
        """Bring what there is to --out."""
        content = {"settings": self.kept.settings, "steps": self.kept.steps}
        content["measures"] = {name: self.rows(name) for name in (*MEASURES, TORCH[0])}
        write_whole(self.out / "device.json", json.dumps(content, indent=1) + "\n")
        archive = self.out / "logs.tar.gz"
        with tarfile.open(archive.with_suffix(".tmp"), "w:gz") as tar:
            for path in sorted(self.runs.rglob("*")):
                if path.suffix in (".log", ".json", ".jsonl", ".png") and self._is_small(path):
                    tar.add(path, path.relative_to(self.runs))
        archive.with_suffix(".tmp").replace(archive)

    def _is_small(self, path: Path) -> bool:
        apart = "checkpoints" in path.parts or self.out in path.parents
        return not apart and path.is_file() and path.stat().st_size < 2**20

    def epochs(self, rows: list[Row]) -> int:
        """Epochs of each training, settled at the first and kept: what fits the first two."""
        settled = self.args.epochs or self.kept.settings.get("epochs")
        if not settled:
            if not rows:
                raise InputError(
                    "epochs of a training follow from the seconds of one, found none measured; "
                    "pass --epochs"
                )
            # The recipe's batch is measured first.
            seconds = max(row["seconds"] for row in rows if row["batch"] == rows[0]["batch"])
            each = self.left / min(_FIRST, len(self.args.rules)) - _AROUND
            settled = max(1, min(_MOST_EPOCHS, int(each / (1.1 * seconds))))
        self.kept.settings["epochs"] = settled
        self.kept.write()
        return settled


def _show(plan: Plan) -> None:
    for name in (*MEASURES, TORCH[0]):
        rows = [row for row in plan.rows(name) if "hardware" not in row]
        if rows:
            print(f"\n{name}\n{suite.text_table(rows)}")
    print(f"\nwhat comes home: {plan.out}")


def _run(argv: list[str], interrupted: Callable[[], bool]) -> None:
    parser = command_line.parser("device", __doc__, package="benchmarks")
    add = parser.add_argument
    add("--budget_s", type=float, default=540.0, help="seconds of this call; default: 540")
    add("--runs", default="runs/device", metavar="DIR", help="default: %(default)s")
    add("--out", metavar="DIR", help="default: RUNS/out")
    add("--data_dir", help="folder of the data sets; default: $MMIX_DATA_DIR")
    add("--rules", nargs="+", metavar="RULE", help=f"default: {' '.join(_RULES)}; quick: two")
    add("--epochs", type=command_line.positive, metavar="N", help="default: what fits")
    add("--quick", action="store_true", help="tiny sizes, to try it on a CPU")
    args = parser.parse_args(argv[1:])
    args.rules = args.rules or list(_RULES[: _FIRST if args.quick else None])
    for rule in args.rules:
        if rule not in IMAGE_VARIANTS:
            raise InputError(unknown("rule", rule, IMAGE_VARIANTS))
    if not _LEAST <= args.budget_s < float("inf"):
        raise InputError(f"--budget_s must be {_LEAST:.0f} or more, found {args.budget_s:g}")
    plan = Plan(args, interrupted)
    with locked(plan.runs, flag="--runs"):
        _carry_out(plan)
    if plan.failed:
        raise SystemExit(1)


def _carry_out(plan: Plan) -> None:
    args = plan.args
    for name, most in MEASURES.items():
        rows = plan.measure(name, most)
        if name == "machine":
            _check_machine(rows, args.quick)
    epochs = 1 if args.quick else plan.epochs(plan.rows("epochs"))
    longest = 0.0
    for number, rule in enumerate(args.rules):
        most = plan.left / max(_FIRST - number, 1)
        if number >= _FIRST and plan.left < 1.3 * longest:
            print(f"train_{rule}: no time is left for {epochs} epochs")
            break
        begin = time.monotonic()
        plan.train(rule, epochs, most)
        longest = max(longest, time.monotonic() - begin)
    plan.measure(*TORCH)
    _show(plan)


def _check_machine(rows: list[Row], quick: bool) -> None:
    if not rows:
        raise InputError("the machine must be known first, found no answer; see machine.log")
    print(timing.describe(rows[0]))  # type: ignore[arg-type]
    if rows[0]["hardware"]["platform"] == "cpu" and not quick:
        raise InputError("the plan is for an accelerator, found a CPU alone; --quick tries it here")


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    return command_line.run(_run, argv)


if __name__ == "__main__":
    sys.exit(main())
