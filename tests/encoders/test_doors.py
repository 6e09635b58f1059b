"""What may be given to heads and layers: vectors and edges of every type and range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.encoders.batch_norm import BatchNorm
from mmix_jax.encoders.convolution import conv
from mmix_jax.encoders.features import Linear, stored_features
from mmix_jax.encoders.gat import attention
from mmix_jax.encoders.heads import NodeHead, Predictor, ProjectionHead, Projections
from tests import number_types as types

pytestmark = pytest.mark.slow

SENDERS, RECEIVERS = np.array([0, 1, 2, 4]), np.array([1, 0, 1, 5])
MODULES = {
    "predictor": Predictor(4),
    "projections": Projections(4),
    "projection head": ProjectionHead(3),
    "node head": NodeHead(5),
    "linear": Linear(3),
    "batch norm": BatchNorm(),
}
VARIABLES = {
    name: module.init(jax.random.key(0), jnp.ones((2, 4))) for name, module in MODULES.items()
}


@pytest.mark.parametrize("kind", types.VECTORS)
@pytest.mark.parametrize("name", MODULES)
def test_vectors_of_every_type(name, kind):
    module, variables = MODULES[name], VARIABLES[name]
    wanted = module.apply(variables, types.BITS.astype(np.float32))
    found = module.apply(variables, types.given(types.BITS, kind))
    types.check_same(found, wanted, kind)


@pytest.mark.parametrize("kind", types.VECTORS)
def test_convolutions_of_every_type(kind):
    images, kernel = types.BITS.reshape(1, 6, 4, 1), types.BITS[:3, :3].reshape(3, 3, 1, 1)
    wanted = conv(images.astype(np.float32), kernel.astype(np.float32))
    types.check_same(conv(types.given(images, kind), types.given(kernel, kind)), wanted, kind)


@pytest.mark.parametrize("kind", types.VECTORS)
def test_stored_features_of_every_type(kind):
    for x in (types.BITS, np.eye(200, dtype=int)[:, :150]):  # dense, and sparse
        ours = Linear(3).init_with_output(
            jax.random.key(0), stored_features(types.given(x, kind), len(x))
        )
        wanted = Linear(3).init_with_output(
            jax.random.key(0), stored_features(x.astype(np.float32), len(x))
        )
        types.check_same(ours, wanted, kind)


@pytest.mark.parametrize("kind", types.VECTORS)
def test_attention_of_every_type(kind):
    h, a = types.BITS.reshape(6, 2, 2), np.ones((2, 2))
    mask = np.ones(4, bool)
    wanted = attention(np.float32(h), np.float32(a), np.float32(a), SENDERS, RECEIVERS, mask)
    found = attention(*(types.given(x, kind) for x in (h, a, a)), SENDERS, RECEIVERS, mask)
    types.check_same(found, wanted, kind)
    assert found[0].dtype == found[1].dtype == np.float32


@pytest.mark.parametrize("kind", types.IDS)
def test_attention_along_edges_of_every_type(kind):
    h, a, mask = np.ones((300, 2, 2), np.float32), np.ones((2, 2), np.float32), np.ones(4, bool)
    wanted = attention(h, a, a, SENDERS, RECEIVERS, mask)
    ends = types.given(SENDERS, kind), types.given(RECEIVERS, kind)
    types.check_same(attention(h, a, a, *ends, mask), wanted, "int32")


def test_attention_of_a_hub_in_half_precision_sums_to_one():
    num = 3000
    h, a = jnp.ones((num, 1, 2), jnp.bfloat16), jnp.ones((1, 2), jnp.bfloat16)
    senders, receivers = np.arange(1, num), np.zeros(num - 1, int)
    weights, own = attention(h, a, a, senders, receivers, np.ones(num - 1, bool))
    np.testing.assert_allclose(weights.sum() + own[0, 0], 1.0, rtol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_attention_in_half_precision_is_computed_in_float32(dtype):
    draw = np.random.default_rng(0)
    halves = [jnp.asarray(draw.normal(size=shape), dtype) for shape in ((6, 2, 5), (2, 5), (2, 5))]
    found = attention(*halves, SENDERS, RECEIVERS, np.ones(4, bool))
    widened = (x.astype(jnp.float32) for x in halves)
    types.check_same(found, attention(*widened, SENDERS, RECEIVERS, np.ones(4, bool)), "int32")


@pytest.mark.parametrize("wrong", [-1, 6])
def test_attention_along_edges_out_of_range(wrong):
    h, a, mask = np.ones((6, 1, 2), np.float32), np.ones((1, 2), np.float32), np.ones(4, bool)
    ends = np.array([0, 1, 2, wrong]), RECEIVERS
    with pytest.raises(ValueError, match=r"^senders must lie in \[0, 6\)"):
        attention(h, a, a, *ends, mask)
    traced = jax.jit(lambda s: attention(h, a, a, s, RECEIVERS, mask))(ends[0])
    types.check_same(traced, attention(h, a, a, *ends, np.arange(4) < 3), "int32")


def test_a_variance_that_leaves_float32_is_nan_and_not_a_constant():
    x = np.float32([[1e25, 1.0], [-1e25, 2.0], [3e25, 4.0]])
    found, _ = MODULES["batch norm"].apply(
        jax.tree.map(lambda leaf: leaf[:2], VARIABLES["batch norm"]), x, train=True,
        mutable=["batch_stats"],
    )  # fmt: skip
    assert np.isnan(found[:, 0]).all() and np.isfinite(found[:, 1]).all()
