"""The SimCLR-style framework for images: two augmented views, one encoder pass, mixed NT-Xent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmix_jax.augment.images import CIFAR, ImageAugmentation, augment, normalise_images
from mmix_jax.encoders.heads import ProjectionHead, Projections
from mmix_jax.encoders.resnet import ResNet18
from mmix_jax.frameworks.base import Aux, Seen, synthetic_of
from mmix_jax.losses import Contrast, diversity, info_nce, virtual_labels
from mmix_jax.mixing import Mixing, Mixture, draw_partners, mix_pairs, mix_with
from mmix_jax.ops.collectives import device_count, device_index
from mmix_jax.ops.similarity import normalise


class ImageTables(NamedTuple):
    """What stays on the device: all images, uint8 [N, H, W, C], and their classes [N], −1 unknown.

    Classes serve the statistics of mixing alone: without any (None) these have no `agreement`.
    """

    images: jax.Array
    labels: jax.Array | None


@dataclass(frozen=True)
class ImageSettings:
    """Static settings; names are METHOD.md's, defaults the paper's on images.

    stages, width: of `ResNet18`. features: outputs of the head; hidden: width of its hidden layer,
    0 is the encoder's. dtype: of the convolutions, "float32" or "bfloat16". augmentation: with the
    data set's mean and std. symmetric: mix view b too. renormalise: mixtures are unit vectors again
    before NT-Xent; False is the authors' code.
    num_contrasted: images of a step on all devices, which decides between dense and streamed forms.
    """

    stages: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    features: int = 128
    hidden: int = 0
    dtype: str = "float32"
    augmentation: ImageAugmentation = CIFAR
    mixing: Mixing = Mixing(rule="mo", candidates="op", mix_normalised=True, stop_gradient=True)
    symmetric: bool = False
    renormalise: bool = True
    contrast: Contrast = Contrast(temperature=0.4)
    num_contrasted: int = 0

    @property
    def block_size(self) -> int | None:
        """Rows per block of loss and mixing; None is dense."""
        return self.contrast.options(self.num_contrasted)["block_size"]


class SimCLR(nn.Module):
    """ResNet-18 and head; with `projected` the two matrices of mp-mix on the head's output."""

    stages: tuple[int, ...]
    width: int
    features: int
    dtype: str = "float32"
    projected: bool = False
    views: int = 1
    axis_name: str | None = None
    hidden: int = 0

    def setup(self):
        shared = {"views": self.views, "axis_name": self.axis_name}
        dtype = None if self.dtype == "float32" else jnp.dtype(self.dtype)
        self.encoder = ResNet18(self.stages, self.width, dtype=dtype, **shared)
        self.head = ProjectionHead(self.features, hidden=self.hidden, **shared)
        if self.projected:
            self.projections = Projections(self.features)

    def __call__(self, x: jax.Array, *, train: bool = False):
        """(head output [B, features], not normalised, and (q, k) of mp-mix or None)."""
        z = self.head(self.encoder(x, train=train), train=train)
        return z, self.projections(normalise(z)) if self.projected else None

    def embed(self, x: jax.Array) -> jax.Array:
        """The features behind the head's back [B, D], by running statistics."""
        return self.encoder(x)


def make_model(settings: ImageSettings, *, views: int = 1, axis_name: str | None = None) -> SimCLR:
    """The module that these settings describe."""
    return SimCLR(
        settings.stages,
        settings.width,
        settings.features,
        settings.dtype,
        settings.mixing.projects,
        views,
        axis_name,
        settings.hidden,
    )


def init_variables(settings: ImageSettings, shape: tuple[int, ...], key: jax.Array) -> Any:
    """Fresh {"params", "batch_stats"} for images of `shape` [H, W, C]."""
    return make_model(settings).init(key, jnp.zeros((1, *shape), jnp.float32))


def embed(settings: ImageSettings, variables: Any, images: jax.Array) -> jax.Array:
    """Features [B, D] of uint8 images [B, H, W, C], normalised and not augmented; float32."""
    x = normalise_images(images, settings.augmentation, jnp.dtype(settings.dtype))
    return cast(jax.Array, make_model(settings).apply(variables, x, method="embed"))


def two_views(
    settings: ImageSettings, images: jax.Array, key: jax.Array, *, first: int | jax.Array = 0
) -> tuple[jax.Array, jax.Array]:
    """Both augmented views of uint8 images [B, H, W, C]; `first` as in `augment`."""
    dtype = jnp.dtype(settings.dtype)
    view_a, view_b = (
        augment(k, images, settings.augmentation, dtype, first=first) for k in jax.random.split(key)
    )
    return view_a, view_b


def mix_view(
    settings: ImageSettings,
    z: jax.Array,
    projected: tuple[jax.Array, jax.Array] | None,
    key: jax.Array,
    *,
    axis_name: str | None = None,
    labels: jax.Array | None = None,
    block_size: int | None = None,
) -> Mixture:
    """Mix head outputs z [B, D] with those of the whole batch (`op`, `all`)."""
    q, k = (None, None) if projected is None else projected
    return mix_pairs(
        z,
        candidates=settings.mixing.candidates,
        threshold=settings.mixing.threshold,
        q=q,
        k=k,
        key=key,
        axis_name=axis_name,
        block_size=block_size,
        labels=labels,
        **settings.mixing.options(),
    )


def mix_batch(
    settings: ImageSettings, variables: Any, images: jax.Array, key: jax.Array
) -> Mixture:
    """What a training step with this key would mix view a of uint8 images [B, H, W, C] into.

    Weights [B, B] are dense, whatever `block_size`. Under `i_mix` no embedding is mixed.
    """
    view_key, mix_key, *_ = jax.random.split(key, 4)
    x, _ = two_views(settings, images, view_key)
    (z, projected), _ = make_model(settings).apply(
        variables, x, train=True, mutable=["batch_stats"]
    )
    return mix_view(settings, z, projected, mix_key)


def make_loss(settings: ImageSettings, axis_name: str | None = None) -> Callable:
    """`loss_fn(params, batch_stats, (ImageTables, rows [B]), key) -> (loss, Aux)`.

    NT-Xent over the 2B vectors [ẑ^a; z^b] of all devices, plus w L_div for mp (eq. 8); i-mix's
    virtual labels for i-mix, whose pairs are drawn on each device. Both views pass the
    encoder together, each with batch statistics of its own. With `axis_name` loss and metrics are
    this device's share; their sums over devices count (statistics of mixing: means over devices).
    """
    model = make_model(settings, views=2, axis_name=axis_name)
    contrast = settings.contrast.options(settings.num_contrasted)
    contrast |= {"axis_name": axis_name, "normalise": settings.renormalise}
    shared = {"axis_name": axis_name, "block_size": settings.block_size}
    weight, margin = settings.contrast.diversity_weight, settings.contrast.diversity_margin

    def loss_fn(params, batch_stats, batch, key):
        tables, rows = batch
        view_key, *mix_keys, partner_key = jax.random.split(key, 4)
        place = device_index(axis_name)
        x_a, x_b = two_views(settings, tables.images[rows], view_key, first=place * rows.shape[0])
        if settings.mixing.of_inputs:
            partner_key = jax.random.fold_in(partner_key, place)
            lam, partners = draw_partners(partner_key, rows.shape[0])
            x_a = mix_with(x_a, lam, partners)
        (z, projected), state = model.apply(
            {"params": params, "batch_stats": batch_stats},
            jnp.concatenate([x_a, x_b]),
            train=True,
            mutable=["batch_stats"],
        )
        z_a, z_b = jnp.split(z, 2)
        of_a, of_b = (None, None) if projected is None else _views_of(projected)
        labels = None if tables.labels is None else tables.labels[rows]
        mixture = mix_view(settings, z_a, of_a, mix_keys[0], labels=labels, **shared)
        share = 1.0 / device_count(axis_name)
        metrics = {f"mixing/{name}": share * value for name, value in mixture.stats.items()}
        v = z_b
        if settings.symmetric:
            v = mix_view(settings, z_b, of_b, mix_keys[1], **shared).z_mixed
        elif not settings.renormalise:
            v = normalise(z_b)
        if settings.mixing.of_inputs:
            loss = virtual_labels(mixture.z_mixed, v, lam, partners, **contrast)
        else:
            synthetic, logged = synthetic_of(
                settings.mixing,
                mixture.z_mixed,
                v,
                mix_keys[0],
                of_u=of_a,
                of_v=lambda: cast(Any, of_b),
                labels=labels,
                **shared,
            )
            metrics |= logged
            loss = info_nce(mixture.z_mixed, v, **contrast, **synthetic)
        metrics["contrast"] = loss
        if of_a is not None and of_b is not None:
            terms = [of_a, of_b] if settings.symmetric else [of_a]
            values = [diversity(*term, margin=margin, axis_name=axis_name) for term in terms]
            metrics["diversity"] = jnp.stack(values).mean()
            if weight:
                loss = loss + weight * metrics["diversity"]
        return loss, Aux(metrics, state["batch_stats"], Seen(mixture.z_mixed, v, {}))

    return loss_fn


def _views_of(projected: tuple[jax.Array, jax.Array]):
    """(q, k) of both views, from those of the stacked batch."""
    (q_a, q_b), (k_a, k_b) = (jnp.split(x, 2) for x in projected)
    return (q_a, k_a), (q_b, k_b)
