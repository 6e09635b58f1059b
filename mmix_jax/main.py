"""The command line: flags, config, one dispatch.

    python -m mmix_jax.main --config=PATH[:VARIANT] [--workdir=DIR] [--mode=train|eval|embed]

Exit status: 0 done; 2 bad input, one `error:` line; 130 interrupted, a checkpoint was saved
(a second interrupt ends at once, and saves nothing more).
"""

import contextlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from mmix_jax.errors import InputError
from mmix_jax.training import interrupts

MODES = ("train", "eval", "embed")


class Command(NamedTuple):
    """What the flags ask for."""

    config: Any
    workdir: Path
    mode: str
    checkpoint: str | None


def _define_flags() -> flags.FlagValues:
    from ml_collections import config_flags

    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        "config", None, "Config file, with a variant after a colon.", flag_values=values
    )
    flags.DEFINE_string(
        "workdir", None, "Folder of the run; runs/<config>[-<variant>] without.", flag_values=values
    )
    flags.DEFINE_string("mode", "train", f"One of {', '.join(MODES)}.", flag_values=values)
    flags.DEFINE_string(
        "checkpoint", None, "Checkpoint folder to evaluate or embed with.", flag_values=values
    )
    flags.DEFINE_bool("help", False, "Show the flags.", short_name="h", flag_values=values)
    return values


def _given_config(argv: list[str]) -> str:
    """PATH[:VARIANT] as it stands in the arguments, whichever way absl lets it be written."""
    for place, argument in enumerate(argv):
        name, equals, value = argument.partition("=")
        if name in ("--config", "-config"):
            return value if equals else "".join(argv[place + 1 : place + 2])
    return ""


@contextlib.contextmanager
def _arguments(argv: list[str]):
    """`argv` in place of the process's own, where ml_collections looks for the config's path."""
    own, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = own


def _read_flags(argv: list[str]) -> tuple[flags.FlagValues, list[str]]:
    """Flags and what is left over; every way in which they can be wrong is an InputError."""
    try:
        with _arguments(argv):
            values = _define_flags()
            return values, values(argv)
    except Exception as error:  # absl, ml_collections and the config file each raise their own
        chain: list[BaseException] = [error]
        while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(cause)
        # ml_collections wraps what a config file raises, its traceback in the text.
        own = next((e for e in reversed(chain) if isinstance(e, InputError)), None)
        if own is not None:
            raise own from error
        cause = chain[-1] if "Traceback" in str(error) else error
        raise InputError(f"a flag or config cannot be read: {_one_line(cause)}") from error


def _parse(argv: list[str]) -> Command:
    """What the arguments ask for, or an InputError."""
    path, _, variant = _given_config(argv).partition(":")
    if path and not Path(path).is_file():
        raise InputError(f"a config must be a file, found no '{path}'; see the folder configs/")
    if not path and not {"--help", "-h", "--h", "-help"} & set(argv):
        raise InputError("no config given; pass --config=configs/digits_graph.py")
    values, rest = _read_flags(argv)
    if values["help"].value:
        from mmix_jax.experiments.listing import help_text

        print(__doc__, values.main_module_help(), help_text(values["config"].value), sep="\n")
        raise SystemExit(0)
    config = values["config"].value
    if config is None or "task" not in config:
        raise InputError("get_config must return a config with a task; start from one in configs/")
    if len(rest) > 1:
        raise InputError(f"flags only, found '{rest[1]}'; write --name=value")
    mode = values["mode"].value
    if mode not in MODES:
        raise InputError(f"unknown mode '{mode}'; expected one of: {', '.join(MODES)}")
    if values["workdir"].value:
        workdir = Path(values["workdir"].value)
    else:
        workdir = Path("runs") / (Path(path).stem + (f"-{variant}" if variant else ""))
        print(f"workdir: {workdir}", flush=True)
    return Command(config, workdir, mode, values["checkpoint"].value)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:1000] or type(error).__name__


def _run(argv: list[str], interrupted, begin: float) -> None:
    config, workdir, mode, checkpoint = _parse(argv)
    # What is wrong so far is told before jax is imported, which takes seconds.
    from mmix_jax.experiments import programs, read, records
    from mmix_jax.training.loop import time_to_first_step

    config = read(config)
    records.check_record(config, workdir, mode=mode)
    with programs.kept(), time_to_first_step(begin):
        _carry_out(Command(config, workdir, mode, checkpoint), interrupted)


def _carry_out(command: Command, interrupted) -> None:
    from mmix_jax.experiments import run
    from mmix_jax.report.tables import text_table
    from mmix_jax.results import RESULTS_FILE, write_results

    config, workdir, mode, checkpoint = command
    if mode == "embed":
        arrays = run.embed(config, workdir, checkpoint)
        path = _write_arrays(workdir / "embeddings.npz", arrays)
        print(f"wrote {path}: " + ", ".join(f"{n} {a.shape}" for n, a in arrays.items()))
        return
    if mode == "eval":
        results = run.evaluate_checkpoints(config, workdir, checkpoint)
    else:
        results = run.train(config, workdir, interrupted)
    if not results:
        print("no labels, so no scores; --mode=embed writes the embeddings")
        return
    try:
        write_results(workdir / RESULTS_FILE, results)
    except OSError as error:
        raise InputError(
            f"results must be writable at {workdir}, found {_one_line(error)}; "
            "choose another --workdir"
        ) from error
    print(text_table(results))


def _write_arrays(path: Path, arrays: dict) -> Path:
    """Write whole or not at all."""
    import numpy as np

    temporary = path.with_name(path.stem + ".tmp.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(temporary, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InputError(
            f"embeddings must be writable at {path}, found {_one_line(error)}; "
            "choose another --workdir"
        ) from error
    return path


@contextlib.contextmanager
def _listening():
    """Take interrupts and the package's warnings for the time of a run; yields what was asked."""
    log, handler = logging.getLogger("mmix_jax"), logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    log.propagate = False  # absl would print the line again
    try:
        with interrupts.listening() as asked:
            yield asked
    finally:
        log.removeHandler(handler)
        log.propagate = True


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    begin = time.monotonic()
    from mmix_jax.training.loop import Interrupted

    with _listening() as asked:
        try:
            _run(sys.argv if argv is None else argv, lambda: bool(asked), begin)
        except InputError as error:
            print(f"error: {_one_line(error)}", file=sys.stderr)
            return 2
        except Interrupted as stop:
            print(
                f"interrupted after step {stop.step}, a checkpoint was saved; "
                "start the same command again to resume",
                file=sys.stderr,
            )
            return interrupts.STATUS
    return 0


if __name__ == "__main__":
    sys.exit(main())
