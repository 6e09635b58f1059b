"""The notebooks as they are committed: valid, without outputs, counts or addresses."""

import pytest

from tests.colab import notebooks


@pytest.mark.parametrize("path", sorted(notebooks.ROOT.glob("colab/*.ipynb")), ids=lambda p: p.stem)
def test_it_is_valid_and_committed_without_outputs_or_addresses(path):
    notebooks.check_clean(path)
