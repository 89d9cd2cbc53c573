"""JSON of files and settings, any of which may be damaged or untrusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def json_in(text: str, parse_int: Callable[[str], Any] | None = None) -> Any:
    """Return the value that `text` is.

    Raises:
        ValueError: it is no JSON, or nested deeper than Python can read.
    """
    try:
        return json.loads(text, parse_int=parse_int)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
