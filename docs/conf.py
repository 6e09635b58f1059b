"""The site of docs/: `make docs` builds it into docs/_build/html.

MMIX_DOCS_EXECUTE=off shows the notebooks with the outputs that are stored in them, and runs none.
"""

import collections
import itertools
import json
import os
import pathlib
import re
import sys

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.ext import autosummary

_TUPLE_FIELD = type(collections.namedtuple("_", "field").field)
_NUMBERS = re.compile(r"[\d\s.,:;±×…+−–✓✗%/()-]+(?: of [\d ]+)?[✓✗]?")
_FIELD = re.compile(r"^(\w+(?:, \w+)*): (?=.)")
_SETTING = re.compile(r"^ +(\w+) \((.*?)\): ")
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))
# Of the notebooks' kernels: the package of this checkout, on a CPU unless told otherwise.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import mmix_jax  # noqa: E402

project = "mmix_jax"
author = "The mmix_jax authors"
project_copyright = author
version = release = mmix_jax.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "pictures"]

html_theme = "furo"
html_title = f"mmix_jax {release}"
highlight_language = "none"  # of blocks that name none
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sphinx = False
html_copy_source = False

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off" if os.environ.get("MMIX_DOCS_EXECUTE") == "off" else "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"
smartquotes = False  # an empty default stays two quotes

autosummary_generate = False
# A first sentence does not end here.
autosummary.WELL_KNOWN_ABBREVIATIONS = (*autosummary.WELL_KNOWN_ABBREVIATIONS, "eq.")
autodoc_member_order = "bysource"
autodoc_typehints = "none"
default_role = "literal"
maximum_signature_line_length = 88
add_module_names = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Fields", "params_style")]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def copy_notebooks() -> None:
    """Put the notebooks of colab/ where Sphinx reads, their installation folded away.

    Unchanged ones stay, and so do their runs.
    """
    folder = HERE / "tutorials"
    folder.mkdir(exist_ok=True)
    sources = {path.name: path for path in sorted((ROOT / "colab").glob("*.ipynb"))}
    for old in folder.glob("*.ipynb"):
        if old.name not in sources:
            old.unlink()
    for name, path in sources.items():
        notebook = json.loads(path.read_text("utf-8"))
        for cell in notebook["cells"]:
            if cell.get("id") == "install":
                cell["metadata"]["tags"] = ["hide-input"]
        text = json.dumps(notebook, ensure_ascii=False, indent=1)
        if not (folder / name).exists() or (folder / name).read_text("utf-8") != text:
            (folder / name).write_text(text, "utf-8")


def keep_numbers_whole(app, doctree) -> None:
    """Cells such as "82.98 ± 0.88" or "3 × 20 of 5" are not broken into lines."""
    for entry in doctree.findall(nodes.entry):
        if _NUMBERS.fullmatch(entry.astext()):
            entry["classes"].append("numbers")


def skip_fields(app, what, name, member, skip, options) -> bool | None:
    """Fields of tuples have no docstring of their own; the class's tells what they are."""
    return True if isinstance(member, _TUPLE_FIELD) else None


def make_lists(app, what, name, member, options, lines: list[str]) -> None:
    """Fields of a class stand in its docstring one a line: they become a list.

    So do settings of an estimator, `  width (256): Output dimension`.
    """
    if what != "class":
        return
    paragraphs = [list(group) for _, group in itertools.groupby(lines, key=bool)]
    for paragraph in paragraphs:
        if all(_FIELD.match(line) or line.startswith("  ") for line in paragraph):
            paragraph[:] = [_FIELD.sub(r"- ``\1``: ", line) for line in paragraph]
        elif paragraph[0] == "Settings, with their defaults:":
            settings = [_SETTING.sub(r"- ``\1`` (``\2``): ", line) for line in paragraph[1:]]
            paragraph[1:] = ["", *settings]
    lines[:] = itertools.chain(*paragraphs)


def mathml(node, as_block: bool) -> str:
    """A formula; indices of an accented letter stand beside it, not below."""
    text = re.sub(r"\\hat\s*\{?z\}?", "ẑ", node.astext())
    return latex2mathml.tex2mathml(text, as_block=as_block)


def visit_inline_math(self, node) -> None:
    self.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_block_math(self, node) -> None:
    self.body.append(f'<div class="math">{mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app) -> None:
    copy_notebooks()
    app.connect("doctree-read", keep_numbers_whole)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-docstring", make_lists, priority=400)
    # Formulas as MathML: browsers draw it without a script from elsewhere.
    app.add_html_math_renderer("mathml", (visit_inline_math, None), (visit_block_math, None))
