"""Which file a pipeline is written in: pipelines of one name in two files are two pipelines."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from types import FrameType

_OWN = str(Path(__file__).parents[1])
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def pipeline_file(frame: FrameType) -> str:
    """Return the file whose code makes a pipeline in `frame`; a function of another file may do it for that one.

    It is the outermost file that is being run, as a script or by `potstill run`: of the user's own calls that lead to
    the frame, the last that is a module's body. Code that stands in no file counts for its folder.
    """
    file = frame.f_code.co_filename
    at: FrameType | None = frame
    while at is not None and not _is_foreign(at.f_code.co_filename):
        if at.f_code.co_name == "<module>":
            file = at.f_code.co_filename
        at = at.f_back
    if file.startswith("<"):
        return str(Path.cwd() / file)
    return os.path.realpath(file)


def _is_foreign(file: str) -> bool:
    """Return whether code is a library's, Python's or Potstill's own."""
    return file.startswith(("<frozen", _OWN, *_LIBRARIES))
