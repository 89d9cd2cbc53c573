"""Where memory runs out: how an error shows it, and what is said then."""

from __future__ import annotations

import sys

SIGNS = ("DefaultCPUAllocator", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory")
"""What PyTorch's errors say where memory ran out and they have no type of their own."""


def ran_out(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on a GPU or on the CPU."""
    torch = sys.modules.get("torch")  # without it, it can't be one of its errors
    own = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, own) or any(sign in str(error) for sign in SIGNS)


def explained(error: BaseException, doing: str, remedies: str) -> str:
    """Return what to say of an `error` that means that memory ran out."""
    lines = str(error).splitlines() or [type(error).__name__]
    return f"out of memory {doing} ({lines[0][:200]}): {remedies}"
