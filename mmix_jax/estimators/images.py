"""The estimator of images."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mmix_jax.data.natural_images import image_dataset
from mmix_jax.data.store.files import reading
from mmix_jax.data.types import ImageDataset, make_image_dataset
from mmix_jax.errors import InputError
from mmix_jax.estimators.base import Embedder
from mmix_jax.estimators.notes import heard
from mmix_jax.estimators.settings import config_to_embed
from mmix_jax.experiments.figures import nothing_mixed
from mmix_jax.experiments.images.config import IMAGE_VARIANTS, OWN_IMAGES, ImageConfig
from mmix_jax.experiments.images.figures import weights_of
from mmix_jax.experiments.images.scores import variables_of
from mmix_jax.experiments.images.task import ImageTask, task_of, task_to_embed

if TYPE_CHECKING:
    import pandas as pd


class ImageEmbedder(Embedder):
    """Features of images, pretrained by contrast with mixed hard negatives.

    Images are uint8 [N, H, W, C] or [N, H, W], a list of such or of PIL images of one size, an
    `ImageDataset`, or the path of a folder or an archive (its training part, if it has parts).

    Fitted attributes: `history_` (metrics of every evaluation), `mixing_` (the last statistics of
    mixing), `image_shape_` (H, W, C), `n_features_in_` (H·W·C), `n_iter_` (steps taken), `notes_`
    (what was read and chosen, in words), `config_`, `encoder_`.

    Example:
      >>> from sklearn.datasets import load_digits
      >>> from mmix_jax.estimators import ImageEmbedder
      >>> images = (15 * load_digits().images).astype("uint8")
      >>> model = ImageEmbedder(stages=(1,), width=8, batch_size=32, num_steps=2)
      >>> model.fit(images[:64]).transform(images[64:70]).shape
      (6, 8)
    """

    _of, _changed, _variants, _name = ImageConfig, OWN_IMAGES, IMAGE_VARIANTS, "images"

    image_size: int
    image_shape_: tuple[int, ...]

    def fit(self, images: Any, y: Any = None) -> Self:
        """Pretrain on N images.

        Args:
          images: see the class.
          y: passed over: training sees no label. It stands here for pipelines.

        Raises:
          InputError: a setting or the images are not as described.
        """
        return self._fit(images)

    def fit_transform(self, images: Any, y: Any = None) -> np.ndarray:
        """`fit`, then the features of these images, [N, D] float32."""
        return self.fit(images)._embed_own()

    def transform(self, images: Any) -> np.ndarray:
        """Features of images, [N, D] float32, in their order.

        They are normalised by mean and deviation of the training's images.

        Raises:
          NotFittedError: before `fit`.
          InputError: the images are not as described, or of another shape.
        """
        self._check_fitted()
        return self._embed(self._read(images, fitted=True)[0])

    def _read(self, images: Any, *, fitted: bool = False) -> tuple[ImageDataset, list[str]]:
        with heard(self.verbose and not fitted) as notes, reading():
            size = self.image_size if type(self.image_size) is int else 32
            data = image_dataset(images, size=size, name=self._name)
        # No label is seen, and none is kept for tests.
        return data._replace(
            train_labels=None, test=None, test_labels=None, classes=(), test_ids=None
        ), notes

    def _task_of(self, config: Any, data: ImageDataset, *, embeds: bool) -> ImageTask:
        return task_to_embed(config, data) if embeds else task_of(config, data)

    def _empty_task(self, num_features: int) -> ImageTask:
        data = make_image_dataset(self._name, np.zeros((2, 8, 8, num_features), np.uint8))
        return task_to_embed(config_to_embed(self.config_), data)

    def _seen(self, data: ImageDataset) -> list[np.ndarray]:
        return [data.train]

    def _learn(self, data: ImageDataset) -> None:
        self.image_shape_ = data.train.shape[1:]
        self.n_features_in_ = int(np.prod(self.image_shape_))

    def _known(self) -> dict[str, Any]:
        return {"image_shape": list(self.image_shape_)}

    def _know(self, told: dict[str, Any]) -> None:
        # A workdir of the program tells the channels alone: any size will do.
        self.image_shape_ = tuple(told.get("image_shape", (0, 0, self.n_features_in_)))
        self.n_features_in_ = int(np.prod(self.image_shape_))

    def _checked(self, data: ImageDataset) -> ImageDataset:
        shape = self.image_shape_
        known = shape if 0 not in shape else (*data.train.shape[1:3], shape[2])
        if data.train.shape[1:] != known:
            raise InputError(
                f"images must have the shape {known} of those that trained, found "
                f"{data.train.shape[1:]}; resize them"
            )
        return data

    def _mixtures(self, task: ImageTask) -> "pd.DataFrame | str":
        import pandas as pd

        encoder, inputs = self.encoder_, task.inputs.as_trained(self.encoder_.progress)
        rows, weights, own = weights_of(inputs, variables_of(encoder.state), encoder.seed)
        anchors, partners = np.nonzero(weights)
        if not anchors.size:
            return nothing_mixed(self.config_, len(rows))
        values = weights[anchors, partners]
        order = np.lexsort((-values, rows[anchors]))
        anchors, partners, values = anchors[order], partners[order], values[order]
        return pd.DataFrame(
            {
                "anchor": rows[anchors],
                "own_weight": own[anchors],
                "partners": np.count_nonzero(weights, axis=1)[anchors],
                "partner": rows[partners],
                "weight": values,
            }
        )

    @property
    def _num_inputs(self) -> int:
        return self.image_shape_[2]

    @property
    def _n_features_out(self) -> int:
        return self.config_.width * 2 ** (len(self.config_.stages) - 1)
