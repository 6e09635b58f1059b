"""ResNet-18 for small images: a 3×3 stem without max-pool (the CIFAR form of METHOD, SimCLR)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmix_jax.encoders.batch_norm import BatchNorm
from mmix_jax.encoders.convolution import conv
from mmix_jax.ops.arrays import native

# Kaiming-normal over the fan-out with ReLU's gain, as torchvision initialises convolutions.
_KAIMING = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class Conv(nn.Module):
    """A square convolution without bias, padded as torch pads: stride 2 on both sides alike."""

    width: int
    size: int
    stride: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.width)
        kernel = self.param("kernel", _KAIMING, shape)
        dtype = self.dtype or jnp.promote_types(x.dtype, kernel.dtype)
        return conv(x.astype(dtype), kernel.astype(dtype), self.stride)


class BasicBlock(nn.Module):
    """ReLU(x + BN(conv(ReLU(BN(conv x))))); x by a 1×1 convolution and BN where its shape changes.

    `width` channels come out; `stride` is the first convolution's. The rest is `ResNet18`'s.
    """

    width: int
    stride: int = 1
    views: int = 1
    axis_name: str | None = None
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        def norm(h, name):
            return BatchNorm(self.views, self.axis_name, self.dtype, name=name)(h, train=train)

        h = Conv(self.width, 3, self.stride, self.dtype, name="conv_1")(x)
        h = nn.relu(norm(h, "norm_1"))
        h = norm(Conv(self.width, 3, 1, self.dtype, name="conv_2")(h), "norm_2")
        if h.shape != x.shape:
            x = Conv(self.width, 1, self.stride, self.dtype, name="shortcut_conv")(x)
            x = norm(x, "shortcut_norm")
        return nn.relu(h + x)


class ResNet18(nn.Module):
    """Images [B, H, W, C] to the mean over places of the last stage, [B, width · 2^(stages − 1)].

    Stage s has `width` · 2^s channels; all but the first halve height and width.

    Attributes:
      stages: blocks of each stage; fewer, as (1, 1, 1), suit a CPU or tiny images.
      width: channels of stem and first stage.
      views: equal parts of the batch with statistics of their own, see `BatchNorm`: both views in
        one pass, as from two.
      axis_name: the device axis: batch statistics are those of all devices.
      dtype: of convolutions and activations; None is the parameters' own, bfloat16 halves the
        memory. Parameters, statistics and the features stay float32.
    """

    stages: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    views: int = 1
    axis_name: str | None = None
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Features of `x`, normalised images; `train` uses and records the batch's statistics.

        Raises:
          ValueError: `x` is no batch of floating point images, or does not split into `views`.
        """
        x = native(x)
        if x.ndim != 4 or not jnp.issubdtype(x.dtype, jnp.floating):
            raise ValueError(
                f"images must be floating point [B, H, W, C], found {x.dtype} {x.shape}; "
                "normalise them before"
            )
        x = Conv(self.width, 3, 1, self.dtype, name="conv")(jnp.asarray(x))
        norm = BatchNorm(self.views, self.axis_name, self.dtype, name="norm")
        x = nn.relu(norm(x, train=train))
        for stage, num_blocks in enumerate(self.stages):
            for block in range(num_blocks):
                x = BasicBlock(
                    self.width * 2**stage,
                    2 if stage > 0 and block == 0 else 1,
                    self.views,
                    self.axis_name,
                    self.dtype,
                    name=f"stage_{stage}_block_{block}",
                )(x, train=train)
        return jnp.mean(x.astype(jnp.promote_types(x.dtype, jnp.float32)), axis=(1, 2))
