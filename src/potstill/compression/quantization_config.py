"""Read the quantization config of a model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BITSANDBYTES = "bitsandbytes"
"""Name of the format that transformers loads through the library of that name."""


def quantization(folder: Path) -> dict[str, Any]:
    """Return the `quantization_config` of the model in `folder`, empty where it is not quantized."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return dict(config.get("quantization_config") or {})


def bits(config: dict[str, Any]) -> int:
    """Return the fewest bits of a weight that a `quantization_config` names, 16 where it names none."""
    groups = (config.get("config_groups") or {}).values()
    return min((int(group["weights"]["num_bits"]) for group in groups if group.get("weights")), default=16)
