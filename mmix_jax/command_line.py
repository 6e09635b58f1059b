"""What the programs share: a config named and changed by flags, and how they end.

Exit status: 0 done; 2 bad input, one `error:` line; 130 interrupted, what was done is saved
(a second interrupt ends at once, and saves nothing more).
"""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mmix_jax.config_files import find_config, load_config
from mmix_jax.errors import InputError, ProcessFault
from mmix_jax.surroundings import print_anything
from mmix_jax.training import interrupts

if TYPE_CHECKING:
    from absl.flags import FlagValues

Define = Callable[["FlagValues"], Any]
CONFIG_HELP = "Config file, or the name of one in configs/, with a variant after a colon."


def one_line(error: BaseException) -> str:
    """What an error says, in one line of bounded length."""
    return " ".join(str(error).split())[:2000] or type(error).__name__


def take(argv: list[str], flag: str) -> tuple[str | None, list[str]]:
    """What --FLAG names, in whichever way absl lets it be written, and the other arguments; None
    where it is not given.

    Raises:
      InputError: it is given twice.
    """
    given, rest, place = [], [], 0
    while place < len(argv):
        name, equals, value = argv[place].partition("=")
        if name in (f"--{flag}", f"-{flag}"):
            if not equals:
                place += 1
                value = "".join(argv[place : place + 1])
            given.append(value)
        else:
            rest.append(argv[place])
        place += 1
    if len(given) > 1:
        raise InputError(f"--{flag} must be given once, found {' and '.join(given)}; leave one out")
    return (given[0] if given else None), rest


def open_config(given: str) -> tuple[Any, Path, str]:
    """The config of PATH[:VARIANT] or NAME[:VARIANT], its file and its variant.

    Raises:
      InputError: as `find_config` and `load_config`, or it has no task.
    """
    path, variant = find_config(given)
    config = load_config(path, variant)
    if config is None or "task" not in config:
        raise InputError(
            f"get_config must return a config with a task, found none in {path}; start from "
            "one in configs/"
        )
    return config, path, variant


@contextlib.contextmanager
def _arguments(argv: list[str]):
    """`argv` in place of the process's own, where ml_collections looks for a config's fields."""
    own, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = own


def read_flags(
    argv: list[str], config: Any, define: Define | None = None
) -> tuple["FlagValues", list[str]]:
    """Flags, and what of the arguments is left over; fields of `config` are set where it stands.

    Args:
      argv: the program's name, then arguments such as `--config.width=32`.
      config: a `ConfigDict`, or None.
      define: defines the program's own flags.

    Raises:
      InputError: every way in which they can be wrong.
    """
    from absl import flags

    def defined():
        values = flags.FlagValues()
        if config is not None:
            from ml_collections import config_flags

            config_flags.DEFINE_config_dict("config", config, flag_values=values)
        if define is not None:
            define(values)
        return values

    try:
        with _arguments(argv):
            values = defined()
            return values, values(argv)
    except Exception as error:  # absl and ml_collections each raise their own
        raise InputError(f"a flag or config cannot be read: {one_line(error)}") from error


def changed(config: Any, values: Mapping[str, str]) -> Any:
    """The config with fields set where it stands, as `--config.KEY=VALUE` sets them.

    Raises:
      InputError: a field is unknown, or a value cannot be read as its type.
    """
    read_flags(["", *(f"--config.{key}={value}" for key, value in values.items())], config)
    return config


class _Lines(logging.StreamHandler):
    """Lines of a log, whose reader may go."""

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise  # as from a print; `run` ends the program
        super().handleError(record)


@contextlib.contextmanager
def _listening():
    """Take interrupts and the package's warnings for the time of a run; yields what was asked."""
    log, level = logging.getLogger("mmix_jax"), logging.getLogger("mmix_jax").level
    # What was read, dropped and scaled is printed; standard error is for what may be wrong.
    told, warned = _Lines(sys.stdout), _Lines(sys.stderr)
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


class Parser(argparse.ArgumentParser):
    """Bad usage is bad input: one line, as everywhere."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see --help")


def parser(program: str, description: str | None, *, package: str = "mmix_jax") -> Parser:
    """Of `python -m PACKAGE.PROGRAM`, with its module's words as they stand."""
    return Parser(
        prog=f"python -m {package}.{program}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def positive(text: str) -> int:
    """A count from 1 on, for a parser's `type`."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, found '{text}'")
    return int(text)


def run(body: Callable[[list[str], Callable[[], bool]], Any], argv: list[str] | None) -> int:
    """Carry out `body(argv, interrupted)`; returns the program's exit status."""
    print_anything()
    from mmix_jax.training.loop import Interrupted

    with _listening() as asked:
        try:
            body(sys.argv if argv is None else argv, lambda: bool(asked))
        except InputError as error:
            print(f"error: {one_line(error)}", file=sys.stderr)
            return 2
        except ProcessFault as fault:
            print(f"error: {one_line(fault)}", file=sys.stderr)
            return 3
        except Interrupted as stop:
            print(
                f"interrupted {stop.words}; start the same command again to resume",
                file=sys.stderr,
            )
            return interrupts.STATUS
        except BrokenPipeError:  # whoever read what is printed has gone; what is written is whole
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
    return 0
