"""Examples for the prompts of Self-Instruct's second half, written for Potstill.

`classification.jsonl` has 31 tasks and whether each is a classification; `output_first.jsonl` and `input_first.jsonl`
have tasks with instances.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
"""Where the examples lie."""


@lru_cache
def examples(name: str) -> tuple[dict[str, Any], ...]:
    """Return the examples in the file `name`."""
    return tuple(json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines())
