"""Measures of quality as pure functions: answers, classes, spans, translations, perplexity, significance."""

from __future__ import annotations

from typing import Any

from potstill.moved import former


def __getattr__(name: str) -> Any:
    """Return what the module had that was called as this package is; for one release."""
    return former(__name__, name)
