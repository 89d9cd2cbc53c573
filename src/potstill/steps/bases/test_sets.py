"""What steps that measure a model share: one test set or several, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from potstill.errors import Problem


def missing_sets(rows: Any) -> Iterator[Problem]:
    """Yield a problem if the field `rows` holds an empty dict."""
    if isinstance(rows, Mapping) and not rows:
        yield Problem("", "rows", "no test sets in {}: give rows, or a dict of rows by name")


def by_name(rows: Any) -> Mapping[str, Any]:
    """Return the test sets by name; a single one is called `test`.

    >>> by_name([1]), by_name({"easy": [1]})
    ({'test': [1]}, {'easy': [1]})
    """
    return rows if isinstance(rows, Mapping) else {"test": rows}
