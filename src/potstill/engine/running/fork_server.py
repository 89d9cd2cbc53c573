"""A warm process that forks one child per heavy step, so that what they load is imported once and memory is freed."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import signal
import socket
import sys
from typing import Any

from potstill.engine.running import carried
from potstill.engine.running.devices import show_only
from potstill.engine.running.nursery import Nursery
from potstill.engine.running.spec import Spec
from potstill.engine.running.threads import limit_threads


class ForkServer(Nursery):
    """Imports what steps want preloaded, and forks."""

    def prepare(self, request: dict[str, Any]) -> None:
        """Preload; a module that can't be imported shows in the child, with the step's own error."""
        sys.path[:] = request["path"]
        for module in request["preload"]:
            if module not in sys.modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(module)
                gc.freeze()  # or each child would copy what its collector touches

    def job(self, request: dict[str, Any]) -> tuple[Spec, tuple[str, ...]]:
        """Print into the step's file from now on, and read the step."""
        import cloudpickle

        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        # the descriptors, not sys.stdout: what C libraries and the step's own children print belongs there too
        os.dup2(log, 1)
        os.dup2(log, 2)
        carried.use(pickle.loads(request["modules"]))  # noqa: S301 - of the run's own process
        show_only(request["devices"])  # before the step is read: its modules may look for GPUs
        spec, fields = cloudpickle.loads(request["spec"])
        carried.fill_main(type(spec.step))
        _share_cores(spec.threads)
        return spec, fields


def _share_cores(threads: int) -> None:
    """Keep the step to its share of the cores, whichever library counts them."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[variable] = str(threads)
    limit_threads(threads)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ForkServer(socket.socket(fileno=int(sys.argv[1])).detach()).serve()
