"""Heads on top of an encoder: predictors, projection heads, the projections of mp-mix."""

import flax.linen as nn
import jax

from mmix_jax.encoders.batch_norm import BatchNorm
from mmix_jax.ops.arrays import floats

# torch.nn.Linear's: uniform within ±1/√(fan-in), which is also the bound of its bias.
_LINEAR = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class Predictor(nn.Module):
    """g: linear, PReLU, linear, no biases, [N, D] -> [N, D]; Xavier-uniform."""

    width: int

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        init = nn.initializers.xavier_uniform()
        z = floats("z", z)
        hidden = nn.Dense(self.width, use_bias=False, kernel_init=init)(z)
        hidden = nn.PReLU(negative_slope_init=0.25)(hidden)
        return nn.Dense(self.width, use_bias=False, kernel_init=init)(hidden)


class Projections(nn.Module):
    """P_m z and P_n z of eq. 6: two [D, D] matrices, no bias, Xavier-uniform, not normalised."""

    width: int

    @nn.compact
    def __call__(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        init = nn.initializers.xavier_uniform()
        z = floats("z", z)
        q = nn.Dense(self.width, use_bias=False, kernel_init=init, name="p_m")(z)
        k = nn.Dense(self.width, use_bias=False, kernel_init=init, name="p_n")(z)
        return q, k


class ProjectionHead(nn.Module):
    """SimCLR's head: linear without bias, batch norm, ReLU, linear; [B, D] -> [B, features].

    hidden: width of the hidden layer; 0 is D. `views` and `axis_name` are those of `BatchNorm`;
    initialised as torch initialises linear layers; computes in the parameters' type. The output is
    not normalised.
    """

    features: int = 128
    views: int = 1
    axis_name: str | None = None
    hidden: int = 0

    @nn.compact
    def __call__(self, h: jax.Array, *, train: bool = False) -> jax.Array:
        h = floats("h", h)
        width = self.hidden or h.shape[-1]

        def bias_init(key, shape, dtype):
            return jax.random.uniform(key, shape, dtype, -(width**-0.5), width**-0.5)

        h = nn.Dense(width, use_bias=False, kernel_init=_LINEAR, name="hidden")(h)
        h = nn.relu(BatchNorm(self.views, self.axis_name, name="norm")(h, train=train))
        output = nn.Dense(self.features, kernel_init=_LINEAR, bias_init=bias_init, name="output")
        return output(h)


class NodeHead(nn.Module):
    """GRACE's projection: linear, ELU, linear, with biases; [N, D] -> [N, D] over `hidden`.

    Initialised as torch initialises linear layers, biases at zero.
    """

    hidden: int

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        z = floats("z", z)
        h = nn.elu(nn.Dense(self.hidden, kernel_init=_LINEAR, name="hidden")(z))
        return nn.Dense(z.shape[-1], kernel_init=_LINEAR, name="output")(h)
