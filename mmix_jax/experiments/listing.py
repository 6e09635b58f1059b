"""All settings as text: for `--help`, and `docs/configuration.md`.

python -m mmix_jax.experiments.listing > docs/configuration.md
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmix_jax.config_files import load_config, shipped
from mmix_jax.errors import InputError
from mmix_jax.experiments.configs import TASK_VARIANTS, TASKS
from mmix_jax.experiments.flat import Entry, entries
from mmix_jax.experiments.variants import WORDS, UnknownVariant
from mmix_jax.fields import unknown
from mmix_jax.surroundings import print_anything

_HEAD = """# Configuration

Every setting of a run, `--config.NAME=VALUE` on the command line. Defaults are those of
`experiments.node_config`, `graph_config`, `edit_distance_config` and `image_config`; the files in
`configs/` say what a data set changes. A setting marked * may change when a trained encoder is
evaluated. Written by `python -m mmix_jax.experiments.listing > docs/configuration.md`.
"""


def _by_section() -> dict[str, dict[str, dict[str, Entry]]]:
    """Settings by section and name: the entry in each task that has them."""
    sections: dict[str, dict[str, dict[str, Entry]]] = {}
    for task, of in TASKS.items():
        for name, entry in entries(of).items():
            by_name = sections.setdefault(entry.meaning.section, {})
            by_name.setdefault(name, {})[task] = entry
    return sections


def _values(entry: Entry) -> str:
    """What a setting may be, in a word or two."""
    if entry.choices:
        return ", ".join(entry.choices)
    within = entry.meaning.within
    return "" if within is None else within.short


def _together(words: dict[str, str]) -> str:
    """Words by task; once where all tasks that have the setting agree."""
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    tasks: dict[str, list[str]] = {}
    for task, word in words.items():
        tasks.setdefault(word, []).append(task)
    return "; ".join(f"{', '.join(of)}: {word}" for word, of in tasks.items() if word)


def _shown(value: Any) -> str:
    return repr(value) if value == "" else str(value)


def markdown() -> str:
    """The page of the documentation."""
    lines = [_HEAD]
    for section, settings in _by_section().items():
        lines += [f"## {section[0].upper()}{section[1:]}", ""]
        lines += ["| setting | tasks | default | values | meaning |", "|---|---|---|---|---|"]
        for name, of_tasks in settings.items():
            entry = next(iter(of_tasks.values()))
            cells = (
                f"`{name}`{' *' if entry.meaning.evaluation else ''}",
                "all" if of_tasks.keys() == TASKS.keys() else ", ".join(of_tasks),
                _together({task: _shown(e.default) for task, e in of_tasks.items()}),
                _together({task: _values(e) for task, e in of_tasks.items()}),
                entry.meaning.doc,
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def help_text(config: Any = None, path: Path | None = None) -> str:
    """For the command line: the variants and settings of a config, or those that there are.

    Args:
      config: what its file returns; None lists all configs, their variants and settings.
      path: of the config's file.

    Raises:
      InputError: the config's task is unknown.
    """
    if config is None:
        return "\n".join([*_configs(), *_all_variants(), *_all_settings()])
    if config.task not in TASKS:
        raise InputError(unknown("task", config.task, TASKS))
    return "\n".join([*_variants_of(path), *_settings_of(config)])


def _configs() -> Iterator[str]:
    yield "configs (--config=NAME, or the path of a file like them):"
    for name, path in shipped().items():
        yield f"  {name}: {_first_line(path)}"


def _first_line(path: Path) -> str:
    """Of the docstring; the file is not run."""
    try:
        told = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    except (OSError, SyntaxError, ValueError) as error:  # one file must not hide the others
        return f"(cannot be read: {type(error).__name__})"
    return told.partition("\n")[0]


def _all_variants() -> Iterator[str]:
    yield (
        "variants (--config=NAME:VARIANT, several with a plus between; which settings they change: "
        "--config=NAME --help):"
    )
    for name, words in WORDS.items():
        tasks = [task for task, variants in TASK_VARIANTS.items() if name in variants]
        having = "all" if len(tasks) == len(TASKS) else ", ".join(tasks)
        yield f"  {name} ({having}): {words}"


def _variants_of(path: Path | None) -> Iterator[str]:
    """Those of a config's file, with what they change; nothing where it has none."""
    variants = {} if path is None else _asked_of(path)
    if path is not None and variants:
        yield f"variants (--config={path.stem}:VARIANT, several with a plus between):"
    for name, changes in variants.items():
        changed = ", ".join(f"{key}={_shown(value)}" for key, value in changes.items())
        yield f"  {name}: {WORDS.get(name, 'of this config')} [{changed or 'as it is'}]"


def _asked_of(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """What `finish` is given in the file: it tells when a variant is unknown."""
    try:
        load_config(path, "?")
    except UnknownVariant as error:
        return error.variants
    except InputError:  # takes none
        pass
    return {}


def _all_settings() -> Iterator[str]:
    yield "settings (--config.NAME=VALUE; defaults; those of a config: --config=NAME --help):"
    for section, settings in _by_section().items():
        yield f"  {section}:"
        for name, of_tasks in settings.items():
            default = _together({task: _shown(e.default) for task, e in of_tasks.items()})
            yield f"    {name} ({default}): {next(iter(of_tasks.values())).meaning.doc}"


def _settings_of(config: Any) -> Iterator[str]:
    yield "settings (--config.NAME=VALUE), with the values of this config:"
    for section, settings in _by_section().items():
        having = {name: of[config.task] for name, of in settings.items() if config.task in of}
        if having:
            yield f"  {section}:"
        for name, entry in having.items():
            values = f" [{found}]" if (found := _values(entry)) else ""
            value = _shown(config[name]) if name in config else "(missing)"
            yield f"    {name}={value}: {entry.meaning.doc}{values}"


if __name__ == "__main__":
    print_anything()
    print(markdown(), end="")
