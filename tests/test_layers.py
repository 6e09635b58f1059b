"""The shape of the package, read from its syntax trees: who imports whom, and what stays light."""

import ast
import graphlib
import pathlib
import re
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "mmix_jax"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 350

# Imports run downward only. A new room gets its floor here.
FLOORS = {
    "__init__": 9,
    "main": 8,
    "export": 8,
    "reproduce": 8,
    "sweep": 8,
    "pretrained": 7,
    "estimators": 6,
    "plans": 6,
    "command_line": 5,
    "config_files": 2,
    "convert": 6,
    "store_graph": 6,
    "experiments": 5,
    "frameworks": 4,
    "interop": 4,
    "encoders": 3,
    "augment": 3,
    "data": 3,
    "evaluation": 3,
    "mixing": 2,
    "losses": 2,
    "graphs": 2,
    "training": 2,
    "report": 2,
    "theory": 2,
    "ops": 1,
    "results": 1,
    "processes": 1,
    "surroundings": 1,
    "errors": 0,
    "fields": 0,
    "lazy": 0,
}

# Rooms inside a room import no other of them; of the files beside them only these import one.
ROOMS_INSIDE = {room: {"nodes", "graphs", "images"} for room in ("data", "experiments")}
DOORS = {
    "mmix_jax/data/__init__.py",
    "mmix_jax/data/catalog.py",
    "mmix_jax/data/natural.py",
    "mmix_jax/data/natural_images.py",
    "mmix_jax/experiments/__init__.py",
    "mmix_jax/experiments/configs.py",
}

# Imported inside the functions that use them: some accelerator machines lack them, and they slow
# the start of every program that wants one formula.
HEAVY = {
    "PIL",
    "grakel",
    "jraph",
    "matplotlib",
    "ml_collections",
    "networkx",
    "orbax",
    "safetensors",
    "sklearn",
    "tensorboardX",
    "tensorflow",
    "tensorflow_datasets",
    "torch",
    "torch_geometric",
    "tqdm",
}

# Classes that are scikit-learn's own kind.
AT_HOME = {"estimators": {"sklearn"}}

# An absolute path of one machine; a URL's path does not count.
MACHINE_PATH = re.compile(r"(?<![\w.:/-])(?:/(?:home|root|Users|work|mnt|tmp)/|[.][.]/shared)")


def _name(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def _room(path: pathlib.Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Absolute dotted names of all that `tree` imports; `package` resolves the relative ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _imported_rooms(tree: ast.AST, package: str) -> set[str]:
    names = (name.split(".") for name in _imports(tree, package))
    return {parts[1] for parts in names if parts[0] == "mmix_jax" and len(parts) > 1}


def _package_of(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


class _Running(ast.NodeTransformer):
    """Leaves what runs at all."""

    def visit_If(self, node):
        return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)


class _WithoutFunctions(_Running):
    """Leaves what runs when the module is imported."""

    def visit_FunctionDef(self, node):
        return None

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef


def _upward(tree: ast.AST, room: str, package: str) -> set[str]:
    """Rooms that `room` must not import: those on its own floor and above."""
    rooms = _imported_rooms(tree, package) & FLOORS.keys()
    return {other for other in rooms if other != room and FLOORS[other] >= FLOORS[room]}


def _sideward(tree: ast.AST, file: str, package: str) -> set[str]:
    """Rooms inside `file`'s room that it must not import."""
    _, room, inside, *_ = [*file.split("/"), ""]
    others = set() if file in DOORS else ROOMS_INSIDE.get(room, set()) - {inside}
    names = (name.split(".") for name in _imports(tree, package))
    return {parts[2] for parts in names if parts[:2] == ["mmix_jax", room]} & others


def _module(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported_modules(tree: ast.AST, package: str, modules: set[str]) -> set[str]:
    """Those of `modules` that run for `tree`; a name that is none of them is of its package."""
    names = set(_imports(_Running().visit(tree), package))
    return {name if name in modules else name.rpartition(".")[0] for name in names} & modules


def _circle(sources: dict[str, str]) -> list[str]:
    """Modules that import each other in a circle, inside of functions too; [] without one."""
    graph = {
        module: _imported_modules(ast.parse(source), module.rpartition(".")[0], set(sources))
        for module, source in sources.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def _heavy_at_import(tree: ast.AST, package: str) -> set[str]:
    names = _imports(_WithoutFunctions().visit(tree), package)
    return {name.split(".")[0] for name in names} & HEAVY


every_file = pytest.mark.parametrize("path", FILES, ids=_name)


def test_every_room_has_a_floor():
    assert {_room(path) for path in FILES} <= FLOORS.keys()


def test_every_room_has_quick_tests():
    """A folder of tests whose files are all `slow` would be left out of `make quick`."""
    folders = {path.parent for path in ROOT.glob("tests/**/test_*.py")}
    for folder in folders:
        files = [path.read_text("utf-8") for path in folder.glob("test_*.py")]
        assert any("pytestmark = pytest.mark.slow" not in text for text in files), folder


@every_file
def test_imports_run_downward_only(path):
    assert _upward(ast.parse(path.read_text("utf-8")), _room(path), _package_of(path)) == set()


@every_file
def test_rooms_inside_a_room_do_not_import_each_other(path):
    assert _sideward(ast.parse(path.read_text("utf-8")), _name(path), _package_of(path)) == set()


def test_no_modules_import_each_other_in_a_circle():
    sources = {_module(path): path.read_text("utf-8") for path in FILES}
    assert _circle(sources) == []


@every_file
def test_heavy_packages_are_imported_where_they_are_used(path):
    heavy = _heavy_at_import(ast.parse(path.read_text("utf-8")), _package_of(path))
    assert heavy - AT_HOME.get(_room(path), set()) == set()


@every_file
def test_only_the_top_floors_read_flags_and_configs(path):
    names = _imports(ast.parse(path.read_text("utf-8")), _package_of(path))
    readers = [name for name in names if re.match(r"absl\.(flags|app)\b|ml_collections\b", name)]
    assert readers == [] or FLOORS[_room(path)] >= FLOORS["experiments"]


@every_file
def test_one_subject_per_file(path):
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES
    assert path.stem not in {"utils", "helpers", "common", "misc"}


@pytest.mark.parametrize("path", [*FILES, *sorted(ROOT.glob("configs/*.py"))], ids=_name)
def test_no_path_of_one_machine(path):
    assert MACHINE_PATH.findall(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source", "found"),
    [
        ("losses", "from mmix_jax.mixing import mix_edges", {"mixing"}),
        ("losses", "from mmix_jax import mixing, ops", {"mixing"}),
        ("losses", "import mmix_jax.mixing.rules as rules", {"mixing"}),
        ("losses", "from ..mixing import rules", {"mixing"}),
        ("losses", "from .. import training", {"training"}),
        (
            "losses",
            "def f():\n    from mmix_jax.experiments.nodes.task import run",
            {"experiments"},
        ),
        ("losses", "from . import streamed\nfrom mmix_jax.ops import segment", set()),
        ("losses", "from mmix_jax.losses import streamed\nfrom mmix_jax import errors", set()),
    ],
)
def test_the_check_of_floors_sees(room, source, found):
    assert _upward(ast.parse(source), room, f"mmix_jax.{room}") == found


@pytest.mark.parametrize(
    ("file", "source", "found"),
    [
        ("data/nodes/ppi.py", "from mmix_jax.data.graphs.tu_files import read_texts", {"graphs"}),
        ("data/nodes/ppi.py", "def f():\n    from mmix_jax.data import images", {"images"}),
        ("data/nodes/ppi.py", "from mmix_jax.data.nodes import raw\nimport mmix_jax.graphs", set()),
        ("data/nodes/ppi.py", "from mmix_jax.data import store, types", set()),
        ("data/types.py", "from mmix_jax.data.nodes import NODE_DATASETS", {"nodes"}),
        ("data/catalog.py", "from mmix_jax.data.nodes import NODE_DATASETS", set()),
        ("experiments/runs.py", "import mmix_jax.experiments.nodes.task", {"nodes"}),
        ("losses/tiles.py", "from mmix_jax.losses import graphs", set()),
    ],
)
def test_the_check_of_rooms_inside_sees(file, source, found):
    package = "mmix_jax." + file.rpartition("/")[0].replace("/", ".")
    assert _sideward(ast.parse(source), f"mmix_jax/{file}", package) == found


@pytest.mark.parametrize(
    ("a", "b", "seen"),
    [
        ("from r.b import f", "from r.a import f", True),
        ("from r import b", "def f():\n    from r import a", True),
        ("import r.b", "from .a import f", True),
        ("from r import b", "if TYPE_CHECKING:\n    from r import a", False),
        ("from r import b", "import numpy", False),
        ("from r.b import f", "from r import f", False),
    ],
)
def test_the_check_of_circles_sees(a, b, seen):
    assert (_circle({"r": "", "r.a": a, "r.b": b}) != []) == seen


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import jraph", {"jraph"}),
        ("import orbax.checkpoint as ocp", {"orbax"}),
        ("try:\n    from tqdm.auto import tqdm\nexcept ImportError:\n    pass", {"tqdm"}),
        ("class A:\n    import torch", {"torch"}),
        ("def f():\n    import jraph", set()),
        ("class A:\n    def f(self):\n        import jraph", set()),
        ("if TYPE_CHECKING:\n    import jraph", set()),
        ("from mmix_jax.graphs import jraph", set()),
    ],
)
def test_the_check_of_heavy_imports_sees(source, found):
    assert _heavy_at_import(ast.parse(source), "mmix_jax.graphs") == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("open('/home/ann/x')", 1),
        ("open('.." + "/shared/data')", 1),
        ("open('https://example.org/home/x.zip')", 0),
        ("Path.home() / '.cache'", 0),
    ],
)
def test_the_check_of_paths_sees(source, found):
    assert len(MACHINE_PATH.findall(source)) == found
