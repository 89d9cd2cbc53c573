"""Measures of quality as pure functions: answers, classes, spans, translations, perplexity, and how sure they are.

Public names are the measures that `Evaluate(..., measures=[ExactMatch(), ROUGE("L")])` takes, `score_rows`, and the
statistics. Each stands once, in the stub `__init__.pyi`, and is loaded when it is first used.
"""

from typing import Any

from potstill.lazy_names import attach
from potstill.moved import former

_public, __dir__, __all__ = attach(__name__)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; or what the module had that was called as this package is."""
    return _public(name) if name in __all__ else former(__name__, name)
