"""Files of data sets, pinned by size and SHA-256 sum."""

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

from mmix_jax.errors import InputError

_log = logging.getLogger(__name__)


class RemoteFile(NamedTuple):
    """A data file and where the world keeps it.

    Fields:
      path: where it lies under a data folder, with forward slashes, "planetoid/ind.cora.x".
      url: http or https.
      sha256: pinned hex digest; None where the source may re-pack the file.
      size: in bytes; None where not known.
    """

    path: str
    url: str
    sha256: str | None = None
    size: int | None = None


def check_sha256(path: Path, file: RemoteFile) -> None:
    """Compares a file with its pinned sum, where it has one.

    Raises:
      InputError: the sums differ.
    """
    if file.sha256 is None:
        return
    found = sha256_of(path)
    if found != file.sha256:
        raise InputError(
            f"{path} must have SHA-256 {file.sha256[:12]}…, found {found[:12]}…: swapped or "
            f"damaged file; delete it and get it again from {file.url}"
        )


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def record_path(path: Path) -> Path:
    """Where the sum of a download without a pinned one is recorded: ``<file>.sha256``."""
    return path.with_name(f"{path.name}.sha256")


def record_sha256(path: Path) -> None:
    """Records a file's sum beside it, as ``sha256sum`` writes it, unless that is done already.

    A folder that cannot be written is warned of and done without.
    """
    record = record_path(path)
    if record.exists():
        return
    temporary = record.with_name(f"{record.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(f"{sha256_of(path)}  {path.name}\n", encoding="utf-8")
        os.replace(temporary, record)
    except OSError as error:
        _log.warning("warning: %s cannot be written (%s)", record, error.strerror)


def check_recorded(path: Path) -> None:
    """Compares a file with the sum recorded beside it, where there is one.

    Raises:
      InputError: the sums differ, or the record holds none.
    """
    record = record_path(path)
    if not record.exists():
        return
    words = record.read_text(encoding="utf-8", errors="replace").split()
    if not words or not re.fullmatch("[0-9a-f]{64}", words[0]):
        raise InputError(
            f"{record} must begin with a SHA-256 sum, found otherwise: damaged file; delete it to "
            f"have {path.name} recorded anew"
        )
    found = sha256_of(path)
    if found != words[0]:
        raise InputError(
            f"{path} must have SHA-256 {words[0][:12]}… as when first read ({record.name}), found "
            f"{found[:12]}…: swapped or damaged file; delete both to download it again"
        )


# Bytes as published: sum and size.
PLANETOID: dict[str, tuple[str, int]] = {
    "ind.citeseer.allx": (
        "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668",
        595021,
    ),
    "ind.citeseer.ally": (
        "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95",
        55623,
    ),
    "ind.citeseer.graph": (
        "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7",
        61987,
    ),
    "ind.citeseer.test.index": (
        "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4",
        5000,
    ),
    "ind.citeseer.tx": (
        "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21",
        260321,
    ),
    "ind.citeseer.ty": (
        "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce",
        24135,
    ),
    "ind.citeseer.x": (
        "d20de19150741e555de0ed037195630fc194114ebc7fd72ced62810148aa22f6",
        31087,
    ),
    "ind.citeseer.y": (
        "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924",
        3014,
    ),
    "ind.cora.allx": (
        "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543",
        257305,
    ),
    "ind.cora.ally": (
        "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71",
        47959,
    ),
    "ind.cora.graph": (
        "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d",
        59847,
    ),
    "ind.cora.test.index": (
        "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875",
        5000,
    ),
    "ind.cora.tx": (
        "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a",
        148025,
    ),
    "ind.cora.ty": (
        "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad",
        28135,
    ),
    "ind.cora.x": (
        "23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab",
        22119,
    ),
    "ind.cora.y": (
        "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1",
        4054,
    ),
    "ind.pubmed.allx": (
        "508e538e2abdccdd54c4d3e9f49d638b4af7107d85845f66ddea5a5152658b7e",
        7578385,
    ),
    "ind.pubmed.ally": (
        "0c37bbe3b5014ec365e9d393cf4791925e5ed94fb194305d74f064a8d7b50f0e",
        224739,
    ),
    "ind.pubmed.graph": (
        "5b89f0036ca22909471f1e6558eb42fa06e0c730a577bde5b058b40638f81dc9",
        471808,
    ),
    "ind.pubmed.test.index": (
        "b101d421688bbaecbd82e8a18f1e282378d6830f3a37666f28ebc47f844341b5",
        6000,
    ),
    "ind.pubmed.tx": (
        "4eb5f5d0f30f26497eb0ac6ac9719d09c67e284f1ed0385c93f3ef27a671da3d",
        405505,
    ),
    "ind.pubmed.ty": (
        "ee2e0d4819d9fbcc403689c3bf2e49face401b605932f093bc58ab6461130fdd",
        12135,
    ),
    "ind.pubmed.x": (
        "fbe9cb5c47200d1b7769a26e579be3b7130b556831f9d850e77c4c74f2599b33",
        23172,
    ),
    "ind.pubmed.y": (
        "e6c807633307a07ed659249006536a147c7999c797f11a2560752990181b41b3",
        854,
    ),
}

# The binary forms as in tensorflow-datasets' list of sums, the Python forms as in Keras.
CIFAR: dict[str, tuple[str, int]] = {
    "cifar-10-binary.tar.gz": (
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        170052171,
    ),
    "cifar-10-python.tar.gz": (
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        170498071,
    ),
    "cifar-100-binary.tar.gz": (
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        168513733,
    ),
    "cifar-100-python.tar.gz": (
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        169001437,
    ),
}

# By address: two archives of one name. As in the Julia packages MLDatasets and GraphMLDatasets.
PPI: dict[str, tuple[str, int]] = {
    "https://data.dgl.ai/dataset/ppi.zip": (
        "1f5b2b09ac0f897fa6aa1338c64ab75a5473674cbba89380120bede8cddb2a6a",
        7088822,
    ),
    "https://snap.stanford.edu/graphsage/ppi.zip": (
        "53aeb76e54fd41b645e7edb48b62929240b89839495396b048086fd212503fbd",
        27029260,
    ),
}

# Text files inside the zips, by set and part. REDDIT-BINARY's edges are listed in several orders.
TU_TEXTS: dict[str, dict[str, str]] = {
    "COIL-DEL": {
        "A": "7b7970a56715fe47845618ac2f554251102b8d3079242c029eb98d635c69094e",
        "graph_indicator": "cd94e684fb13c1a9267f540f9a6567f4250c599de732a25e06d5c21561cf01dd",
        "graph_labels": "24536ac3f082fd14e9be810b85539cea8f981ff2d221656a8fe329511849eb34",
        "node_attributes": "9918b0de54ce4381aee8884888c49cc01e4c1976290b7f7c875ab358fe489bb8",
    },
    "IMDB-BINARY": {
        "A": "23c8964bab82f81469271186d721131714a265d0ca8c44ae048118da1d0c4092",
        "graph_indicator": "415cc3ba25b8c647dcf34d3de034f675ee070616f3b803be939cb26773489f26",
        "graph_labels": "63a44411fd6342b9c4429828c16e144a2a11ef5244e25bb60f0ffa8b3ee2ffce",
    },
    "IMDB-MULTI": {
        "A": "fb538b23758d78df199272301e57dc74ad5754d6c3d79d5ed0a343193ddf4ec6",
        "graph_indicator": "0274532a0e47dad9cdd21c08995c2265e43040a2c2a3b36c62fdb790994571d3",
        "graph_labels": "613c2357b6b996f6f04b91697a99da87774820f9d08bf22813992f4c7afda855",
    },
    "MUTAG": {
        "A": "d9656ca7493f3445d737c711710bb36fd432dddd1c0ea32e1d4713c86ebd28e2",
        "graph_indicator": "7d520a4d6c7961c0cdeabe076d8fe27e795b6d373485c9a2b744987e560a2056",
        "graph_labels": "a1518ea39ba3426bd42f57396b9c4baffe68e9adc718caeeab0119c6591a5f2c",
        "node_labels": "678f429965490e84dd27713017538c995fc05d1621beac910848b600015ee863",
    },
    "PTC_MR": {
        "A": "f79523ff94dfbef539e5602a8ac1931a50a2800f33fa1d30e5e31725289b5202",
        "graph_indicator": "d52754f3cbc54e29324f884b4c17200c16e06db0c499afae300b4fa1bb6d794b",
        "graph_labels": "64210accbe4c6c027535b1294e0da652b1f539667f7a2d4bf5121dcd8b00a224",
        "node_labels": "cc50d1e1c5f4c98b2100cf50c5ddd88ff28b419a9180d531046b75ce22983235",
    },
    "REDDIT-BINARY": {
        "graph_indicator": "fad8bb968f18c038d3dcd429c0387dc153d2b4e5880b2f55422444acd939deeb",
        "graph_labels": "06c3b8209797dacc2aacb74f9ac4e5d81083f998dab96f38ff19279874059813",
    },
}
