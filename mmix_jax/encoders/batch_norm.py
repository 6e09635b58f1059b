"""Batch normalisation that keeps torch's running statistics, over devices and views."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmix_jax.ops.arrays import floats
from mmix_jax.ops.collectives import device_count, gather


class BatchNorm(nn.Module):
    """y = (x − mean) / √(variance + ε) · scale + bias per channel, the last axis of x.

    While training, mean and biased variance are the batch's, and running statistics move towards
    them by a tenth, the variance as torch's: the unbiased one. Statistics, running ones included,
    are never narrower than float32. A constant channel has variance 0 and comes out as the bias;
    one whose variance leaves its type is NaN.

    Attributes:
      views: the batch is this many equal parts along axis 0. Each is normalised by its own
        statistics, and the running ones take them in order, as from one forward pass per part.
        Of no effect in evaluation.
      axis_name: the device axis inside pmap or shard_map: statistics of all devices' rows.
      dtype: of the output; None is what x and the parameters promote to.
      epsilon: ε, torch's.
      momentum: what the running statistics keep; 0.9 is torch's 0.1.
    """

    views: int = 1
    axis_name: str | None = None
    dtype: Any = None
    epsilon: float = 1e-5
    momentum: float = 0.9

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Normalise `x [B, ..., C]`.

        Raises:
          ValueError: while training, `views` parts of a batch that they do not divide, or a single
            value per channel.
        """
        x = floats("x", x)
        channels = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        running_var = self.variable("batch_stats", "var", jnp.ones, channels)

        views = self.views if train else 1
        if views < 1 or x.shape[0] % views:
            raise ValueError(
                f"the batch must be {views} equal parts, found {x.shape[0]} rows; "
                "concatenate views of one length"
            )
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        wide = wide.reshape(views, x.shape[0] // views, *x.shape[1:])
        per_channel = (1,) * x.ndim + channels
        if train:
            count = wide[0].size // channels[0] * device_count(self.axis_name)
            if count < 2:
                raise ValueError(
                    "a batch's variance needs several values per channel, found 1; "
                    "use a larger batch"
                )
            mean, variance = _moments(wide, self.axis_name)
            if not self.is_initializing():
                unbiased = variance * (count / (count - 1))
                running_mean.value = self._moved(running_mean.value, mean)
                running_var.value = self._moved(running_var.value, unbiased)
        else:
            mean = running_mean.value.reshape(per_channel)
            variance = running_var.value.reshape(per_channel)
        # The square of a finite number may not be finite: then a slope of 0 would hide it.
        variance = jnp.where(jnp.isinf(variance), jnp.nan, variance)
        slope = jax.lax.rsqrt(variance + self.epsilon) * scale.reshape(per_channel)
        y = ((wide - mean) * slope + bias.reshape(per_channel)).reshape(x.shape)
        return y if self.dtype is None else y.astype(self.dtype)

    def _moved(self, running: jax.Array, batch: jax.Array) -> jax.Array:
        """The running statistic after those of each view, in order."""
        moved = running
        for of_view in batch.reshape(batch.shape[0], -1):
            moved = self.momentum * moved + (1.0 - self.momentum) * of_view
        return moved.astype(running.dtype)


def _moments(x: jax.Array, axis_name: str | None) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance of `x [views, B, ..., C]` per view and channel, all axes kept.

    One pass over x: E[d²] − E[d]² with d the distance to the view's first value, which is never
    many deviations from the mean, so that little cancels. Devices combine theirs by one gather.
    """
    axes = tuple(range(1, x.ndim - 1))
    # A constant to the gradient: the moments do not depend on it.
    origin = jax.lax.stop_gradient(x[(slice(None), *(slice(1),) * len(axes))])
    distance = x - origin
    offset = jnp.mean(distance, axis=axes, keepdims=True)
    square = jnp.mean(distance * distance, axis=axes, keepdims=True)
    mean, variance = origin + offset, jnp.maximum(square - offset * offset, 0.0)
    if axis_name is None:
        return mean, variance
    means, variances = jnp.moveaxis(gather(jnp.stack([mean, variance])[None], axis_name), 1, 0)
    mean = jnp.mean(means, axis=0)
    return mean, jnp.mean(variances + (means - mean[None]) ** 2, axis=0)
