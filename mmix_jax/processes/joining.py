"""Which run a process belongs to, how it joins it, and how it leaves, by `jax.distributed`."""

import contextlib
import os
import socket
from typing import NamedTuple

from mmix_jax.errors import InputError

SILENCE_S = 30
_LEAST_SILENCE_S = 10
_CLUSTERS = "SLURM, Open MPI, Kubernetes and TPU pods"


class Joining(NamedTuple):
    """How a process joins its run.

    coordinator: HOST:PORT at which process 0 listens. size: processes of the run; rank: which of
    them this is, from 0. All None: JAX asks the cluster. silence_s: how long the coordinator is
    waited for, and after how long without a sign of life a process counts as gone.
    """

    coordinator: str | None
    size: int | None
    rank: int | None
    silence_s: int = SILENCE_S


def read_joining(
    coordinator: str | None,
    size: str | None,
    rank: str | None,
    silence_s: str | None = None,
    *,
    detected: bool = False,
) -> Joining | None:
    """What flags ask for, as they stand on the command line; None for a process alone.

    Raises:
      InputError: flags are missing, contradict each other, or are out of range.
    """
    given = {"--coordinator": coordinator, "--num_processes": size, "--process_id": rank}
    there = [flag for flag, text in given.items() if text is not None]
    silence = _whole("--silence_s", silence_s or str(SILENCE_S), _LEAST_SILENCE_S, 86_400)
    if detected:
        if there:
            raise InputError(
                f"--distributed takes everything from the cluster, found {there[0]} beside it; "
                "leave one of them out"
            )
        return Joining(None, None, None, silence)
    if not there:
        if silence_s is not None:
            raise InputError(
                "--silence_s is of several processes, found it without --coordinator or "
                "--distributed; leave it out"
            )
        return None
    if len(there) < len(given):
        missing = next(flag for flag, text in given.items() if text is None)
        raise InputError(
            f"--coordinator, --num_processes and --process_id go together, found no {missing}; "
            f"give all three, or --distributed on {_CLUSTERS}"
        )
    most = 2**20
    size_ = _whole("--num_processes", size or "", 1, most)
    return Joining(
        _address(coordinator or ""),
        size_,
        _whole("--process_id", rank or "", 0, size_ - 1),
        silence,
    )


def _whole(flag: str, text: str, least: int, most: int) -> int:
    found = _number(text)
    if found is None or not least <= found <= most:
        raise InputError(f"{flag} must be a whole number in {least} … {most}, found '{text}'")
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    number = _number(port)
    if not colon or not host or number is None or not 1 <= number <= 65_535:
        raise InputError(
            f"--coordinator must be HOST:PORT, found '{text}'; name a host that all processes "
            "reach, and a free port of it, as in 10.0.0.1:12355"
        )
    return text


def join(joining: Joining) -> None:
    """Join the run; returns once all of its processes are there. Before any computation of JAX.

    What goes wrong in here ends the process from within JAX: `supervisor` says it in words.

    Raises:
      InputError: there is no cluster to ask, or the coordinator's port is taken.
    """
    import jax

    # It would take SIGTERM away from us; all processes agree on where to stop by themselves.
    jax.config.update("jax_enable_preemption_service", False)
    if joining.coordinator is not None and joining.rank == 0:
        _check_port(joining.coordinator)
    try:
        jax.distributed.initialize(
            joining.coordinator,
            joining.size,
            joining.rank,
            cluster_detection_method="deactivate" if joining.coordinator else None,
            initialization_timeout=joining.silence_s,
            heartbeat_timeout_seconds=joining.silence_s,
            shutdown_timeout_seconds=joining.silence_s,
        )
    except (ValueError, RuntimeError) as error:
        if joining.coordinator:
            raise
        raise InputError(
            f"--distributed wants a cluster that JAX detects ({_CLUSTERS}), found "
            f"{' '.join(str(error).split())[:200]}; give --coordinator, --num_processes and "
            "--process_id"
        ) from error


def _check_port(coordinator: str) -> None:
    """Raise InputError where JAX, finding the port taken, would crash."""
    port = int(coordinator.rpartition(":")[2])
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    with socket.socket(family) as trial:
        if os.name == "posix":  # as the service binds: a port that has just been left is free
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("", port))
            trial.listen()
        except OSError as error:
            raise InputError(
                f"--coordinator must name a free port of process 0's host, found {port}: "
                f"{error.strerror}; name another, in all processes"
            ) from error


def leave() -> None:
    """Leave the run, once all of its processes do; the process is alone then."""
    import jax

    with contextlib.suppress(RuntimeError):
        jax.distributed.shutdown()
