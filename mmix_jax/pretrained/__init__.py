"""Encoders that come with the package, each a saved model in `models/` with its card.

    python -m mmix_jax.pretrained            lists them with their scores
    python -m mmix_jax.pretrained NAME       one of them: its card

In the program `--checkpoint=pretrained:NAME` names one. Nothing in them is executed.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from mmix_jax.errors import InputError
from mmix_jax.fields import unknown

if TYPE_CHECKING:
    from mmix_jax.estimators import GraphEmbedder, ImageEmbedder, NodeEmbedder

MODELS = Path(__file__).parent / "models"
PREFIX = "pretrained:"


def pretrained_names() -> list[str]:
    """Names of the encoders that come with the package.

    Raises:
      InputError: their folder cannot be read, or is empty.

    Example:
      >>> from mmix_jax.pretrained import pretrained_names
      >>> "digits-mo_op" in pretrained_names()
      True
    """
    try:
        names = sorted(path.name for path in MODELS.iterdir() if path.name[0] != ".")
    except OSError as error:
        raise InputError(
            f"the package's encoders must be readable, found {MODELS}: {error.strerror}; install "
            "the package anew"
        ) from error
    if not names:
        raise InputError(
            f"the package's encoders must be in {MODELS}, found none; install the package anew"
        )
    return names


def folder_of(name: str) -> Path:
    """The folder of one, a saved model, after a look at the digests of all its files.

    Raises:
      InputError: there is none of this name, or its files are not those of its card.
    """
    from mmix_jax.pretrained.cards import read_card

    if name not in (names := pretrained_names()):
        raise InputError(unknown("pretrained checkpoint", name[:40], names))
    read_card(MODELS / name)
    return MODELS / name


def load_pretrained(name: str) -> "NodeEmbedder | GraphEmbedder | ImageEmbedder":
    """A fitted estimator of one: `transform(data)` embeds data with the features of its training.

    Args:
      name: one of `pretrained_names()`.

    Raises:
      InputError: there is none of this name, or it is damaged.

    Example:
      >>> import mmix_jax as mm
      >>> model = mm.load_pretrained("digits-mo_op")
      >>> model.transform(mm.load_images("digits").train[:4]).shape
      (4, 96)
    """
    from mmix_jax.estimators.any_kind import load_any

    return load_any(folder_of(name))
