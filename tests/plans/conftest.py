"""What is run of a plan."""

import pytest

from mmix_jax.plans import work


@pytest.fixture
def ran(monkeypatch):
    """Names and seeds of what is run."""
    runs, carry_out = [], work.carry_out

    def counted(setting, seeds, folder, interrupted):
        runs.append((setting.name, len(seeds)))
        return carry_out(setting, seeds, folder, interrupted)

    monkeypatch.setattr(work, "carry_out", counted)
    return runs
