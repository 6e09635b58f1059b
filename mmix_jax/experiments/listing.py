"""All settings as text: for `--help`, and `docs/configuration.md`.

python -m mmix_jax.experiments.listing > docs/configuration.md
"""

from collections.abc import Iterable
from typing import Any

from mmix_jax.experiments.configs import TASKS
from mmix_jax.experiments.flat import Entry, entries
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


def help_text(config: Any = None) -> str:
    """The settings, one a line: of a config with its values, or of all tasks with defaults."""
    lines = ["settings (--config.NAME=VALUE; with --config=FILE: those of its task):"]
    for section, settings in _by_section().items():
        lines.append(f"  {section}:")
        for name, of_tasks in settings.items():
            if config is None:
                default = _together({task: _shown(e.default) for task, e in of_tasks.items()})
                lines.append(f"    {name} ({default}): {next(iter(of_tasks.values())).meaning.doc}")
            elif config.task in of_tasks:
                entry = of_tasks[config.task]
                lines += _one(name, config[name], entry)
    return "\n".join(lines)


def _one(name: str, value: Any, entry: Entry) -> Iterable[str]:
    values = _values(entry)
    yield f"    {name}={_shown(value)}: {entry.meaning.doc}" + (f" [{values}]" if values else "")


if __name__ == "__main__":
    print_anything()
    print(markdown(), end="")
