"""Makes the encoders that come with the package: runs of tables, the first training of each."""

import dataclasses
import datetime
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from mmix_jax.command_line import one_line
from mmix_jax.errors import InputError
from mmix_jax.estimators.any_kind import load_any
from mmix_jax.experiments.pretraining import checkpoint_folder
from mmix_jax.experiments.run import evaluate_checkpoints
from mmix_jax.experiments.schema import Run
from mmix_jax.fields import unknown
from mmix_jax.plans.catalog import SEEDS, setting_of
from mmix_jax.plans.runs import Found, Setting, writable
from mmix_jax.plans.work import carried_out, plan
from mmix_jax.pretrained.cards import (
    CARD_FILE,
    Card,
    card_text,
    changed_by_storing,
    digests,
    measure_name,
    read_card,
)
from mmix_jax.report.headline import headlines
from mmix_jax.results import RESULTS_FILE, Result
from mmix_jax.training.checkpoint import without_places
from mmix_jax.training.interrupts import whole

if TYPE_CHECKING:
    from mmix_jax.estimators.base import Embedder

_VARIANTS = {
    "digits": ("none", "mo_op"),
    "digits_graph": ("none", "mp"),
    "cora": ("none", "mo", "mp"),
    "pubmed": ("none", "mo", "mp"),
    "dblp": ("none", "mo", "mp"),
    "mutag": ("none", "mp"),
    "ptc_mr": ("none", "mp"),
    "imdb_binary": ("none", "mp"),
    "proteins": ("none", "mp"),
}
SHIPPED = {
    f"{dataset}-{variant}": setting_of(dataset, variant)
    for dataset, variants in _VARIANTS.items()
    for variant in variants
}
_PLANETOID = ("Planetoid's files of the citation network", "MIT (of the files' repository)")
_TU = ("the TU collection of sets of graphs", "ECL-2.0 (of the collection's repository)")
_DIGITS = ("handwritten digits that come with scikit-learn, of UCI", "CC BY 4.0 (of UCI)")
_SOURCES = {
    "digits": _DIGITS,
    "digits_graph": _DIGITS,
    "cora": _PLANETOID,
    "pubmed": _PLANETOID,
    "dblp": ("graph2gauss's file of the citation network", "MIT (of the file's repository)"),
    "mutag": _TU,
    "ptc_mr": _TU,
    "imdb_binary": _TU,
    "proteins": _TU,
}
# How much an accuracy may change by storing numbers at half their size: more, and they stay whole.
_MOST = 0.0025
log = logging.getLogger(__name__)


def make(
    names: Sequence[str],
    out: Path,
    runs: Path,
    interrupted: Callable[[], bool],
    *,
    run: bool = True,
) -> None:
    """Write encoders and their cards: those of runs in a folder, where what is missing is run.

    What lies there of the same run stays; a data set that is nowhere costs its own encoders.

    Args:
      names: of `SHIPPED`.
      out, runs: folders of encoders, and of runs.
      run: False: trainings are as many as the folder has.

    Raises:
      InputError: an unknown name, a folder that cannot be used or holds something else, or a disk
        that is full.
      Interrupted: what was finished stays.
    """
    for name in names:
        if name not in SHIPPED:
            raise InputError(unknown("pretrained checkpoint", name[:40], SHIPPED))
        _check_place(out / name)
    writable(out, "--out")
    if run:
        writable(runs)
    wanted = {SHIPPED[name]: range(SEEDS[_dataset(name)]) for name in names}
    work = carried_out(plan(wanted, runs), runs, interrupted, run=run)
    for name in names:
        setting = SHIPPED[name]
        if setting not in work.runs:
            print(f"{name}: {work.reason(setting)}")
        elif not (runs / setting.name / RESULTS_FILE).is_file():
            print(
                f"{name}: a record without its workdir; remove {runs / setting.name}.jsonl to "
                "train it anew"
            )
        elif _made(out / name, work.runs[setting]):
            print(f"{name}: kept, of the same run")
        else:
            try:
                _write(name, setting, work.runs[setting], out, runs, interrupted)
            except (OSError, ValueError) as error:  # Orbax has its own for a full disk
                if isinstance(error, InputError):
                    raise
                raise InputError(
                    f"an encoder must be writable at {out / name}, found {one_line(error)[:200]}; "
                    "free the disk, or name another --out"
                ) from error
            print(f"{name}: written", flush=True)


def _check_place(place: Path) -> None:
    """Raise InputError where something else than an encoder lies, as a workdir of that name."""
    if os.path.lexists(place) and (place.is_symlink() or not (place / CARD_FILE).is_file()):
        raise InputError(
            f"an encoder is written to a folder of its own, found something else at {place}; move "
            "it away, or name another --out"
        )


def _dataset(name: str) -> str:
    return name.rpartition("-")[0]


def _made(folder: Path, there: Found) -> bool:
    """Whether the folder has the encoder of a run, as it is now."""
    if not (folder / CARD_FILE).is_file():
        return False
    try:
        card = read_card(folder)
    except InputError as error:
        log.warning("warning: %s is made anew: %s", folder.name, error)
        return False
    whole_enough = card.stored_as == "float32" or changed_by_storing(card) <= _MOST
    return whole_enough and card.of_setting == _without_parts(there.results)


def _without_parts(results: Sequence[Result]) -> list[Result]:
    """Scores over splits are many: their mean and deviation stay."""
    return [dataclasses.replace(r, parts=()) for r in results if r.mixing != "-"]


def _write(
    name: str,
    setting: Setting,
    there: Found,
    out: Path,
    runs: Path,
    interrupted: Callable[[], bool],
) -> None:
    """Write one, whole or not at all."""
    workdir = runs / setting.name
    trained = (workdir / RESULTS_FILE).stat().st_mtime
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=out) as temporary:
        for stored_as in ("bfloat16", "float32"):
            model = _model(workdir, stored_as)
            folder = model.save(Path(temporary) / stored_as / name)
            without_places(checkpoint_folder(folder, model.config_.seed))
            here = evaluate_checkpoints(model.config_, folder, str(folder), interrupted)
            card = _card(name, setting, there, model, here, stored_as, trained, digests(folder))
            if changed_by_storing(card) <= _MOST:
                break
        else:
            log.warning(
                "warning: %s scores otherwise than its training told, though stored whole: up to "
                "%.2f points; it was trained on another machine, or with other versions",
                *(name, 100 * changed_by_storing(card)),
            )
        (folder / CARD_FILE).write_text(card_text(card), encoding="utf-8")
        read_card(folder)
        with whole():
            if (out / name).exists():
                os.replace(out / name, Path(temporary) / "earlier")
            os.replace(folder, out / name)


def _model(workdir: Path, stored_as: str) -> "Embedder":
    """The first training of a run, as it is written."""
    model = load_any(workdir)
    model.config_ = dataclasses.replace(model.config_, num_seeds=1, data_dir="", figures=False)
    if stored_as == "bfloat16":
        encoder = model.encoder_
        params = in_bfloat16(encoder.state.params)
        model.encoder_ = encoder._replace(state=encoder.state._replace(params=params))
    return model


def in_bfloat16(params: Any) -> Any:
    """Floating numbers of a tree at half their size; they are computed with as float32."""

    def stored(x: jax.Array):
        return jnp.asarray(x, jnp.bfloat16) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(stored, params)


def _card(
    name: str,
    setting: Setting,
    there: Found,
    model: "Embedder",
    here: Sequence[Result],
    stored_as: str,
    trained: float,
    files: dict[str, str],
) -> Card:
    config, first = model.config_, there.results[0]
    seeds = there.seeds
    data, licence = _SOURCES[_dataset(name)]
    as_trained = {
        measure_name(r): r.values[r.seeds.index(config.seed)]
        for r in headlines(there.results, config.representation)
        if r.trained and config.seed in r.seeds
    }
    return Card(
        name=name,
        about=_about(config),
        representation=config.representation,
        data=data,
        licence=licence,
        command=setting.command(range(len(seeds)), Path("runs/reproduce")),
        seed=config.seed,
        step=int(model.encoder_.progress["step"]),
        date=datetime.datetime.fromtimestamp(trained, datetime.UTC).date().isoformat(),
        device=first.device,
        versions=dict(first.versions),
        stored_as=stored_as,
        here=_without_parts(here),
        as_trained=as_trained,
        of_setting=_without_parts(there.results),
        files=files,
    )


def _about(config: Run) -> str:
    rule = config.mixing.rule
    mixed = "no mixing" if rule == "none" else f"{rule} over {config.mixing.candidates}"
    width = getattr(config, "width", None)
    return (
        f"{config.task} task on {config.dataset}, {config.framework}-style, {config.encoder}, "
        f"width {width}, {mixed}"
    )
