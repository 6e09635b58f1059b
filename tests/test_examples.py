"""Every `>>>` example of the package runs as it stands, with its own imports."""

import doctest
import importlib
import pathlib
import warnings

import pytest

ROOT = pathlib.Path(__file__).parent.parent
_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Modules whose examples train something.
_SLOW = {"mmix_jax.experiments.run"}


def modules_with_examples(root: pathlib.Path = ROOT) -> list[str]:
    paths = sorted(root.glob("mmix_jax/**/*.py"))
    with_examples = [path for path in paths if ">>>" in path.read_text("utf-8")]
    names = (".".join(path.relative_to(root).with_suffix("").parts) for path in with_examples)
    return [name.removesuffix(".__init__") for name in names]


def examples_of(module) -> list[doctest.DocTest]:
    """The examples of a module's docstrings, each with nothing in scope but what it imports."""
    found = doctest.DocTestFinder().find(module, extraglobs=None, globs={"__name__": "__main__"})
    return [example for example in found if example.examples]


def failures_of(example: doctest.DocTest) -> str:
    told: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        doctest.DocTestRunner(optionflags=_OPTIONS).run(example, out=told.append)
    return "".join(told)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in _SLOW else [])
        for name in modules_with_examples()
    ],
)
def test_examples_run_as_they_stand(name):
    module = importlib.import_module(name)
    examples = examples_of(module)
    # Each prompt of the file belongs to a docstring that was found.
    prompts = sum(len(example.examples) for example in examples)
    assert prompts == (ROOT / module.__file__).read_text("utf-8").count(">>>")
    assert "".join(map(failures_of, examples)) == ""


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (">>> 1 + 1\n2\n", ""),
        (">>> 1 + 1\n3\n", "Expected"),
        (">>> jnp.zeros(3)\n", "NameError"),  # of the module, not of the example
    ],
)
def test_a_wrong_example_is_told(source, told):
    example = doctest.DocTestParser().get_doctest(source, {}, "example", None, 0)
    found = failures_of(example)
    assert told in found and bool(told) == bool(found)
