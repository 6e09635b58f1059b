"""Checkpoints of a training: Orbax's, checked by digests before they are read, or in memory."""

import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mmix_jax.errors import InputError
from mmix_jax.surroundings import plainly_named
from mmix_jax.training.interrupts import whole

_NO_SCORE = -1e30  # the metric of a checkpoint that was no improvement: never among the best
_DIGESTS = "digests.json"
log = logging.getLogger(__name__)


class _CutShort(ValueError):
    """Whoever saved was killed before the end."""


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a checkpoint, by its path in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.name != _DIGESTS
    }


def without_places(folder: Path) -> None:
    """Take out of a folder of checkpoints what tells where it was written; nothing reads that."""
    for step in (path.parent for path in sorted(folder.glob(f"*/{_DIGESTS}"))):
        for path in step.rglob("commit_success.txt"):
            path.unlink()
        (step / _DIGESTS).write_text(json.dumps(_digests(step), indent=1), encoding="utf-8")


def by_name(tree: Any) -> dict[str, Any]:
    """Arrays by their place in the tree, the same for fields of a tuple and keys of a dict."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): x for path, x in leaves}


def _own_process(ocp: Any) -> Any:
    """Every array is whole in every process: of several, one writes, and waits for no other."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
    )


class Checkpointer:
    """Checkpoints of one training on disk; use as a context manager, or the last save is lost.

    A checkpoint is the state (a tree of arrays) and `progress`, what the loop must remember (a
    JSON object with `best_step`). The two latest and the two best are kept.

    Args:
      folder: where they lie; made unless `read_only`.
      read_only: nothing is written.

    Raises:
      InputError: the folder cannot be written, or read where `read_only`.
    """

    def __init__(self, folder: str | Path, *, read_only: bool = False):
        import orbax.checkpoint as ocp
        from orbax.checkpoint.checkpoint_managers import preservation_policy as keep

        logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax reports every save
        self.folder = Path(folder).absolute()
        if read_only and not self.folder.is_dir():
            raise InputError(
                f"no checkpoint: {self.folder} is not there; train first, or pass another path"
            )
        best = keep.BestN(get_metric_fn=lambda metrics: metrics["score"], n=2)
        self._open = contextlib.ExitStack()
        try:
            if not read_only:
                self.folder.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(
                self._open.enter_context(plainly_named(self.folder)),
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=keep.AnyPreservationPolicy([keep.LatestN(2), best]),
                    enable_async_checkpointing=False,
                    create=False,
                    read_only=read_only,
                    cleanup_tmp_directories=not read_only,  # what a killed run left
                    multiprocessing_options=_own_process(ocp),
                ),
            )
        except (OSError, ValueError) as error:
            self._open.close()
            raise InputError(
                f"checkpoints must be readable and writable at {self.folder}, found "
                f"{_line(error)}; choose another --workdir"
            ) from error
        self._ocp = ocp

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._manager.close()
        self._open.close()

    def steps(self) -> list[int]:
        """Steps at hand, ascending."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, state: Any, progress: dict, *, score: float | None = None) -> None:
        """Write a checkpoint; with a `score` it counts as an improvement on all earlier ones."""
        args = self._ocp.args
        try:
            with whole():
                if step in self.steps():  # the replay of a step whose checkpoint was found damaged
                    self._manager.delete(step)
                self._manager.save(
                    step,
                    args=args.Composite(
                        state=args.StandardSave(jax.tree.map(np.asarray, state)),
                        progress=args.JsonSave(progress),
                    ),
                    metrics={"score": _NO_SCORE if score is None else float(score)},
                )
                self._manager.wait_until_finished()
                folder = self.folder / str(step)
                temporary = folder / f"{_DIGESTS}.tmp"
                digests = json.dumps(_digests(folder), indent=1)
                temporary.write_text(digests, encoding="utf-8")
                os.replace(temporary, folder / _DIGESTS)
        except OSError as error:
            raise InputError(
                f"a checkpoint must be writable at {self.folder}, found {_line(error)}; free the "
                "disk or choose another --workdir; earlier checkpoints are kept"
            ) from error

    def restore(
        self, template: Any, *, best: bool = False, without: tuple[str, ...] = ()
    ) -> tuple[Any, dict] | None:
        """(state, progress) of the latest checkpoint, or of the best one; None where there is none.

        A damaged checkpoint is named in the log and the next older one taken; where the saves of
        all were cut short, there is none. Fields of the state named in `without` are not read; the
        template has no array there. A template may be a function of the arrays, by their names.

        Raises:
          InputError: the checkpoint is another model's or optimizer's, or all are damaged.
        """
        steps = self.steps()[::-1]
        if not steps:
            return None
        if best:
            latest = self.latest_progress()
            chosen = latest.get("best_step") if latest else None
            if chosen in steps:
                steps = [chosen, *(step for step in steps if step != chosen)]
        only_cut_short = True
        for step in steps:
            try:
                return self._read(step, template, without)
            except InputError:
                raise
            except Exception as error:  # the digests, Orbax and JSON each raise their own
                only_cut_short = only_cut_short and isinstance(error, _CutShort)
                log.warning(
                    "warning: the checkpoint of step %d in %s is damaged (%s); "
                    "falling back on the previous one",
                    step,
                    self.folder,
                    _line(error),
                )
        if only_cut_short:  # as if the run had been killed a moment earlier
            log.warning("warning: there is no previous one; %s counts as empty", self.folder)
            return None
        raise InputError(
            f"a checkpoint must be whole, found {len(steps)} in {self.folder}, all damaged; "
            "remove the folder to start again"
        )

    def latest_progress(self) -> dict | None:
        """The record of the latest checkpoint that is whole; None where there is none."""
        for step in self.steps()[::-1]:
            try:
                return self._restore_progress(step)
            except Exception:  # as in `restore`, which will name it
                continue
        return None

    def _restore_progress(self, step: int) -> dict:
        # Before Orbax reads: a failed read leaves threads behind that print their own tracebacks.
        folder = self.folder / str(step)
        if not (folder / _DIGESTS).is_file():
            raise _CutShort("its save was cut short")
        if json.loads((folder / _DIGESTS).read_text("utf-8")) != _digests(folder):
            raise ValueError("its digests differ")
        args = self._ocp.args
        tree = self._manager.restore(step, args=args.Composite(progress=args.JsonRestore()))
        return tree["progress"]

    def _read(self, step: int, template: Any, without: tuple[str, ...]) -> tuple[Any, dict]:
        args = self._ocp.args
        progress = self._restore_progress(step)
        # Without a template: names and shapes are compared here, and a difference is no damage.
        tree = self._manager.restore(step, args=args.Composite(state=args.StandardRestore()))
        arrays = by_name(tree["state"])
        arrays = {name: x for name, x in arrays.items() if name.split("/")[0] not in without}
        template = template(arrays) if callable(template) else template
        wanted = by_name(template)
        self._check_shapes(arrays, wanted)
        leaves = [np.asarray(arrays[name], np.asarray(x).dtype) for name, x in wanted.items()]
        return jax.tree.unflatten(jax.tree.structure(template), leaves), progress

    def _check_shapes(self, arrays: dict[str, Any], wanted: dict[str, Any]) -> None:
        """Raise InputError where arrays or their shapes differ."""
        shapes, expected = (
            {name: tuple(np.shape(array)) for name, array in tree.items()}
            for tree in (arrays, wanted)
        )
        names = (*expected, *shapes)
        differing = [name for name in names if shapes.get(name) != expected.get(name)]
        if not differing:
            return
        of = "optimizer" if all(name.startswith("opt_state") for name in differing) else "model"
        name = differing[0]
        difference = (
            f"no array for {name} {expected[name]}" if name in expected else f"{name} is left over"
        )
        raise InputError(
            f"the checkpoint must be of this {of}, found another's in {self.folder}: {difference}; "
            "use the config it was trained with"
        )


class MemoryCheckpoints:
    """Checkpoints of one training in memory, the latest and the best; used as `Checkpointer` is.

    They are copies on the host: nothing is written, and nothing can be damaged or another's.
    """

    def __init__(self):
        self._checkpoints: dict[int, tuple[Any, dict]] = {}

    def __enter__(self):
        return self

    def __exit__(self, *exception): ...

    def steps(self) -> list[int]:
        """Steps at hand, ascending."""
        return sorted(self._checkpoints)

    def save(self, step: int, state: Any, progress: dict, *, score: float | None = None) -> None:
        """Keep this state beside that of the `best_step` in `progress`, whatever its `score`."""
        best = progress["best_step"]
        kept = {at: checkpoint for at, checkpoint in self._checkpoints.items() if at == best}
        self._checkpoints = kept | {step: (jax.tree.map(np.array, state), dict(progress))}

    def restore(
        self, template: Any, *, best: bool = False, without: tuple[str, ...] = ()
    ) -> tuple[Any, dict] | None:
        """(state, progress) of the latest checkpoint, or of the best one; None where there is none.

        Fields of the state named in `without` are the template's.
        """
        latest = self.latest_progress()
        if latest is None:
            return None
        step = latest["best_step"] if best else None
        state, progress = self._checkpoints[step if step in self._checkpoints else self.steps()[-1]]
        fields = {name: getattr(template, name) for name in without}
        return state._replace(**fields), dict(progress)

    def latest_progress(self) -> dict | None:
        """The record of the latest checkpoint; None where there is none."""
        return dict(self._checkpoints[self.steps()[-1]][1]) if self._checkpoints else None


def _line(error: BaseException) -> str:
    """The first line of an error's text, short."""
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:160]
