"""The notebooks as they are committed: valid, with their outputs, without errors or addresses."""

import pytest

from tests.colab import notebooks


@pytest.mark.parametrize("path", sorted(notebooks.ROOT.glob("colab/*.ipynb")), ids=lambda p: p.stem)
def test_it_is_valid_and_committed_with_the_outputs_of_one_run(path):
    notebooks.check_stored(path)


@pytest.mark.parametrize("path", sorted(notebooks.ROOT.glob("colab/*.ipynb")), ids=lambda p: p.stem)
def test_it_shows_gain_then_mixing_then_the_readers_own_loop(path):
    """On the face of the package: no settings, tasks or runs of the program."""
    notebook = notebooks.read(path)
    names = [cell.id for cell in notebook.cells]
    assert names.index("gain") < min(names.index(n) for n in ("mixing", "mixed") if n in names)
    assert names[-2].startswith("own")
    assert "experiments" not in "".join(cell.source for cell in notebook.cells)
