"""The command line: flags, config, one dispatch.

    python -m mmix_jax.main --config=PATH[:VARIANT]|NAME[:VARIANT] [--workdir=DIR]
        [--mode=train|eval|embed] [--checkpoint=PATH] [--config.KEY=VALUE …]

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

from mmix_jax.config_files import find_config, load_config
from mmix_jax.errors import InputError
from mmix_jax.surroundings import locked, print_anything, user_path
from mmix_jax.training import interrupts

MODES = ("train", "eval", "embed")
_CONFIG_HELP = "Config file, or the name of one in configs/, with a variant after a colon."


class Command(NamedTuple):
    """What the flags ask for."""

    config: Any
    workdir: Path
    mode: str
    checkpoint: str | None


def _define_flags(config: Any) -> flags.FlagValues:
    from ml_collections import config_flags

    values = flags.FlagValues()
    if config is not None:
        config_flags.DEFINE_config_dict("config", config, flag_values=values)
    flags.DEFINE_string(
        "workdir", None, "Folder of the run; runs/<config>[-<variant>] without.", flag_values=values
    )
    flags.DEFINE_string("mode", "train", f"One of {', '.join(MODES)}.", flag_values=values)
    flags.DEFINE_string(
        "checkpoint", None, "Checkpoint folder to evaluate or embed with.", flag_values=values
    )
    flags.DEFINE_bool("help", False, "Show the flags.", short_name="h", flag_values=values)
    return values


def _take_config(argv: list[str]) -> tuple[str, list[str]]:
    """What --config names, in whichever way absl lets it be written, and the other arguments."""
    given, rest, place = [], [], 0
    while place < len(argv):
        name, equals, value = argv[place].partition("=")
        if name in ("--config", "-config"):
            if not equals:
                place += 1
                value = "".join(argv[place : place + 1])
            given.append(value)
        else:
            rest.append(argv[place])
        place += 1
    if len(given) > 1:
        raise InputError(f"--config must be given once, found {' and '.join(given)}; leave one out")
    return (given[0] if given else ""), rest


@contextlib.contextmanager
def _arguments(argv: list[str]):
    """`argv` in place of the process's own, where ml_collections looks for a config's fields."""
    own, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = own


def _read_flags(argv: list[str], config: Any) -> tuple[flags.FlagValues, list[str]]:
    """Flags and what is left over; every way in which they can be wrong is an InputError."""
    try:
        with _arguments(argv):
            values = _define_flags(config)
            return values, values(argv)
    except Exception as error:  # absl and ml_collections each raise their own
        raise InputError(f"a flag or config cannot be read: {_one_line(error)}") from error


def _parse(argv: list[str]) -> Command:
    """What the arguments ask for, or an InputError."""
    given, argv = _take_config(argv)
    wants_help = bool({"--help", "-h", "--h", "-help"} & set(argv))
    if not given and not wants_help:
        raise InputError(
            "a config must be given, found none; pass --config=digits_graph, which needs no files, "
            "or --help, which lists the configs there are"
        )
    config, path, variant = None, Path(), ""
    if given:
        path, variant = find_config(given)
        config = load_config(path, variant)
        if config is None or "task" not in config:
            raise InputError(
                f"get_config must return a config with a task, found none in {path}; start from "
                "one in configs/"
            )
    values, rest = _read_flags(argv, config)
    if values["help"].value:
        from mmix_jax.experiments.listing import help_text

        described = [("config", _CONFIG_HELP)]
        described += [(name, values[name].help) for name in ("workdir", "mode", "checkpoint")]
        listed = "flags:\n" + "\n".join(f"  --{name}: {text}" for name, text in described)
        print(__doc__, listed, help_text(config, path), sep="\n")
        raise SystemExit(0)
    if len(rest) > 1:
        raise InputError(f"flags only, found '{rest[1]}'; write --name=value")
    mode = values["mode"].value
    if mode not in MODES:
        raise InputError(f"unknown mode '{mode}'; expected one of: {', '.join(MODES)}")
    if values["workdir"].value:
        workdir = user_path(values["workdir"].value, "--workdir")
    else:
        workdir = Path("runs") / (path.stem + (f"-{variant}" if variant else ""))
        print(f"workdir: {workdir}", flush=True)
    checkpoint = values["checkpoint"].value
    if checkpoint and mode == "train":
        raise InputError(
            "--checkpoint is what eval and embed read, found it with mode train, which goes on "
            "from its workdir; add --mode=eval or --mode=embed, or leave it out"
        )
    if checkpoint:
        checkpoint = str(user_path(checkpoint, "--checkpoint"))
    return Command(config, workdir, mode, checkpoint)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:2000] or type(error).__name__


def _run(argv: list[str], interrupted, begin: float) -> None:
    config, workdir, mode, checkpoint = _parse(argv)
    # What is wrong so far is told before jax is imported, which takes seconds.
    from mmix_jax.experiments import programs, read, records
    from mmix_jax.training.loop import time_to_first_step

    config = read(config)
    records.check_record(config, workdir, mode=mode)
    with programs.kept(), time_to_first_step(begin), locked(workdir):
        _carry_out(Command(config, workdir, mode, checkpoint), interrupted)


def _carry_out(command: Command, interrupted) -> None:
    from mmix_jax.experiments import run

    config, workdir, mode, checkpoint = command
    if mode == "embed":
        arrays = run.embed(config, workdir, checkpoint)
        path = _write_arrays(workdir / "embeddings.npz", arrays)
        print(f"wrote {path}: " + ", ".join(f"{n} {a.shape}" for n, a in arrays.items()))
        return

    def report(results) -> None:
        _report(results, workdir, config.representation)

    if mode == "eval":
        run.evaluate_checkpoints(config, workdir, checkpoint, interrupted, report)
    else:
        run.train(config, workdir, interrupted, report)


def _report(results: list, workdir: Path, representation: str) -> None:
    """Write the results, and print them as a table and in a sentence."""
    from mmix_jax.report.headline import training_sentence
    from mmix_jax.report.tables import text_table
    from mmix_jax.results import RESULTS_FILE, write_results

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
    if sentence := training_sentence(results, representation):
        print(sentence, flush=True)


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
    log, level = logging.getLogger("mmix_jax"), logging.getLogger("mmix_jax").level
    # What was read, dropped and scaled is printed; standard error is for what may be wrong.
    told, warned = logging.StreamHandler(sys.stdout), logging.StreamHandler(sys.stderr)
    told.addFilter(lambda record: record.levelno < logging.WARNING)
    warned.setLevel(logging.WARNING)
    log.setLevel(logging.INFO)
    for handler in (told, warned):
        log.addHandler(handler)
    log.propagate = False  # absl would print the line again
    try:
        with interrupts.listening() as asked:
            yield asked
    finally:
        for handler in (told, warned):
            log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = True


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    begin = time.monotonic()
    print_anything()
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
        except BrokenPipeError:  # whoever read what is printed has gone; what is written is whole
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
    return 0


if __name__ == "__main__":
    sys.exit(main())
