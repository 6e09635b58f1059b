"""Heads on top of an encoder: the predictor g and mp-mix's projections."""

import flax.linen as nn
import jax


class Predictor(nn.Module):
    """g: linear, PReLU, linear, no biases, [N, D] -> [N, D]; Xavier-uniform."""

    width: int

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        init = nn.initializers.xavier_uniform()
        hidden = nn.Dense(self.width, use_bias=False, kernel_init=init)(z)
        hidden = nn.PReLU(negative_slope_init=0.25)(hidden)
        return nn.Dense(self.width, use_bias=False, kernel_init=init)(hidden)


class Projections(nn.Module):
    """P_m z and P_n z of eq. 6: two [D, D] matrices, no bias, Xavier-uniform, not normalised."""

    width: int

    @nn.compact
    def __call__(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        init = nn.initializers.xavier_uniform()
        q = nn.Dense(self.width, use_bias=False, kernel_init=init, name="p_m")(z)
        k = nn.Dense(self.width, use_bias=False, kernel_init=init, name="p_n")(z)
        return q, k
