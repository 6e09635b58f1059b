"""What all estimators share: settings, training, embedding, and the habits of scikit-learn."""

import copy
import inspect
import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mmix_jax.errors import InputError
from mmix_jax.estimators.notes import heard
from mmix_jax.estimators.seen import check_seen
from mmix_jax.estimators.settings import (
    config_of,
    config_to_embed,
    described,
    initialiser,
    settings_of,
    settings_of_variant,
)
from mmix_jax.experiments import records
from mmix_jax.experiments.pretraining import Pretrained, pretrain
from mmix_jax.experiments.schema import Run
from mmix_jax.experiments.task import Encoder, Task, held
from mmix_jax.surroundings import locked, user_path
from mmix_jax.training.interrupts import stopping
from mmix_jax.training.loop import Interrupted

if TYPE_CHECKING:
    import pandas as pd

_MIXING = "mixing/"
_log = logging.getLogger(__name__)


class Embedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Pretrains an encoder on data in memory, and embeds these and others.

    Subclasses name their task's config, what of its defaults they change, and its variants; and
    they say how data are read, what embeds other data, and what a fitted one knows of its data.
    """

    _of: ClassVar[type[Run]]
    _changed: ClassVar[Mapping[str, Any]]
    _variants: ClassVar[Mapping[str, Mapping[str, Any]]]
    _name: ClassVar[str]

    # Set by `__init__`, as all settings are, and by `fit`.
    verbose: Any
    workdir: Any
    config_: Any
    encoder_: Encoder
    history_: list[dict[str, float]]
    n_features_in_: int
    n_iter_: int
    notes_: list[str]
    _data: Any
    _task: Task

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "_of" not in cls.__dict__:
            return
        settings = cls._settings()
        cls.__init__ = initialiser(settings)
        cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or '')}\n\nSettings, with their defaults:\n"
        cls.__doc__ += described(cls._of, settings) + "\n"

    @classmethod
    def _settings(cls) -> dict[str, Any]:
        """All settings with their defaults."""
        return settings_of(cls._of, cls._changed)

    @classmethod
    def variant(cls, name: str, **settings: Any) -> Self:
        """An estimator with the settings of a variant (`"grace+mo"`), and with `settings`.

        Raises:
          InputError: unknown variant.
        """
        changed = settings_of_variant(cls._of, cls._settings(), name, cls._variants)
        return cls(**(changed | settings))

    @abstractmethod
    def _read(self, *given: Any, fitted: bool = False) -> tuple[Any, list[str]]:
        """The data set, and what was said on reading it."""

    @abstractmethod
    def _task_of(self, config: Run, data: Any, *, embeds: bool) -> Task:
        """The task of a config on data as `_read` gives them; one that only embeds is cheaper."""

    @abstractmethod
    def _seen(self, data: Any) -> Sequence[np.ndarray]:
        """What of the data training sees."""

    @abstractmethod
    def _learn(self, data: Any) -> None:
        """Set the fitted attributes that tell of the data."""

    @property
    @abstractmethod
    def _n_features_out(self) -> int:
        """D, for `get_feature_names_out`."""

    @abstractmethod
    def _empty_task(self, num_features: int) -> Task:
        """The task of `config_` on next to no data, with so many features or channels."""

    def _known(self) -> dict[str, Any]:
        """What `_know` wants from a file, beside the encoder: JSON."""
        return {}

    def _know(self, told: dict[str, Any]) -> None:
        """Set the attributes that tell of the training's data, on loading."""

    @abstractmethod
    def _checked(self, data: Any) -> Any:
        """Data as the encoder takes them; InputError where they are others."""

    def _fit(self, *given: Any) -> Self:
        """Train on data that are given as `_read` takes them."""
        config = config_of(self._of, self.get_params(deep=False), self._name)
        data, read = self._read(*given)
        with heard(self.verbose) as notes:
            task = self._task_of(config, data, embeds=False)
            pretrained = self._pretrain(task, data)
        self.config_, self.encoder_ = config, pretrained.encoder
        self.n_iter_ = int(pretrained.state.step)
        self.history_ = pretrained.history
        self.notes_ = [*read, *notes]
        self._data, self._task = data, task
        self._learn(data)
        return self

    def _pretrain(self, task: Task, data: Any) -> Pretrained:
        if self.workdir is None:
            return pretrain(task, show=bool(self.verbose))
        workdir = user_path(self.workdir, "workdir")
        records.check_record(getattr(task, "asked", task.config), workdir, mode="train")
        with locked(workdir), stopping() as asked:
            check_seen(self._seen(data), workdir)
            try:
                found = pretrain(
                    task, workdir=workdir, interrupted=lambda: bool(asked), show=bool(self.verbose)
                )
            except Interrupted as stop:
                raise KeyboardInterrupt(
                    f"interrupted after step {stop.step}, a checkpoint was saved in {workdir}; "
                    "fit again to go on"
                ) from stop
        if not found.ran:
            _log.info("training: had been finished in %s, so no step was taken", workdir)
        return found

    def _embed(self, data: Any) -> np.ndarray:
        """Embeddings of data as `_read` gives them."""
        with heard(self.verbose):
            data = self._checked(data)
        with heard(False):  # it tells the data's own statistics, and those of the training count
            task = self._task_to_embed(data)
        with heard(self.verbose):
            return held(task.embed(self.encoder_)["z"])

    def _task_to_embed(self, data: Any) -> Task:
        return self._task_of(config_to_embed(self.config_), data, embeds=True)

    def _embed_own(self) -> np.ndarray:
        """Embeddings of the data of the training, by the tables that it used."""
        return held(self._own_task().embed(self.encoder_)["z"])

    def _own_task(self) -> Task:
        """The task of the training, made anew in another process."""
        if not hasattr(self, "_data"):
            raise InputError(
                f"a {type(self).__name__} that was loaded has not the data of its training, found "
                "none to embed; hand them over"
            )
        if not hasattr(self, "_task"):
            with heard(False):
                self._task = self._task_to_embed(self._data)
        return self._task

    def _check_fitted(self) -> None:
        check_is_fitted(self)

    def _check_width(self, found: int, of: str) -> None:
        if found != self.n_features_in_:
            raise InputError(
                f"{of} must have the {self.n_features_in_} features of those that trained, found "
                f"{found}; give the same columns"
            )

    def mixtures(self, data: Any = None) -> "pd.DataFrame":
        """What is mixed into what: a row per anchor and partner, of each anchor by falling weight.

        Columns are `anchor`, `own_weight`, `partners` (how many the anchor has), `partner`,
        `weight` and, on graphs, `cosine` of the embeddings, and classes where known. Anchors are
        some at most: nodes and graphs of up to 2,000 nodes, images of one batch, drawn by the seed.

        Args:
          data: as `transform` takes them; None: those of the training.

        Raises:
          NotFittedError: before `fit`.
          InputError: nothing is mixed.
        """
        self._check_fitted()
        with heard(False):
            if data is None:
                task = self._own_task()
            else:
                task = self._task_to_embed(self._checked(self._read(data, fitted=True)[0]))
            found = self._mixtures(task)
        if isinstance(found, str):
            raise InputError(f"mixtures need embeddings that are mixed, found none: {found}")
        return found

    @abstractmethod
    def _mixtures(self, task: Any) -> "pd.DataFrame | str":
        """`mixtures` of a task's data, or why there are none."""

    def untrained(self) -> Self:
        """The same before training: random-initialised by the seed, with the same data's scaling.

        What training has done is the difference to it.

        Raises:
          NotFittedError: before `fit`.
        """
        self._check_fitted()
        other = copy.copy(self)
        state = self._empty_task(self._num_inputs).start(self.config_.seed)
        other.encoder_ = self.encoder_._replace(
            state=state._replace(opt_state=()),
            progress={**self.encoder_.progress, "step": 0, "best_step": 0, "seconds": 0.0},
        )
        other.history_, other.n_iter_ = [], 0
        return other

    @property
    def _num_inputs(self) -> int:
        """Features or channels that the encoder takes."""
        return self.n_features_in_

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a folder that `load` reads, and the program as a workdir; whole or not at all.

        Args:
          path: of the folder.
          overwrite: whether an earlier model there gives way.

        Raises:
          NotFittedError: before `fit`.
          InputError: something else lies there, or the folder cannot be written.
        """
        from mmix_jax.estimators.files import save

        check_is_fitted(self)
        return save(self, user_path(path, "path"), overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A fitted estimator from what `save` wrote, or from a workdir of the program.

        Nothing read is executed. The data of the training are not there.

        Raises:
          InputError: there is no such folder, it holds another estimator's model, or is damaged.
        """
        from mmix_jax.estimators.files import load

        return load(cls, user_path(path, "path"))

    @property
    def mixing_(self) -> dict[str, float]:
        """The statistics of mixing at the last evaluation, by their names."""
        last = next((row for row in reversed(self.history_) if any(map(_of_mixing, row))), {})
        return {name.removeprefix(_MIXING): last[name] for name in filter(_of_mixing, last)}

    def __getstate__(self):
        # A task holds compiled programs; another process makes them anew.
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_task"}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "encoder_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.requires_fit = True
        tags.non_deterministic = False
        return tags


def _of_mixing(name: str) -> bool:
    return name.startswith(_MIXING)
