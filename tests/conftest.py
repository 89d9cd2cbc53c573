"""How the tests run: each worker on a processor of its own, and models train in float32 whatever the processor has.

Where a processor has AMX tiles, training takes bfloat16 by itself, and how its products are rounded differs from one
machine to the next by more than a test of arithmetic can allow. Tests of bfloat16 ask for it.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator


def pin(worker: str) -> None:
    """Pin a worker of pytest-xdist to a processor; its children, and the threads that steps take, follow."""
    if worker and hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[int(worker.removeprefix("gw")) % len(processors)]})


# before torch and NumPy count processors: two threads that share one wait for each other most of the time
pin(os.environ.get("PYTEST_XDIST_WORKER", ""))

import datasets  # noqa: E402, F401 - steps of one's own run in forks, each of which would take seconds to import it
import pytest  # noqa: E402
import torch  # noqa: E402

import unsynced  # noqa: E402, F401 - for what it does

CAPABILITIES = {**torch.cpu.get_capabilities(), "amx_bf16": False}


def pytest_configure(config: pytest.Config) -> None:
    """Leave AMX alone."""
    torch.cpu.get_capabilities = lambda: CAPABILITIES


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the garbage collector pass over all that was imported: transformers asks it to collect again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Restore the environment after each test: code of steps that a test loads into its own process may set some."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
