"""The GPUs that a process sees."""

from __future__ import annotations

import os
from collections.abc import Sequence

from potstill.engine.resources import VISIBLE


def show_only(devices: Sequence[str] | None) -> None:
    """Let this process, and those that it starts, see only `devices`; None leaves what it sees as it is.

    It must not have used a GPU yet: CUDA reads the variable once.
    """
    if devices is not None:
        os.environ[VISIBLE] = ",".join(devices)
