"""What a model may take: bytes and milliseconds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from potstill.errors import RequestError

UNITS = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
TIMES = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([a-z]+)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """Limits of a model that is deployed; None is no limit."""

    size: float | None = None
    """Bytes of its weights."""
    milliseconds: float | None = None
    """For one text."""

    def shown(self) -> str:
        """Return the limits as a user types them."""
        parts = [f"{self.size / 1e6:.12g}MB"] if self.size is not None else []
        return ",".join([*parts, *([f"{self.milliseconds:g}ms"] if self.milliseconds is not None else [])])


def read(text: str) -> Budget:
    """Return the limits in a text such as `100MB,20ms`.

    Raises:
        RequestError: it can't be read; all that is wrong together.
    """
    limits: dict[str, float] = {}
    wrong = []
    for part in filter(str.strip, text.split(",")):
        match = _PART.fullmatch(part)
        unit = match[2].lower() if match else ""
        table, name = (UNITS, "size") if unit in UNITS else (TIMES, "milliseconds")
        if match is None or unit not in table:
            wrong.append(f"--budget has {part.strip()!r}: give a size and a time, such as 100MB,20ms")
        elif name in limits:
            wrong.append(f"--budget gives {'two sizes' if table is UNITS else 'two times'}: {text!r}")
        else:
            limits[name] = float(match[1]) * table[unit]
    wrong += [f"--budget has a {name} of 0: give more" for name, value in limits.items() if not value]
    if wrong:
        raise RequestError(*wrong)
    return Budget(**limits)
