"""What the programs share, where no program's own test sees it."""

import io
import logging

import pytest

from mmix_jax.command_line import _Lines


class Gone(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def test_a_log_whose_reader_has_gone_ends_the_program():
    record = logging.makeLogRecord({"msg": "run 2 of 2"})
    with pytest.raises(BrokenPipeError):
        _Lines(Gone()).handle(record)
