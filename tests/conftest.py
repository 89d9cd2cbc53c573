"""How the tests run: each worker on a processor of its own, and models train in float32 whatever the processor has.

Where a processor has AMX tiles, training takes bfloat16 by itself, and how its products are rounded differs from one
machine to the next by more than a test of arithmetic can allow. Tests of bfloat16 ask for it.
"""

from __future__ import annotations

import decimal
import gc
import importlib.util
import os
import signal
import sys
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

import unsynced  # noqa: E402, F401 - for what it does
from potstill.errors import MissingExtra  # noqa: E402

HAS_TORCH = importlib.util.find_spec("torch") is not None
"""Whether models can run here; the engine, the steps for data and endpoints do without torch."""


def pytest_configure(config: pytest.Config) -> None:
    """Take Ctrl-C, which a shell ignores for what it runs in the background, and leave AMX alone."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if HAS_TORCH:
        import torch

        capabilities = {**torch.cpu.get_capabilities(), "amx_bf16": False}
        torch.cpu.get_capabilities = lambda: capabilities


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that all workers end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep test modules apart, and out of the garbage collector, which transformers asks to collect again and again.

    pytest makes them modules of one package, so that all their code would count in the key of each step in one of them.
    """
    for name in list(sys.modules):
        package, _, module = name.rpartition(".")
        if module.startswith("test_") and package in sys.modules:
            vars(sys.modules[package]).pop(module, None)
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Where torch is not installed, leave out what asks for it or for what an extra brings."""
    try:
        return (yield)
    except (ModuleNotFoundError, MissingExtra) as error:
        if HAS_TORCH:
            raise
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Restore the environment and the decimal context after each test: steps in its process set them."""
    before = dict(os.environ)
    with decimal.localcontext():
        yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
