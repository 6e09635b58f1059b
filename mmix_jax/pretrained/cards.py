"""The card of a pretrained encoder: what it is, what it scores, and the digests of its files."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmix_jax.data.store.checksums import sha256_of
from mmix_jax.errors import InputError
from mmix_jax.report.headline import headlines
from mmix_jax.report.tables import align, format_score, in_percent, metric_name
from mmix_jax.results import Result, parse_results

CARD_FILE = "card.json"
_ANEW = "install the package anew"
_LARGEST = 2**22  # bytes of a card, some fifty times those that there are


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of a pretrained encoder.

    Args:
      name: of the encoder.
      about: data set, framework and rule, in words.
      representation: of the headline: `a`, `b`, `mean` or `single`.
      data, licence: where the data come from, and under which licence.
      command: trains this encoder and the others of its setting.
      seed, step: of this training, and the step that its selection chose.
      date: of the training. device, versions: as results tell them.
      stored_as: the type of its numbers on disk, which are computed with as float32.
      here: results of this encoder as it is stored, and of a random-initialised one of its seed.
      as_trained: its score before it was stored, a fraction, by headline measure.
      of_setting: results of all trainings of its setting, this one among them.
      files: SHA-256 by the path in its folder.
    """

    name: str
    about: str
    representation: str
    data: str
    licence: str
    command: str
    seed: int
    step: int
    date: str
    device: str
    versions: dict[str, str]
    stored_as: str
    here: list[Result]
    as_trained: dict[str, float]
    of_setting: list[Result]
    files: dict[str, str]


_OF_RESULTS = ("here", "of_setting")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the card, by its path in the folder."""
    found = {}
    for room, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(room) / name
            place = path.relative_to(folder).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise InputError(
                    f"a pretrained checkpoint must have plain files, found {place} in {folder}; "
                    f"{_ANEW}"
                )
            if path.is_dir():
                if not any(path.iterdir()):
                    found[place] = "an empty folder"
            elif place != CARD_FILE:
                found[place] = sha256_of(path)
    return dict(sorted(found.items()))


def measure_name(result: Result) -> str:
    """`accuracy %, svm 10-fold`."""
    return f"{metric_name(result.metric)}, {result.protocol}"


def card_text(card: Card) -> str:
    """The card as its file has it."""
    return json.dumps(dataclasses.asdict(card), indent=1, ensure_ascii=False) + "\n"


def read_card(folder: Path) -> Card:
    """The card of a folder, all of whose files are those that it names.

    Raises:
      InputError: the card is damaged, or a file is, is missing or is left over.
    """
    path = folder / CARD_FILE
    try:
        if not path.is_file() or path.is_symlink() or path.stat().st_size > _LARGEST:
            raise ValueError("no plain file of a card's size")
        told = json.loads(path.read_text("utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"a card must be a file of JSON, found {path} missing or damaged "
            f"({type(error).__name__}); {_ANEW}"
        ) from error
    card = _checked(told, path)
    try:
        there = digests(folder)
    except OSError as error:
        raise InputError(
            f"a pretrained checkpoint must be readable, found {folder}: {error.strerror}; {_ANEW}"
        ) from error
    for name in sorted(card.files.keys() | there.keys()):
        if card.files.get(name) != there.get(name):
            fault = (
                "missing" if name not in there
                else "left over" if name not in card.files
                else "damaged"
            )  # fmt: skip
            raise InputError(
                f"a pretrained checkpoint must have the files of its card, found {name} {fault} in "
                f"{folder}; {_ANEW}"
            )
    return card


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def _checked(told: Any, path: Path) -> Card:
    fields = {field.name: field.type for field in dataclasses.fields(Card)}
    values = told if isinstance(told, dict) else {}
    for name, kind in fields.items():
        if not _is(values.get(name), kind):
            raise InputError(
                f"a card must tell {name}, found "
                f"{'another type' if name in values else 'none'} in {path}; {_ANEW}"
            )
    if values["name"] != path.parent.name:
        raise InputError(
            f"a card must be of its folder, found that of {values['name']!r} in {path}; {_ANEW}"
        )
    chosen = {name: values[name] for name in fields}
    try:
        for name in _OF_RESULTS:
            chosen[name] = parse_results(map(json.dumps, values[name]), name)
    except InputError as error:
        raise InputError(
            f"a card must tell results, found others in {path} ({error}); {_ANEW}"
        ) from error
    card = Card(**chosen)
    judged = [measure_name(r) for r in headlines(card.here, card.representation) if r.trained]
    if not judged or not {*judged} <= card.as_trained.keys():
        raise InputError(
            f"a card must tell the scores of its headline, found none of some in {path}; {_ANEW}"
        )
    return card


def _is(value: Any, kind: Any) -> bool:
    """Whether JSON's value may be one of a field of this type."""
    if kind is str:
        return isinstance(value, str) and value.isprintable()
    if kind is int:
        return type(value) is int
    if kind == list[Result]:
        return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
    of = str if kind == dict[str, str] else float
    return isinstance(value, dict) and all(type(entry) is of for entry in value.values())


def changed_by_storing(card: Card) -> float:
    """The most that an accuracy of the headline differs, stored and as trained."""
    return max(
        (
            abs(result.mean - card.as_trained[measure_name(result)])
            for result in headlines(card.here, card.representation)
            if result.trained and in_percent(result.metric)
        ),
        default=0.0,
    )


_HEADS = ("measure", "this one", "as trained", "untrained", "all trainings", "all untrained")


def headline_rows(card: Card) -> list[tuple[str, ...]]:
    """Cells below `_HEADS`, of each headline measure: its name; scores of this encoder as it is
    stored, before that, and before training; those of all trainings, and of none, with their n."""
    rows = []
    for result in headlines(card.here, card.representation):
        if result.trained:
            name = measure_name(result)
            of_all = [_like(result, card.of_setting, trained=trained) for trained in (True, False)]
            rows.append(
                (
                    name,
                    _score(result),
                    _one(result, card.as_trained.get(name)),
                    _score(_like(result, card.here, trained=False)),
                    *(f"{_score(r)} (n = {len(r.seeds)})" if r else "–" for r in of_all),
                )
            )
    return rows


def _like(result: Result, others: Sequence[Result], *, trained: bool) -> Result | None:
    wanted = (result.metric, result.protocol, result.representation, trained)
    for r in others:
        if (r.metric, r.protocol, r.representation, r.trained) == wanted:
            return r
    return None


def _score(result: Result | None) -> str:
    if result is None:
        return "–"
    return format_score(result.metric, result.mean, result.std, len(result.seeds))


def _one(result: Result, value: float | None) -> str:
    return "–" if value is None else format_score(result.metric, value, 0.0, 1)


def listing(cards: Sequence[Card], bytes_of: Sequence[int]) -> str:
    """A table of encoders, each with the first of its headline scores."""
    columns: dict[str, list[str]] = {name: [] for name in ("name", "KB", *_HEADS)}
    for card, size in zip(cards, bytes_of, strict=True):
        row = next(iter(headline_rows(card)), ["–"] * len(_HEADS))
        cells = (card.name, f"{size / 1024:,.0f}", *row)
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
    return "\n".join(align(columns, right=("KB", *_HEADS[1:])))


def described(card: Card) -> str:
    """A card to read."""
    told = {
        "about": card.about,
        "data": card.data,
        "licence": card.licence,
        "command": card.command,
        "training": f"seed {card.seed}, step {card.step}, {card.date}, {card.device}",
        "versions": ", ".join(f"{name} {number}" for name, number in card.versions.items()),
        "stored as": card.stored_as,
    }
    width = max(map(len, told))
    rows = headline_rows(card)
    columns = {head: [row[at] for row in rows] for at, head in enumerate(_HEADS)}
    lines = [card.name, *(f"{name:<{width}}  {text}" for name, text in told.items())]
    return "\n".join([*lines, "", *align(columns, right=_HEADS[1:])])
