"""How the tests run side by side: each worker has a processor of its own, so that no test computes against another."""

from __future__ import annotations

import os

import datasets  # noqa: F401 - steps of one's own run in forks, each of which would take seconds to import it
import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Pin a worker of pytest-xdist; its children, and the threads that steps take, follow."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[int(worker.removeprefix("gw")) % len(processors)]})
