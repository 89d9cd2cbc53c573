"""How many threads the libraries of this process compute with."""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
from pathlib import Path


def limit_threads(threads: int) -> None:
    """Let torch, and each OpenMP that is loaded, compute with so many threads.

    A library that has started threads before a fork would wait for them in the child, where none of them is.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    with contextlib.suppress(OSError):
        for library in set(re.findall(r"/\S*libgomp\S*", Path("/proc/self/maps").read_text())):
            with contextlib.suppress(OSError, AttributeError):
                ctypes.CDLL(library).omp_set_num_threads(threads)
