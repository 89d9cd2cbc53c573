"""Work in a fork of this process, which it may end as hard as it likes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def ended(work: Callable[[], object]) -> int:
    """Do the work in a fork; return its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the fork must end here, whatever happens
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
