"""What devices exchange; every function is the identity where `axis_name` is None."""

import jax


def varying_as(x, *references):
    """x as a value of each device's own wherever a reference is one: what a loop starts from.

    `jax.shard_map` tells values that differ between devices from those that do not, and wants a
    loop's state to be the one or the other from the start. Elsewhere this is the identity.
    """

    def own(leaf) -> frozenset:
        kind = jax.typeof(leaf)  # jax 0.10 says it in `manual_axis_type`, others in `vma`
        manual = getattr(kind, "manual_axis_type", None)
        return getattr(kind, "vma", frozenset()) if manual is None else manual.varying

    axes = frozenset().union(*map(own, jax.tree.leaves(references)))

    def cast(leaf):
        missing = tuple(axes - own(leaf))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(cast, x) if axes else x


def gather(x, axis_name: str | None):
    """The rows of all devices, in device order: [B, ...] -> [k B, ...]."""
    return x if axis_name is None else jax.lax.all_gather(x, axis_name, tiled=True)


def total(x, axis_name: str | None):
    """The sum over all devices."""
    return x if axis_name is None else jax.lax.psum(x, axis_name)


def device_index(axis_name: str | None):
    """This device's place on the axis, 0 without one."""
    return 0 if axis_name is None else jax.lax.axis_index(axis_name)


def device_count(axis_name: str | None) -> int:
    """How many devices share the axis, 1 without one."""
    return 1 if axis_name is None else jax.lax.axis_size(axis_name)


def highest(x, axis_name: str | None):
    """The largest value on any device."""
    return x if axis_name is None else jax.lax.pmax(x, axis_name)


def shift_devices(x, steps: int, axis_name: str):
    """What the device `steps` places before this one holds, in a ring."""
    size = device_count(axis_name)
    return jax.lax.ppermute(x, axis_name, [(i, (i + steps) % size) for i in range(size)])
