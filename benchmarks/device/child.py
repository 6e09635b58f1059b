"""Runs a module as a program that ends with its parent: `child MODULE ARGUMENT …`.

Who kills a plan kills its step on Linux too: it would hold the device, and the workdir of its
training.
"""

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the module of the first argument, the others being its own."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has gone meanwhile
            raise SystemExit(1)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
