"""Sparsity patterns: unstructured, or N of every M consecutive input features kept (Mishra et al. 2021).

"2:4" keeps 2 of every 4 (arXiv 2104.08378, section 3). Knows of no tensors, so that steps can check a pattern early.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from potstill.errors import BadInput

UNSTRUCTURED = "unstructured"
"""Zeros may stand anywhere."""


@dataclass(frozen=True)
class NM:
    """Of every `group` consecutive input features of a row, `kept` weights may be other than zero."""

    kept: int
    """N."""
    group: int
    """M."""

    @property
    def sparsity(self) -> float:
        """Share of weights that become zero."""
        return 1 - self.kept / self.group


def parse(text: str) -> NM | None:
    """Return the pattern that `text` names: none for `unstructured`.

    >>> parse("2:4")
    NM(kept=2, group=4)

    Raises:
        BadInput: it names none.
    """
    if text == UNSTRUCTURED:
        return None
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match is None or not 0 < int(match[1]) < int(match[2]):
        raise BadInput(
            f"{text!r} is no pattern: give {UNSTRUCTURED!r}, or N:M with 0 < N < M, such as '2:4' for 2 weights kept "
            "of every 4"
        )
    return NM(int(match[1]), int(match[2]))


def check_widths(widths: Mapping[str, int], run: int, what: str) -> None:
    """Make sure that runs of `run` input features fit the layers, whose input features `widths` holds by path.

    Args:
        widths: input features by the path of a layer.
        run: consecutive input features that are treated together.
        what: how the user knows them, such as `pattern 2:4`.

    Raises:
        BadInput: some widths can't be divided by it; names the runs that fit all of them.
    """
    odd = [f"{path} has {width}" for path, width in widths.items() if width % run]
    if not odd:
        return
    fitting = [
        size
        for size in range(2, max(min(widths.values()), 128) + 1)
        if all(width % size == 0 for width in widths.values())
    ]
    named = ", ".join(map(str, fitting[:8])) or "none"
    more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
    raise BadInput(
        f"{what} takes runs of {run} input features, which don't divide those of {', '.join(odd[:3])}{more}; "
        f"runs that fit all layers: {named}"
    )
