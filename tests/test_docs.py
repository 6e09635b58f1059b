"""Pages: links lead somewhere, commands name what exists, code compiles, none is forgotten."""

import ast
import functools
import importlib.util
import inspect
import pathlib
import re
import shlex

import pytest
from absl import flags

from mmix_jax import command_line, config_files, main
from mmix_jax.errors import InputError
from mmix_jax.experiments.configs import TASKS, read
from mmix_jax.experiments.flat import entries
from mmix_jax.plans.catalog import TABLES
from mmix_jax.plans.reproduction import all_figures
from mmix_jax.pretrained.making import SHIPPED

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
SITE = sorted(
    path.relative_to(ROOT).as_posix()
    for path in DOCS.rglob("*.md")
    if not {"_build", "tutorials"} & set(path.relative_to(DOCS).parts)
)
PAGES = ["README.md", "CONTRIBUTING.md", "examples/README.md", "benchmarks/README.md", *SITE]
FENCE = re.compile(r"^(`{3,})(\S*)[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
INCLUDE = re.compile(r"^```\{include\} (\S+)\n```$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FIELDS = {name for of in TASKS.values() for name in entries(of)}
every_page = pytest.mark.parametrize("page", PAGES)


@functools.cache
def text_of(page: str) -> str:
    """A page with what it includes."""
    text = (ROOT / page).read_text("utf-8")

    def included(match):
        other = (ROOT / page).parent / match[1]
        return text_of(other.resolve().relative_to(ROOT).as_posix())

    return INCLUDE.sub(included, text)


def prose_of(page: str) -> str:
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", text_of(page)))


def anchors_of(page: str) -> set[str]:
    """Those that GitHub and the site give the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def broken_links(page: str) -> list[str]:
    broken = []
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        there = file.exists()
        if there and anchor:
            there = anchor in anchors_of(file.resolve().relative_to(ROOT).as_posix())
        if not there:
            broken.append(target)
    return broken


def toctrees(page: str) -> list[str]:
    """The pages that its trees name, from docs/ on."""
    found = []
    for _, kind, body in FENCE.findall(text_of(page)):
        if kind == "{toctree}":
            lines = [line for line in body.splitlines() if line and not line.startswith(":")]
            folder = pathlib.PurePosixPath(page).parent.relative_to("docs")
            found += [(folder / line).as_posix() for line in lines]
    return found


def commands(page: str) -> list[list[str]]:
    """Every `python -m …` or `python file.py` of a page, in words."""
    text = text_of(page)
    blocks = [body for _, kind, body in FENCE.findall(text) if kind in ("", "sh", "text")]
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [code.replace("\n", " ") for code in INLINE.findall(FENCE.sub("", text))]
    found = []
    for line in lines:
        command = re.search(r"(?:^|[\s(/])python (-m \S+|\S+\.py\b).*", line.split(" # ")[0])
        if command:
            words = shlex.split(command[0].strip(" (").split(" > ")[0])
            found.append(words[2:] if words[1] == "-m" else words[1:])
    return found


def is_placeholder(word: str) -> bool:
    """FILE, NAME …, KEY=V or MODEL.pth: what a reader puts something else for."""
    return bool(re.search(r"\b[A-Z]{1,}\b|…", word))


def known_flags(module: str) -> set[str]:
    if module == "mmix_jax.main":
        values = flags.FlagValues()
        main._define_flags(values)
        return {f"--{name}" for name in values}
    program = importlib.import_module(module)
    if hasattr(program, "__path__"):  # a room that is called
        program = importlib.import_module(f"{module}.__main__")
    if hasattr(program, "_parser"):
        return set(program._parser()._option_string_actions)
    source = inspect.getsource(program)
    return set(re.findall(r'"(--\w+)"', source))


def faults(words: list[str]) -> list[str]:
    """What of a command does not exist."""
    module, *rest = words
    if module.endswith(".py"):
        return [] if (ROOT / module).exists() or is_placeholder(module) else [f"no file {module}"]
    if importlib.util.find_spec(module.split(".")[0]) is None or not module.startswith("mmix_jax"):
        return []
    if importlib.util.find_spec(module) is None:
        return [f"no module {module}"]
    try:
        given, rest = command_line.take(rest, "config")
        changes = [w for w in rest if w.startswith("--config.") and not is_placeholder(w)]
        unknown = {w[9:].partition("=")[0] for w in rest if w.startswith("--config.")} - {
            "KEY",
            "NAME",
        }
        if unknown - FIELDS:
            return [f"no fields {unknown - FIELDS}"]
        if given and not is_placeholder(given):
            config, *_ = command_line.open_config(given)
            pairs = dict(word[9:].partition("=")[::2] for word in changes)
            read(command_line.changed(config, pairs))
    except InputError as error:
        return [str(error)]
    flag_names = {w.partition("=")[0] for w in rest if w.startswith("--") and w[:9] != "--config."}
    found = [f"{module} has no {flag}" for flag in sorted(flag_names - known_flags(module))]
    named = [name for word in rest for name in re.findall(r"\bpretrained:(\S+)", word)]
    if module == "mmix_jax.pretrained":
        named += [word for word in rest if not word.startswith("-")]
    found += [f"no encoder {n}" for n in named if n not in SHIPPED and not is_placeholder(n)]
    if module == "mmix_jax.sweep":
        varied = re.findall(r"--(?:vary|baseline)[ =](\w+)=", " ".join(rest))
        found += [f"no field {key}" for key in varied if key not in FIELDS | {"variant", "KEY"}]
    if module == "mmix_jax.reproduce":
        names = {w for w in rest if not w.startswith("-") and not is_placeholder(w)}
        found += [f"no table {name}" for name in names - {*TABLES, *all_figures(None), "all"}]
    return found


@every_page
def test_links_lead_somewhere(page):
    assert broken_links(page) == []


@every_page
def test_python_code_compiles(page):
    for _, kind, body in FENCE.findall(text_of(page)):
        if kind == "python":
            ast.parse(body)


@every_page
def test_commands_name_what_exists(page):
    assert {" ".join(words): faults(words) for words in commands(page) if faults(words)} == {}


@every_page
def test_settings_and_configs_in_the_text_exist(page):
    text = text_of(page)
    assert set(re.findall(r"--config\.(\w+)", text)) - {"KEY", "NAME"} - FIELDS == set()
    for name in re.findall(r"--config=(?:configs/)?(\w+)", text):
        assert name in config_files.shipped() or name in ("PATH", "NAME", "ring"), name
    for path in re.findall(r"`((?:configs|examples|benchmarks|docs|colab)/[\w/.]+\.\w+)`", text):
        assert (ROOT / path).exists() or path == "configs/ring.py", path


def test_commands_are_found_at_all():
    assert len(commands("README.md")) >= 8
    assert sum(len(commands(page)) for page in SITE) > 50


def test_every_page_is_in_a_tree_once():
    named = ["index"] + [entry for page in SITE for entry in toctrees(page)]
    assert len(named) == len(set(named))
    notebooks = {f"tutorials/{path.stem}" for path in ROOT.glob("colab/*.ipynb")}
    assert set(named) == notebooks | {page[len("docs/") : -len(".md")] for page in SITE}


def test_every_example_is_shown():
    shown = re.findall(r"^```\{literalinclude\} \.\./(\S+)$", text_of("docs/examples.md"), re.M)
    scripts = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/*.py"))
    assert sorted(shown) == scripts


@pytest.mark.parametrize(
    "room", ["estimators", "mixing", "losses", "data", "graphs", "evaluation", "experiments"]
)
def test_the_page_of_a_room_has_all_its_names(room):
    text = text_of(f"docs/api/{room}.md")
    named = set(re.findall(r"^\.\. auto(?:function|class):: (\w+)", text, re.MULTILINE))
    named |= set(re.findall(r"`(\w+)`", text.partition("Constants:")[2]))
    assert set(importlib.import_module(f"mmix_jax.{room}").__all__) - named == set()


def test_pictures_come_from_the_script():
    drawn = {node.value for node in ast.walk(ast.parse((DOCS / "pictures/draw.py").read_text()))
             if isinstance(node, ast.Constant)}  # fmt: skip
    assert {path.stem for path in DOCS.glob("pictures/*.svg")} <= drawn


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("mmix_jax.main --config=coraa", "no 'coraa'"),
        ("mmix_jax.main --config=cora:moo", "unknown variant 'moo'"),
        ("mmix_jax.main --config=cora --config.widht=3", "no fields {'widht'}"),
        ("mmix_jax.main --config=cora --config.mixing=moo", "moo"),
        ("mmix_jax.main --config=cora --wrokdir=runs", "no --wrokdir"),
        ("mmix_jax.mian --config=cora", "no module"),
        ("mmix_jax.reproduce table22", "no table table22"),
        ("mmix_jax.sweep --config=cora --vary widht=1,2", "no field widht"),
        ("mmix_jax.report.compare a b --sede", "no --sede"),
        ("mmix_jax.main --mode=eval --checkpoint=pretrained:coraa", "no encoder coraa"),
        ("mmix_jax.pretrained coraa", "no encoder coraa"),
        ("mmix_jax.pretrained --mkae", "no --mkae"),
        ("examples/no_such.py", "no file"),
    ],
)
def test_a_wrong_command_is_told(command, told):
    (fault,) = faults(shlex.split(command))
    assert told in fault


def test_a_wrong_link_is_told(tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text(
        "# One\n[a](none.md) [b](page.md#two) [c](#one) [d](page.md)\n"
    )
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    text_of.cache_clear()
    assert broken_links("page.md") == ["none.md", "page.md#two"]
    text_of.cache_clear()
