"""The command line: flags, config, one dispatch.

    python -m mmix_jax.main --config=PATH[:VARIANT]|NAME[:VARIANT] [--workdir=DIR]
        [--mode=train|eval|embed] [--checkpoint=PATH|pretrained:NAME] [--config.KEY=VALUE …]

With a checkpoint that tells its settings, as those of workdirs, saved models and the pretrained
ones do, --config may be left out.

Exit status: 0 done; 2 bad input, one `error:` line; 130 interrupted, a checkpoint was saved
(a second interrupt ends at once, and saves nothing more).
"""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from mmix_jax.command_line import (
    CONFIG_HELP,
    one_line,
    open_config,
    read_flags,
    run,
    take,
)
from mmix_jax.errors import InputError
from mmix_jax.pretrained import PREFIX
from mmix_jax.pretrained.places import place_of, settings_of
from mmix_jax.surroundings import locked, user_path

MODES = ("train", "eval", "embed")


class Command(NamedTuple):
    """What the flags ask for."""

    config: Any
    workdir: Path
    mode: str
    checkpoint: str | None


def _define_flags(values: Any) -> None:
    from absl import flags

    flags.DEFINE_string(
        "workdir", None, "Folder of the run; runs/<config>[-<variant>] without.", flag_values=values
    )
    flags.DEFINE_string("mode", "train", f"One of {', '.join(MODES)}.", flag_values=values)
    flags.DEFINE_string(
        "checkpoint",
        None,
        "What to evaluate or embed with: a folder of checkpoints, a workdir, a saved model, or "
        f"{PREFIX}NAME (python -m mmix_jax.pretrained lists them).",
        flag_values=values,
    )
    flags.DEFINE_bool("help", False, "Show the flags.", short_name="h", flag_values=values)


def _parse(argv: list[str]) -> Command:
    """What the arguments ask for, or an InputError."""
    given, argv = take(argv, "config")
    wants_help = bool({"--help", "-h", "--h", "-help"} & set(argv))
    checkpoint = take(argv, "checkpoint")[0]
    if not given and checkpoint is None and not wants_help:
        raise InputError(
            "a config must be given, found none; pass --config=digits_graph, which needs no files, "
            "or --help, which lists the configs there are"
        )
    config, path, name = None, Path(), ""
    if given:
        config, path, variant = open_config(given)
        name = path.stem + (f"-{variant}" if variant else "")
    elif checkpoint is not None and not wants_help:
        config, name = settings_of(checkpoint, "--checkpoint")
    values, rest = read_flags(argv, config, _define_flags)
    if values["help"].value:
        from mmix_jax.experiments.listing import help_text

        described = [("config", CONFIG_HELP)]
        described += [(name, values[name].help) for name in ("workdir", "mode", "checkpoint")]
        listed = "flags:\n" + "\n".join(f"  --{name}: {text}" for name, text in described)
        print(__doc__, listed, help_text(config, path), sep="\n")
        raise SystemExit(0)
    if len(rest) > 1:
        raise InputError(f"flags only, found '{rest[1]}'; write --name=value")
    mode = values["mode"].value
    if mode not in MODES:
        raise InputError(f"unknown mode '{mode}'; expected one of: {', '.join(MODES)}")
    if checkpoint is not None and mode == "train":
        raise InputError(
            "--checkpoint is what eval and embed read, found it with mode train, which goes on "
            "from its workdir; add --mode=eval or --mode=embed, or leave it out"
        )
    if values["workdir"].value:
        workdir = user_path(values["workdir"].value, "--workdir")
    else:
        workdir = Path("runs") / name
        print(f"workdir: {workdir}", flush=True)
    if checkpoint is not None and mode == "eval" and (workdir / "checkpoints").exists():
        raise InputError(
            f"results of a checkpoint want a workdir of their own, found the trainings of {workdir}"
            "; choose another --workdir"
        )
    place = None if checkpoint is None else str(place_of(checkpoint, "--checkpoint"))
    return Command(config, workdir, mode, place)


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
    from mmix_jax.experiments.run import embed, evaluate_checkpoints, train

    config, workdir, mode, checkpoint = command
    if mode == "embed":
        arrays = embed(config, workdir, checkpoint)
        path = _write_arrays(workdir / "embeddings.npz", arrays)
        print(f"wrote {path}: " + ", ".join(f"{n} {a.shape}" for n, a in arrays.items()))
        return

    def report(results) -> None:
        _report(results, workdir, config.representation)

    if mode == "eval":
        evaluate_checkpoints(config, workdir, checkpoint, interrupted, report)
    else:
        train(config, workdir, interrupted, report)


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
            f"results must be writable at {workdir}, found {one_line(error)}; "
            "choose another --workdir"
        ) from error
    print(text_table(results))
    if beyond := results[0].beyond:
        print(f"beyond the paper: {beyond}")
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
            f"embeddings must be writable at {path}, found {one_line(error)}; "
            "choose another --workdir"
        ) from error
    return path


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    begin = time.monotonic()
    return run(lambda argv, interrupted: _run(argv, interrupted, begin), argv)


if __name__ == "__main__":
    sys.exit(main())
