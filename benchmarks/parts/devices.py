"""Part `devices`: the loss over devices, by a ring and gathered, against one device.

Every number of devices is a process of its own, whose CPU XLA divides: times of devices that share
cores say nothing, so none are taken. Temporary memory is the compiler's count for one device.
"""

import os

from benchmarks import suite, timing
from benchmarks.suite import Options, Row

NUMBERS = (2, 4, 8)
TEMPERATURE = 0.1


def rows_of_exchanges(num_devices: int, num_rows: int, dimension: int) -> list[Row]:
    """Both exchanges on this process's devices, with their distance from one device's numbers."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from mmix_jax.losses import info_nce

    u, v = np.random.default_rng(0).standard_normal((2, num_rows, dimension), np.float32)

    def loss(u, v, **options):
        return info_nce(u, v, temperature=TEMPERATURE, block_size=512, **options)

    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(u, v)
    size = max(float(jnp.max(jnp.abs(x))) for x in gradients)
    rows = []
    for exchange in ("gather", "ring"):

        def share(u, v, exchange=exchange):
            options = {"axis_name": "devices", "exchange": exchange}
            compute = jax.value_and_grad(lambda u, v: loss(u, v, **options), argnums=(0, 1))
            value, gradients = compute(u, v)
            return jax.lax.psum(value, "devices"), gradients

        parts = [jnp.asarray(x.reshape(num_devices, -1, dimension)) for x in (u, v)]
        program = jax.pmap(share, axis_name="devices").lower(*parts).compile()
        over_devices, of_parts = program(*parts)
        apart = [
            float(jnp.max(jnp.abs(x.reshape(y.shape) - y)))
            for x, y in zip(of_parts, gradients, strict=True)
        ]
        rows.append(
            {
                "what": exchange,
                "devices": num_devices,
                "rows": num_rows,
                "dimension": dimension,
                "value_differs": abs(float(over_devices[0]) / float(value) - 1),
                "gradient_differs": max(apart) / size,
                "temporary_mb": program.memory_analysis().temp_size_in_bytes / 1e6,
                "n": 1,
            }
        )
    return rows


def measure(options: Options) -> list[Row]:
    """Both exchanges on 2, 4 and 8 simulated devices."""
    num_rows, dimension = (64, 8) if options.quick else (8192, 128)
    rows = []
    for number in NUMBERS[:1] if options.quick else NUMBERS:
        suite.say(f"{number} simulated devices")
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={number}"
        environment = {"XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"}
        rows += timing.apart(
            rows_of_exchanges, number, num_rows, dimension, environment=environment
        )
    return rows
