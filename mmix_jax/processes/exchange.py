"""What the processes of one run tell each other; a process alone tells itself.

Words go by the key-value store of `jax.distributed`, which waits as long as all processes live;
arrays and what every step asks by JAX's collectives. All processes call the same functions in the
same order, from one thread.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from mmix_jax.errors import ProcessFault
from mmix_jax.processes.group import group

_CLOCKS_S = 60.0
_ROUND_MS = 5_000
_PROCESSES = "processes"
_calls = 0
_TIMEOUTS = ("DEADLINE_EXCEEDED", "Deadline Exceeded", "timed out")


def devices_of_run(per_process: int = 0) -> list:
    """Devices of all processes in their order, the first `per_process` of each; 0: all."""
    if group().alone:
        return jax.local_devices()[: per_process or None]
    of_process: dict[int, list] = {}
    for device in jax.devices():
        of_process.setdefault(device.process_index, []).append(device)
    counts = {rank: len(devices) for rank, devices in of_process.items()}
    least, most = min(counts.values()), max(counts.values())
    if least != most:
        few = min(counts, key=counts.__getitem__)
        raise ProcessFault(
            f"processes must have equally many devices, found {counts[few]} in process {few} and "
            f"{most} in another; show each as many (CUDA_VISIBLE_DEVICES, JAX_NUM_CPU_DEVICES)"
        )
    chosen = (of_process[rank][: per_process or None] for rank in sorted(of_process))
    return [device for devices in chosen for device in devices]


def own_part(tree: Any, devices: Iterable) -> Any:
    """Of arrays with an axis over the devices of all processes first, this process's part."""
    if group().alone:
        return tree
    mine = [place for place, device in enumerate(devices) if device.process_index == group().rank]
    return jax.tree.map(lambda x: x[mine[0] : mine[-1] + 1], tree)


def told(make: Callable[[], Any]) -> Any:
    """What `make` gives in process 0, a JSON value, in every process; the others do not call it."""
    if group().alone:
        return make()
    key = _next_key()
    if group().first:
        value = make()
        _client().key_value_set(key, json.dumps(value, default=float))
        return value
    return json.loads(_waited_for(key))


def gathered(value: Any) -> list[Any]:
    """The JSON value that each process gives, in their order."""
    if group().alone:
        return [value]
    key = _next_key()
    _client().key_value_set(f"{key}/{group().rank}", json.dumps(value))
    return [json.loads(_waited_for(f"{key}/{rank}")) for rank in range(group().size)]


def told_arrays(tree: Any) -> Any:
    """Arrays of process 0 in every process, bit for bit; shapes and types are known to all."""
    if group().alone:
        return tree
    from jax.experimental import multihost_utils

    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, tree))
    raw = np.frombuffer(b"".join(x.tobytes() for x in leaves), np.uint8)
    raw = np.asarray(multihost_utils.broadcast_one_to_all(raw)).tobytes()
    out, place = [], 0
    for x in leaves:
        out.append(np.frombuffer(raw[place : place + x.nbytes], x.dtype).reshape(x.shape))
        place += x.nbytes
    return jax.tree.unflatten(structure, out)


def swap(parts: np.ndarray) -> np.ndarray:
    """All-to-all: `parts[q]` goes to process q; what comes back is by the process it is from.

    parts: [size, ...], of one shape in all processes.
    """
    if group().alone:
        return parts
    size, mesh = group().size, _mesh()
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(_PROCESSES))
    shape = (size * size, *parts.shape[1:])
    whole = jax.make_array_from_process_local_data(spread, parts, shape)
    received = _all_to_all(mesh)(whole)
    return np.asarray(received.addressable_shards[0].data)


@lru_cache(maxsize=1)
def _mesh() -> jax.sharding.Mesh:
    """One device of each process."""
    first = {device.process_index: device for device in reversed(jax.devices())}
    return jax.sharding.Mesh(np.array([first[rank] for rank in sorted(first)]), (_PROCESSES,))


@lru_cache(maxsize=1)
def _all_to_all(mesh: jax.sharding.Mesh) -> Callable:
    along = jax.sharding.PartitionSpec(_PROCESSES)

    def swapped(x):
        return jax.lax.all_to_all(x, _PROCESSES, 0, 0, tiled=True)

    return jax.jit(jax.shard_map(swapped, mesh=mesh, in_specs=along, out_specs=along))


def any_of(flag: bool) -> bool:
    """Whether it is so in any process."""
    if group().alone:
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array([flag], np.uint8))))


def wait_for_all() -> None:
    """Return once every process has come here."""
    gathered(None)


def check_agreement(values: Mapping[str, Any], what: str, way_out: str) -> None:
    """Raise ProcessFault where processes differ in a value; `what` says of what these are."""
    for rank, theirs in enumerate(gathered(dict(values))):
        for name in dict.fromkeys((*values, *theirs)):
            mine = json.loads(json.dumps(values.get(name)))
            if theirs.get(name) != mine:
                raise ProcessFault(
                    f"processes of one run must agree on {what}, found {name} {_short(mine)} in "
                    f"process {group().rank} and {_short(theirs.get(name))} in process {rank}; "
                    f"{way_out}"
                )


def check_clocks() -> None:
    """Raise ProcessFault where clocks of processes are a minute apart: files of one workdir would
    tell of another order than they were written in."""
    sent = time.time()
    for rank, theirs in enumerate(gathered(sent)):
        if abs(theirs - sent) > _CLOCKS_S:
            ahead = theirs - sent
            raise ProcessFault(
                f"clocks of processes must agree within {_CLOCKS_S:.0f} s, found that of process "
                f"{rank} {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} process "
                f"{group().rank}'s; set them (NTP)"
            )


def _next_key() -> str:
    """The same in every process, as all make the same calls."""
    global _calls
    _calls += 1
    return f"mmix_jax/{_calls}"


def _client() -> Any:
    from jax._src import distributed  # jax has no public way to its key-value store

    return distributed.global_state.client


def _waited_for(key: str) -> str:
    # In rounds, so that signals are answered; a process that is gone ends them from within JAX.
    while True:
        try:
            return _client().blocking_key_value_get(key, _ROUND_MS)
        except Exception as error:
            if not any(word in str(error) for word in _TIMEOUTS):
                raise


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"
