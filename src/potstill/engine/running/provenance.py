"""What a manifest says of the machine and of the versions that made an artifact."""

from __future__ import annotations

import os
import platform
import socket
from functools import lru_cache
from typing import Any

from potstill import about


@lru_cache(maxsize=1)
def machine() -> dict[str, Any]:
    """Return what a manifest says of this machine."""
    return {"name": socket.gethostname(), "platform": platform.platform(), "cpus": os.cpu_count()}


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions of Python, Potstill and the packages that results may depend on."""
    from importlib.metadata import PackageNotFoundError, version

    installed = {"python": platform.python_version()}
    for package in ("potstill", *about.RECORDED):
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
