"""The training of seconds that tests of the command line run."""

from tests.main.conftest import smoke

__all__ = ["smoke"]
