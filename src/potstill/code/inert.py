"""Things that hold no state that a result could depend on: locks, loggers, threads, streams that are written."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

_TYPES = frozenset({
    "_thread.lock", "_thread.RLock", "threading.Thread", "threading.Event", "threading.Condition",
    "threading.Semaphore", "threading.BoundedSemaphore", "threading.Barrier", "threading.Timer", "logging.Logger",
    "logging.RootLogger", "logging.LoggerAdapter", "logging.Handler", "concurrent.futures._base.Executor",
    "_queue.SimpleQueue", "ssl.SSLContext", "_ssl._SSLContext", "asyncio.events.AbstractEventLoop", "_abc._abc_data",
    "pydantic_core._pydantic_core.SchemaValidator", "pydantic_core._pydantic_core.SchemaSerializer",
    "pydantic.plugin._schema_validator.PluggableSchemaValidator", "pydantic._internal._mock_val_ser.MockValSer",
    "jinja2.utils.LRUCache", "_contextvars.Token", "_contextvars.Context", "potstill.pipeline.Pipeline",
    "warnings.catch_warnings", "rich.console.Console", "tqdm.std.tqdm", "multiprocessing.context.BaseContext",
    "importlib._bootstrap.ModuleSpec", "_frozen_importlib.ModuleSpec",
})  # fmt: skip


def is_inert(value: Any) -> bool:
    """Return whether a value can change no result by its state."""
    if any(f"{cls.__module__}.{cls.__qualname__}" in _TYPES for cls in type(value).__mro__):
        return True
    if isinstance(value, io.IOBase):
        return value in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) or _only_writes(value)
    return value is os.environ or value is os.environb


def _only_writes(file: Any) -> bool:
    """Return whether a stream is open for writing and nothing else."""
    if isinstance(file, (io.StringIO, io.BytesIO)):
        return False
    try:
        return not file.closed and file.writable() and not file.readable()
    except (ValueError, OSError):
        return False
