"""What devices exchange, on four of them and on one."""

import jax
import jax.numpy as jnp
import numpy as np

from mmix_jax.ops.collectives import device_count, device_index, gather, total


def exchange(x, axis_name):
    return {
        "gathered": gather(x, axis_name),
        "total": total(jnp.sum(x), axis_name),
        "index": jnp.asarray(device_index(axis_name)),
        "count": jnp.asarray(device_count(axis_name)),
    }


def test_four_devices_see_all_rows_in_device_order():
    x = jnp.arange(24.0).reshape(4, 3, 2)
    found = jax.pmap(lambda part: exchange(part, "devices"), "devices")(x)
    np.testing.assert_array_equal(found["gathered"], np.stack([x.reshape(12, 2)] * 4))
    np.testing.assert_array_equal(found["total"], [x.sum()] * 4)
    np.testing.assert_array_equal(found["index"], range(4))
    np.testing.assert_array_equal(found["count"], [4] * 4)


def test_without_an_axis_nothing_changes():
    x = jnp.arange(6.0).reshape(3, 2)
    found = exchange(x, None)
    np.testing.assert_array_equal(found["gathered"], x)
    assert (found["total"], found["index"], found["count"]) == (15.0, 0, 1)
