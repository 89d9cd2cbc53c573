"""What a compressed model would take in the storage that its step describes, and no runtime here reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def packed(figures: Mapping[str, Any], notes: Mapping[str, Any]) -> float:
    """Return the bytes: with zeros as a bit mask, factors or shared blocks stored once, or few values packed.

    Args:
        figures: what an evaluation says of the model's folder.
        notes: what the step that made it noted.
    """
    size = float(figures["weights_bytes"])
    if "low_bit" in notes:
        return size - float(notes["low_bit"]["bytes"]) + float(notes["low_bit"]["packed_bytes"])
    if "stored" in notes:
        return float(notes["stored"]["stored bytes"])
    if "bitmask" in notes.get("storage", ()):
        return size - float(notes["storage"]["dense"]) + float(notes["storage"]["bitmask"])
    counted = notes.get("parameters", {})
    stored = counted.get("stored once", counted.get("as factors"))
    return size if stored is None else size * float(stored) / float(counted["before"])
