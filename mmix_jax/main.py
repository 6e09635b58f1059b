"""The command line: flags, config, one dispatch.

    python -m mmix_jax.main --config=PATH[:VARIANT]|NAME[:VARIANT] [--workdir=DIR]
        [--mode=train|eval|embed] [--checkpoint=PATH|pretrained:NAME] [--config.KEY=VALUE …]
        [--coordinator=HOST:PORT --num_processes=K --process_id=I | --distributed] [--silence_s=S]

With a checkpoint that tells its settings, as those of workdirs, saved models and the pretrained
ones do, --config may be left out. K processes, each with its devices, train as one program with all
of them; started by the same command but for I, or as a cluster starts its tasks (--distributed).

Exit status: 0 done; 2 bad input, one `error:` line; 3 another process of the run is gone or
disagrees, one `error:` line; 130 interrupted, a checkpoint was saved (a second interrupt ends at
once, and saves nothing more).
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
from mmix_jax.processes import supervisor
from mmix_jax.processes.group import group
from mmix_jax.processes.joining import SILENCE_S, Joining, read_joining
from mmix_jax.surroundings import locked, user_path

MODES = ("train", "eval", "embed")


class Command(NamedTuple):
    """What the flags ask for."""

    config: Any
    workdir: Path
    mode: str
    checkpoint: str | None
    joining: Joining | None = None


_OF_PROCESSES = {
    "coordinator": "HOST:PORT at which process 0 of several listens.",
    "num_processes": "Processes of the run.",
    "process_id": "Which of them this is, from 0; process 0 writes and prints.",
    "silence_s": f"Seconds until a silent process counts as gone; default {SILENCE_S}.",
}


def _joining(argv: list[str]) -> tuple[Joining | None, list[str]]:
    """How to join a run of several processes (None: alone), and the other arguments.

    Raises:
      InputError: as `read_joining`.
    """
    given, rest = {}, argv
    for name in _OF_PROCESSES:
        given[name], rest = take(rest, name)
    joining = read_joining(*given.values(), detected="--distributed" in rest)
    return joining, [argument for argument in rest if argument != "--distributed"]


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
    # What is read of these stands in `_joining`; here they are described, and known.
    for name, text in _OF_PROCESSES.items():
        flags.DEFINE_string(name, None, text, flag_values=values)
    flags.DEFINE_bool(
        "distributed",
        False,
        "Take these from the cluster: SLURM, Open MPI, Kubernetes, TPU pods.",
        flag_values=values,
    )
    flags.DEFINE_bool("help", False, "Show the flags.", short_name="h", flag_values=values)


def _parse(argv: list[str]) -> Command:
    """What the arguments ask for, or an InputError."""
    joining, argv = _joining(argv)
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
        names = ("workdir", "mode", "checkpoint", *_OF_PROCESSES, "distributed")
        described += [(name, values[name].help) for name in names]
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
    if values["distributed"].value:  # that of `_joining` is not among these any more
        raise InputError("--distributed takes no value, found one; write it as it is")
    if joining is not None and mode != "train":
        raise InputError(
            f"several processes train together, found mode {mode}; leave --mode out, and call it "
            "by itself once they are done"
        )
    if values["workdir"].value:
        workdir = user_path(values["workdir"].value, "--workdir")
    else:
        workdir = Path("runs") / name
        if joining is None or joining.rank == 0:  # of several, process 0's
            print(f"workdir: {workdir}", flush=True)
    if checkpoint is not None and mode == "eval" and (workdir / "checkpoints").exists():
        raise InputError(
            f"results of a checkpoint want a workdir of their own, found the trainings of {workdir}"
            "; choose another --workdir"
        )
    place = None if checkpoint is None else str(place_of(checkpoint, "--checkpoint"))
    return Command(config, workdir, mode, place, joining)


def _run(argv: list[str], interrupted, begin: float) -> None:
    command = _parse(argv)
    # What is wrong so far is told before jax is imported, which takes seconds.
    from mmix_jax.experiments import programs, read, records
    from mmix_jax.training.loop import time_to_first_step

    command = command._replace(config=read(command.config))

    def check_workdir() -> None:
        records.check_record(command.config, command.workdir, mode=command.mode)

    if command.joining is None:
        check_workdir()
    with contextlib.ExitStack() as stack:
        stack.enter_context(programs.kept())
        stack.enter_context(time_to_first_step(begin))
        if command.joining is not None:
            from mmix_jax.experiments import together

            stack.enter_context(together.faults())
            together.begin(command.joining, command.config)
            if group().first:  # the workdir is that of the process which writes
                check_workdir()
        if group().first:
            stack.enter_context(locked(command.workdir))
        _carry_out(command, interrupted)


def _carry_out(command: Command, interrupted) -> None:
    from mmix_jax.experiments.run import embed, evaluate_checkpoints, train

    config, workdir, mode, checkpoint, _ = command
    if mode == "embed":
        arrays = embed(config, workdir, checkpoint, interrupted)
        path, shapes = _write_arrays(workdir / "embeddings.npz", arrays, interrupted)
        print(f"wrote {path}: " + ", ".join(f"{name} {shape}" for name, shape in shapes.items()))
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


def _write_arrays(path: Path, arrays: dict, interrupted) -> tuple[Path, dict[str, tuple]]:
    """Write a file whole or not at all, or a folder of files where an array comes in pieces;
    returns its place, and the shapes.

    Raises:
      InputError: it cannot be written.
      Interrupted: between two pieces; nothing is left of them.
    """
    import numpy as np

    from mmix_jax.experiments.task import Pieces

    temporary = path.with_name(path.stem + ".tmp.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if any(isinstance(values, Pieces) for values in arrays.values()):
            pieces = {n: x.pieces if isinstance(x, Pieces) else [x] for n, x in arrays.items()}
            return _write_folder(path.with_suffix(""), pieces, interrupted)
        np.savez_compressed(temporary, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InputError(
            f"embeddings must be writable at {path}, found {one_line(error)}; "
            "choose another --workdir"
        ) from error
    return path, {name: values.shape for name, values in arrays.items()}


def _write_folder(folder: Path, arrays: dict, interrupted) -> tuple[Path, dict[str, tuple]]:
    """A `.npy` file for each array, of pieces; the folder is there whole or as it was before."""
    import shutil

    from mmix_jax.ops.npy_parts import write_pieces
    from mmix_jax.training.loop import Interrupted

    def watched(pieces):
        for piece in pieces:
            if interrupted():
                raise Interrupted(0, "while embeddings were written, nothing is kept of them")
            yield piece

    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        shapes = {n: write_pieces(temporary / f"{n}.npy", watched(x)) for n, x in arrays.items()}
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder, shapes


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    begin = time.monotonic()
    argv = sys.argv if argv is None else argv
    try:
        joining, _ = _joining(argv)
    except InputError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    if joining is None:
        return run(lambda argv, interrupted: _run(argv, interrupted, begin), argv)
    if os.name == "posix" and not supervisor.is_child():
        return supervisor.watch([sys.executable, "-m", "mmix_jax.main", *argv[1:]], joining)
    with supervisor.child() if supervisor.is_child() else contextlib.nullcontext():
        sys.exit(run(lambda argv, interrupted: _run(argv, interrupted, begin), argv))


if __name__ == "__main__":
    sys.exit(main())
