"""requirements.txt, pyproject.toml, CHANGELOG, CITATION, Makefile and README tell one story."""

import pathlib
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import mmix_jax

ROOT = pathlib.Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
PYTHONS = ("3.11", "3.12", "3.13")

every_python = pytest.mark.parametrize("python", PYTHONS)


def _text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def _pins(name: str, python: str) -> dict[str, str]:
    """{package: version} of a requirements file on one version of Python."""
    pins = {}
    for line in _text(name).splitlines():
        line = line.split("#")[0].strip()
        if not line or line.startswith("-r"):
            continue
        requirement = Requirement(line)
        if not _applies(requirement, python):
            continue
        package = canonicalize_name(requirement.name)
        assert package not in pins, f"{package} is pinned twice on Python {python}"
        (pin,) = requirement.specifier
        assert pin.operator == "==", f"{line} is no pin"
        pins[package] = pin.version
    return pins


def _applies(requirement: Requirement, python: str) -> bool:
    marker = requirement.marker
    return marker is None or marker.evaluate({"python_version": python})


def _ranges(requirements: list[str], python: str) -> dict[str, SpecifierSet]:
    parsed = [Requirement(line) for line in requirements]
    return {canonicalize_name(r.name): r.specifier for r in parsed if _applies(r, python)}


@every_python
@pytest.mark.parametrize(
    ("name", "requirements"),
    [
        ("requirements.txt", PROJECT["dependencies"]),
        ("requirements-test.txt", PROJECT["optional-dependencies"]["test"]),
        ("requirements-docs.txt", PROJECT["optional-dependencies"]["docs"]),
    ],
    ids=["run", "test", "docs"],
)
def test_every_pin_lies_in_its_range_and_every_range_has_a_pin(name, requirements, python):
    pins, ranges = _pins(name, python), _ranges(requirements, python)
    assert pins.keys() == ranges.keys()
    outside = {
        package: pin
        for package, pin in pins.items()
        if not ranges[package].contains(pin, prereleases=True)
    }
    assert outside == {}


def test_the_wheel_has_every_file_of_the_package():
    package = ROOT / "mmix_jax"
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["mmix_jax"]
    packed = {path for pattern in ("**/*.py", *patterns) for path in package.glob(pattern)}
    files = {path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert package / "data" / "published.json" in files
    assert files <= packed


@every_python
def test_jaxlib_is_the_same_version_as_jax(python):
    pins = _pins("requirements.txt", python)
    assert pins["jaxlib"] == pins["jax"]


@pytest.mark.parametrize("extra", ["cuda", "tpu"])
def test_an_accelerator_extra_takes_the_same_jax(extra):
    extras = _ranges(PROJECT["optional-dependencies"][extra], "3.12")
    assert extras["jax"] == _ranges(PROJECT["dependencies"], "3.12")["jax"]


def test_what_tests_and_docs_share_is_one_version():
    tests, docs = (_pins(f"requirements-{name}.txt", "3.12") for name in ("test", "docs"))
    shared = tests.keys() & docs.keys()
    assert "ipykernel" in shared
    assert {name: docs[name] for name in shared} == {name: tests[name] for name in shared}


def test_supported_pythons_agree():
    supported = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in supported] == list(PYTHONS)
    (listed,) = re.findall(r"^SUPPORTED := (.*)$", _text("Makefile"), re.MULTILINE)
    assert listed.split() == list(PYTHONS)
    classifiers = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python" in line]
    assert classifiers == list(PYTHONS)


def test_the_version_is_the_newest_in_the_changelog_and_the_citation():
    released = re.findall(r"^## \[(\d[^]]*)\]", _text("CHANGELOG.md"), re.MULTILINE)
    assert released[0] == mmix_jax.__version__
    (cited,) = re.findall(r"^version: (\S+)$", _text("CITATION.cff"), re.MULTILINE)
    assert cited == mmix_jax.__version__


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/start.md"])
def test_every_make_command_named_exists(name):
    targets = set(re.findall(r"^([a-z]+):", _text("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+) *(?:`|#|$|[A-Z]+=)", _text(name), re.MULTILINE))
    assert named <= targets
    assert {"run", "test"} <= named or name != "README.md"


@pytest.mark.parametrize("name", ["README.md", "docs/start.md"])
def test_it_gives_the_plain_form_of_both_commands(name):
    readme = _text(name)
    assert "python -m venv .venv" in re.sub(r"python3?(\.\d+)? -m", "python -m", readme)
    for requirements in ("requirements.txt", "requirements-test.txt"):
        assert re.search(rf"pip install \S*\s*-r {re.escape(requirements)}", readme)
    # What `make run` runs, word for word.
    (program,) = re.findall(r"(-m mmix_jax\.main .*)$", _text("Makefile"), re.MULTILINE)
    assert f"python {program}" in readme
    assert "python -m pytest" in readme


def test_ci_runs_what_the_makefile_calls_all():
    (prerequisites,) = re.findall(r"^all: ([a-z ]*)", _text("Makefile"), re.MULTILINE)
    assert re.findall(r"^make ([a-z]+)", _text(".ci/run"), re.MULTILINE) == prerequisites.split()
