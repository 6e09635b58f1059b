"""Files of a published set, as the errors name them where they are nowhere."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mmix_jax.data.store.checksums import RemoteFile

_NAMING = "--config.data_dir or MMIX_DATA_DIR"


class Wanted(NamedTuple):
    """What is looked for in data folders.

    forms: the accepted files in words. source: the address that has them, or several with `or`
    between. place: the folder in a data folder where they may be put.

    Example:
      >>> from mmix_jax.data.store.wanted import Wanted
      >>> wanted = Wanted("tu/TOY.zip", "https://a.org/TOY.zip", "tu")
      >>> wanted.no_folder("MMIX_DATA_DIR", "/gone").partition(";")[0]
      "MMIX_DATA_DIR must be a folder that holds tu/TOY.zip, found '/gone', which does not exist"
    """

    forms: str
    source: str
    place: str

    def nowhere(self, folders: Iterable[Path], reason: object) -> str:
        """The line where none of the folders has it and downloading failed for this reason."""
        first, *others = folders
        return (
            f"{self.forms} must be in a data folder, found in none of "
            f"{', '.join(map(str, (first, *others)))}, and downloading failed: {reason}; get the "
            f"files from {self.source} and put them into {first / self.place}, or name the folder "
            f"that has them by {_NAMING}"
        )

    def no_folder(self, origin: str, folder: str) -> str:
        """The line where what is named as a data folder is none."""
        return _no_folder(origin, folder, f" that holds {self.forms}", f" from {self.source}")


def no_folder(origin: str, folder: str) -> str:
    """The same where it is not known what is looked for."""
    return _no_folder(origin, folder, "", "")


def _no_folder(origin: str, folder: str, holding: str, source: str) -> str:
    found = "is no folder" if Path(folder).exists() else "does not exist"
    return (
        f"{origin} must be a folder{holding}, found {folder!r}, which {found}; name another by "
        f"{_NAMING}, or leave both out: what is missing is downloaded{source}"
    )


def wanted_files(files: Sequence[RemoteFile], *, forms: str = "") -> Wanted:
    """Files of one folder, all of which are wanted; `forms` are others that are accepted."""
    first, *others = files
    place = first.path.rpartition("/")[0]
    paths = " ".join([first.path, *(Path(file.path).name for file in others)])
    if not others:
        return Wanted(f"data file {paths}{forms}", first.url, place)
    address = first.url.rpartition("/")[0] + "/"
    return Wanted(f"data files {paths}{forms}", address, place)
