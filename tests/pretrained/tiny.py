"""Names of the encoder that these tests make, and damage that several of them do."""

import pathlib

from mmix_jax.plans.runs import Setting

TINY = Setting("digits_graph", "smoke+mo", (("width", "8"), ("num_devices", "1")))
NAME = "digits_graph-tiny"


def weights(folder: pathlib.Path) -> pathlib.Path:
    """The largest file of an encoder."""
    return max(folder.rglob("ocdbt.process_0/d/*"), key=lambda path: path.stat().st_size)


def truncate(folder: pathlib.Path) -> None:
    """Take its last byte."""
    path = weights(folder)
    path.write_bytes(path.read_bytes()[:-1])
