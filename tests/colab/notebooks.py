"""What the tests of all notebooks share: reading, a run by a kernel of this interpreter, checks."""

import base64
import fcntl
import json
import os
import pathlib

import nbclient
import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec

from tests.test_layers import MACHINE_PATH

ROOT = pathlib.Path(__file__).parents[2]


def read(path: pathlib.Path):
    """The notebook as committed."""
    return nbformat.read(path, as_version=4)


def cell(notebook, name: str):
    """The one cell of this id."""
    (found,) = [one for one in notebook.cells if one.id == name]
    return found


def executed_once(path: pathlib.Path, temporary: pytest.TempPathFactory, facts: str, **environment):
    """As `execute`, once for all of pytest's workers: who comes first runs it, others wait."""
    room = temporary.getbasetemp()
    room = room.parent if "PYTEST_XDIST_WORKER" in os.environ else room
    kept = room / path.name
    with (room / f"{path.name}.lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            folder = temporary.mktemp("jupyter")
            patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.delenv("MMIX_DATA_DIR", raising=False)
            notebook, _ = execute(path, folder, facts)
            nbformat.write(notebook, kept)
    notebook = nbformat.read(kept, as_version=4)
    return notebook, json.loads(cell(notebook, "facts").outputs[0].text)


def execute(path: pathlib.Path, folder: pathlib.Path, facts: str):
    """The notebook after a run of 4 steps, and what `facts`, code put at its end, prints as JSON.

    It runs where it lies; files of Jupyter and of the run itself go to `folder`.
    """
    write_kernel_spec(str(folder / "kernels" / "python3"))
    notebook = read(path)
    notebook.cells.append(nbformat.v4.new_code_cell(facts, id="facts"))
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("JUPYTER_PATH", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
            patch.setenv(variable, str(folder))  # nothing of the user's own set-up
        patch.setenv("TMPDIR", str(folder))  # where the notebook's run is written
        patch.setenv("MMIX_NOTEBOOK_STEPS", "4")
        client = nbclient.NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=900,
            resources={"metadata": {"path": str(path.parent)}},
        )
        client.execute()
    return notebook, json.loads(cell(notebook, "facts").outputs[0].text)


def images(notebook) -> dict[str, list[bytes]]:
    """The PNG images below each cell that shows any, in the order of cells."""
    found = {}
    for one in notebook.cells:
        data = [output.get("data", {}) for output in one.get("outputs", [])]
        pictures = [base64.b64decode(each["image/png"]) for each in data if "image/png" in each]
        if pictures:
            found[one.id] = pictures
    return found


def check_figures(notebook, names: list[str]) -> None:
    """Each of these cells shows one figure that is not blank, and no other cell shows any."""
    drawn = images(notebook)
    assert list(drawn) == names
    assert [len(pictures) for pictures in drawn.values()] == [1] * len(names)
    assert all(len(pictures[0]) > 5_000 for pictures in drawn.values())


def check_stored(path: pathlib.Path) -> None:
    """Valid, with the outputs of one run from top to bottom, without errors, addresses or paths."""
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [one for one in notebook.cells if one.cell_type == "code"]
    assert [one.execution_count for one in code] == list(range(1, len(code) + 1))
    outputs = [output for one in code for output in one.outputs]
    assert {output.output_type for output in outputs} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert images(notebook)
    text = path.read_text("utf-8")
    assert "://" not in text
    assert MACHINE_PATH.findall(text) == []
