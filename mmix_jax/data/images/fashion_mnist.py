"""Fashion-MNIST: 70,000 grey images of 28 × 28 in ten classes of clothing, from its idx files.

An idx file is two zero bytes, a byte for the type (8: uint8), one for the number of dimensions,
each dimension in four bytes, the largest first, and the values row by row; here packed by gzip.

Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms", 2017; https://github.com/zalandoresearch/fashion-mnist. MIT licence.
"""

import gzip
import hashlib
import math
import os
import zlib
from pathlib import Path

import numpy as np

from mmix_jax.data.statistics import PUBLISHED, check_statistics, image_statistics
from mmix_jax.data.store.checksums import RemoteFile
from mmix_jax.data.store.files import require_files
from mmix_jax.data.types import ImageDataset, make_image_dataset
from mmix_jax.errors import InputError

NAME = "fashion_mnist"
BASE_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
FOLDER = "fashion-mnist"
FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
CLASSES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


def load_fashion_mnist(
    *, data_dir: str | os.PathLike | None = None, base_url: str = BASE_URL
) -> ImageDataset:
    """60,000 training and 10,000 test images, uint8 [N, 28, 28, 1], from disk or downloaded.

    Args:
      data_dir: holds the four files in `fashion-mnist/` or directly; see `files.search_folders`.
        Debian's package `dataset-fashion-mnist` puts them below `/usr/share/datasets`.
      base_url: where they are downloaded from if missing.

    Raises:
      InputError: a file is missing, damaged or another set's.
    """
    # Whoever packs them anew has other files of the same content: that is what is pinned.
    files = [RemoteFile(f"{FOLDER}/{name}", base_url + name) for name in FILES]
    paths = require_files(files, data_dir=data_dir)
    arrays = [_read(path, name) for path, name in zip(paths, FILES, strict=True)]
    train, train_labels, test, test_labels = arrays
    dataset = make_image_dataset(
        NAME, train[..., None], train_labels, test[..., None], test_labels, classes=CLASSES
    )
    check_statistics(NAME, image_statistics(dataset))
    return dataset


def _read(path: Path, name: str) -> np.ndarray:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} must be a file that can be read, found {error.strerror}; see to its rights"
        ) from error
    try:
        content = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} must be packed by gzip, found {error}: damaged file; delete it and get it "
            f"again from {BASE_URL}"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    wanted = PUBLISHED[NAME]["contents"][name]
    if digest != wanted:
        raise InputError(
            f"{path} must unpack to SHA-256 {wanted[:12]}…, found {digest[:12]}…: swapped or "
            f"damaged file; delete it and get it again from {BASE_URL}"
        )
    return read_idx(content)


def read_idx(content: bytes) -> np.ndarray:
    """The array of an idx file of bytes.

    Raises:
      InputError: it is none.

    Example:
      >>> from mmix_jax.data.images.fashion_mnist import read_idx
      >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 7])).tolist()
      [5, 7]
    """
    rank = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    begin = 4 + 4 * rank
    shape = np.frombuffer(content[4:begin], ">u4").tolist() if len(content) >= begin else []
    if not 1 <= rank <= 8 or len(shape) != rank or len(content) - begin != math.prod(shape):
        raise InputError(
            "an idx file must begin with two zeros, 8, its number of dimensions and these, and "
            f"hold as many bytes, found {content[:4].hex() or 'nothing'} and {len(content)} bytes; "
            "get it again from its source"
        )
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)
