"""Checks, times and trains on a machine with an accelerator, within seconds that are known before.

    python -m benchmarks.device [--budget_s=540] [--runs=DIR] [--out=DIR] [--data_dir=DIR]
        [--rules RULE …] [--epochs=N] [--quick]

It checks the authors' numbers and the streamed loss against the dense one, times epochs of
ResNet-18, large losses and graphs, names the costliest operations, and trains CIFAR-10 by the
strong recipe: the first two rules for as many epochs as the budget lets both have, further ones
if time is left for as many. --epochs says how many. PyTorch is timed last, where it is installed.

--runs (default runs/device) keeps workdirs and logs. --out (default RUNS/out) gets what is wanted
elsewhere, as it comes, in files of 16 MiB at most: device.json, logs.tar.gz, and the encoders of
the first two rules. The same command does what is not done yet: trainings go on where they stand,
a measure that was cut off begins anew. --quick tries all of it on a CPU in a few minutes.

Exit status: 0 done; 1 a step failed, its log says why; 2 bad input, one `error:` line; 130
interrupted, or out of time: the same command goes on.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import suite, timing
from benchmarks.device.home import bring, rows_in
from benchmarks.device.plan import CUT, DONE, FAILED, GRACE, Kept, Step, carry_out, python
from benchmarks.suite import Row
from mmix_jax import command_line
from mmix_jax.data.images.cifar_source import find_original, search_places
from mmix_jax.data.images.prepared_images import find_prepared
from mmix_jax.errors import InputError
from mmix_jax.fields import unknown
from mmix_jax.surroundings import locked, user_path
from mmix_jax.training import interrupts

# Seconds that each may take. The machine is asked by every call.
MACHINE = ("machine", 60.0)
MEASURES = {
    "checks": 60.0,
    "epochs": 60.0,
    "epochs_large": 60.0,
    "epochs_small": 60.0,
    "loss": 60.0,
    "graphs": 60.0,
    "profile": 45.0,
}
TORCH = ("versus_torch", 120.0)
RULES = ("none", "mo_op", "mo_all", "mp", "binary", "i_mix")
FURTHER_RULES = ("mp_all", "mp_nodiv", "random", "negatives")
_FIRST = 2  # rules that share the budget, and whose encoders come home
# Beside a training's epochs: start, compiling, both evaluations, figures.
_AROUND = 45.0
_PACKING = 15.0
_MOST_EPOCHS = 1000  # of the recipe
_LEAST = 20.0  # seconds that a step is worth starting for


class Plan:
    """One call: what is left of its budget, its folders, and how steps ended."""

    def __init__(
        self, args: argparse.Namespace, runs: Path, out: Path, interrupted: Callable[[], bool]
    ):
        self.begin, self.args, self.interrupted = time.monotonic(), args, interrupted
        self.runs, self.out, self.kept = runs, out, Kept(runs)
        self.environment = {"MMIX_DATA_DIR": args.data_dir} if args.data_dir else {}

    @property
    def left(self) -> float:
        """Seconds of the budget."""
        return self.args.budget_s - (time.monotonic() - self.begin)

    def rows(self, name: str) -> list[Row]:
        return rows_in(self.runs / f"{name}.jsonl")

    def run(self, name: str, command: list[str], most: float) -> str:
        """How a step ends, or has ended.

        Raises:
          SystemExit: there is no time for it, or somebody interrupts.
        """
        if self.kept.status(name) == DONE:
            return DONE
        if self.left < _LEAST or self.interrupted():
            print(f"{name}: no time is left")
            raise SystemExit(interrupts.STATUS)
        status = carry_out(
            Step(name, command, min(most, max(self.left - GRACE, _LEAST / 2))),
            self.kept,
            self.runs / f"{name}.log",
            environment=self.environment,
            publish=self.publish,
            interrupted=self.interrupted,
        )
        if self.interrupted():
            raise SystemExit(interrupts.STATUS)
        return status

    def measure(self, name: str, most: float) -> list[Row]:
        """The rows of a measure; what a cut-off one had measured before is measured anew."""
        path = self.runs / f"{name}.jsonl"
        if self.kept.status(name) != DONE:
            path.unlink(missing_ok=True)
        flags = ["--quick"] if self.args.quick else []
        self.run(name, python("benchmarks.device.measures", name, str(path), *flags), most)
        return self.rows(name)

    def train(self, rule: str, epochs: int, most: float) -> str:
        """A training by the strong recipe, to its end."""
        name, config = f"train_{rule}", f"cifar10:strong+{rule}"
        changes = [f"--workdir={self.runs / name}", "--config.figures=True"]
        changes.append(f"--config.num_epochs={epochs}")
        if self.args.quick:
            config += "+smoke"
        status = self.run(name, python("mmix_jax.main", f"--config={config}", *changes), most)
        if status == DONE and self.args.rules.index(rule) < _FIRST:
            places = [f"--from={self.runs / name}", f"--to={self.out}"]
            command = python("benchmarks.device.weights", "pack", rule, *places)
            status = self.run(f"pack_{rule}", command, 60.0)
        return status

    def publish(self) -> None:
        """Bring what there is to --out; what cannot be written is told, and ends no step."""
        measures = (MACHINE[0], *MEASURES, TORCH[0])
        content = {
            "settings": self.kept.settings,
            "steps": self.kept.steps,
            "measures": {name: self.rows(name) for name in measures},
        }
        try:
            bring(self.runs, self.out, content)
        except OSError as error:
            print(f"  {self.out} cannot be written now: {error}", file=sys.stderr)

    def epochs(self) -> int:
        """Epochs of each training, settled at the first and kept: what fits the first two.

        Raises:
          InputError: others were settled, or no seconds of an epoch are known.
        """
        asked, settled = self.args.epochs, self.kept.settings.get("epochs")
        if settled and asked not in (None, settled):
            raise InputError(
                f"trainings in {self.runs} must be of one length, found {settled} epochs and "
                f"--epochs={asked}; leave it out, or choose another --runs"
            )
        settled = settled or asked or (1 if self.args.quick else self._fitting())
        self.kept.settings["epochs"] = settled
        self.kept.write()
        return settled

    def _fitting(self) -> int:
        seconds = [row["seconds"] for row in self.rows("epochs") if "seconds" in row]
        if not seconds:
            raise InputError(
                "epochs of a training follow from the seconds of one, found none measured (see "
                "epochs.log); pass --epochs"
            )
        each = self.left / min(_FIRST, len(self.args.rules)) - _AROUND - _PACKING
        return max(1, min(_MOST_EPOCHS, int(each / (1.1 * max(seconds)))))

    def longest(self) -> float:
        """Seconds of the longest training that is done."""
        done = [f"train_{rule}" for rule in self.args.rules]
        return max((self.kept.seconds(n) for n in done if self.kept.status(n) == DONE), default=0.0)


def _check_machine(plan: Plan) -> None:
    """Ask the machine, and refuse one that the plan is not for."""
    plan.kept.steps.pop(MACHINE[0], None)
    rows = plan.measure(*MACHINE)
    if not rows:
        raise InputError("the machine must be known first, found no answer; see machine.log")
    found = {name: rows[0][name] for name in ("hardware", "versions")}
    print(timing.describe(found))
    if found["hardware"]["platform"] == "cpu" and not plan.args.quick:
        raise InputError("the plan is for an accelerator, found a CPU alone; --quick tries it here")
    now = {"quick": plan.args.quick, "device": found["hardware"]["device"]}
    for name, value in now.items():
        if plan.kept.settings.setdefault(name, value) != value:
            raise InputError(
                f"{plan.runs} must be of a call like this, found one with {name} "
                f"{plan.kept.settings[name]}, now {value}; choose another --runs"
            )
    plan.kept.write()


def _carry_out(plan: Plan) -> None:
    """All steps in order.

    Raises:
      SystemExit: some are not done; 1 where one failed, else as if interrupted.
    """
    args = plan.args
    _check_machine(plan)
    for name, most in MEASURES.items():
        plan.measure(name, most)
    epochs = plan.epochs()
    for number, rule in enumerate(args.rules):
        most = plan.left / max(_FIRST - number, 1) - _PACKING
        if number >= _FIRST and plan.kept.status(f"train_{rule}") != DONE:
            if any(plan.kept.status(f"train_{first}") != DONE for first in args.rules[:_FIRST]):
                break
            if plan.left < 1.2 * plan.longest():
                print(f"train_{rule}: no time is left for {epochs} epochs")
                break
        plan.train(rule, epochs, most)
    if plan.left >= _LEAST:
        plan.measure(*TORCH)
    wanted = [*MEASURES, *(f"train_{rule}" for rule in args.rules), TORCH[0]]
    wanted += [f"pack_{rule}" for rule in args.rules[:_FIRST]]
    statuses = {name: plan.kept.status(name) for name in wanted}
    _show(plan)
    if FAILED in statuses.values():
        raise SystemExit(1)
    if any(status in ("", CUT) for status in statuses.values()):
        left = ", ".join(name for name, status in statuses.items() if status != DONE)
        print(f"not done: {left}; the same command goes on")
        raise SystemExit(interrupts.STATUS)


def _show(plan: Plan) -> None:
    for name in (*MEASURES, TORCH[0]):
        if rows := plan.rows(name):
            print(f"\n{name}\n{suite.text_table(rows)}")
    print(f"\nwhat comes home: {plan.out}")


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = command_line.parser("device", __doc__, package="benchmarks")
    add = parser.add_argument
    add("--budget_s", type=float, default=540.0, help="seconds of this call; default: 540")
    add("--runs", default="runs/device", metavar="DIR", help="default: %(default)s")
    add("--out", metavar="DIR", help="default: RUNS/out")
    add("--data_dir", help="folder of the data sets; default: $MMIX_DATA_DIR")
    add("--rules", nargs="+", metavar="RULE", help=f"default: {' '.join(RULES)}; quick: two")
    add("--epochs", type=command_line.positive, metavar="N", help="default: what fits")
    add("--quick", action="store_true", help="tiny sizes, to try it on a CPU")
    args = parser.parse_args(argv[1:])
    args.rules = args.rules or list(RULES[: _FIRST if args.quick else None])
    for rule in args.rules:
        if rule not in (*RULES, *FURTHER_RULES):
            raise InputError(unknown("rule", rule, (*RULES, *FURTHER_RULES)))
        if args.rules.count(rule) > 1:
            raise InputError(f"--rules must name each once, found {rule} again; leave one out")
    if not _LEAST <= args.budget_s < float("inf"):
        raise InputError(f"--budget_s must be {_LEAST:.0f} or more, found {args.budget_s:g}")
    if args.data_dir:
        args.data_dir = str(user_path(args.data_dir, "--data_dir").absolute())
    return args


def _check_data(args: argparse.Namespace) -> None:
    """Before minutes are spent: the images are there, or are drawn."""
    if args.quick or find_original("cifar10", args.data_dir):
        return
    if find_prepared("cifar10", search_places(args.data_dir)) is None:
        raise InputError(
            "CIFAR-10's files must be at hand before the plan begins, found none in --data_dir, "
            "$MMIX_DATA_DIR or the cache; docs/use/data.md says which"
        )


def _run(argv: list[str], interrupted: Callable[[], bool]) -> None:
    args = _arguments(argv)
    _check_data(args)
    runs = user_path(args.runs, "--runs")
    out = user_path(args.out, "--out") if args.out else runs / "out"
    with locked(runs, flag="--runs"):
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out must be a folder to write in, found {error}") from error
        _carry_out(Plan(args, runs, out, interrupted))


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    return command_line.run(_run, argv)


if __name__ == "__main__":
    sys.exit(main())
