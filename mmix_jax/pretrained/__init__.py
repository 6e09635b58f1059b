"""Encoders that come with the package, each a saved model in `models/` with its card.

    python -m mmix_jax.pretrained            lists them with their scores
    python -m mmix_jax.pretrained NAME       one of them: its card

In the program `--checkpoint=pretrained:NAME` names one. Nothing in them is executed.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from mmix_jax.errors import InputError
from mmix_jax.fields import unknown
from mmix_jax.surroundings import user_path

if TYPE_CHECKING:
    from mmix_jax.estimators import GraphEmbedder, ImageEmbedder, NodeEmbedder

MODELS = Path(__file__).parent / "models"
PREFIX = "pretrained:"


def pretrained_names() -> list[str]:
    """Names of the encoders that come with the package.

    Example:
      >>> from mmix_jax.pretrained import pretrained_names
      >>> "digits-mo_op" in pretrained_names()
      True
    """
    from mmix_jax.pretrained.cards import CARD_FILE

    return sorted(path.parent.name for path in MODELS.glob(f"*/{CARD_FILE}"))


def folder_of(name: str) -> Path:
    """The folder of one, a saved model, after a look at the digests of all its files.

    Raises:
      InputError: there is none of this name, or its files are not those of its card.
    """
    from mmix_jax.pretrained.cards import read_card

    if name not in pretrained_names():
        raise InputError(unknown("pretrained checkpoint", name, pretrained_names()))
    read_card(MODELS / name)
    return MODELS / name


def place_of(given: str, flag: str) -> Path:
    """The folder that PATH or pretrained:NAME names, given by `flag`.

    Raises:
      InputError: as `folder_of` and `user_path`.
    """
    if given.startswith(PREFIX):
        return folder_of(given.removeprefix(PREFIX))
    return user_path(given, flag)


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
