"""Class labels of rows."""

from __future__ import annotations


def named(label: object) -> bool:
    """Return whether a row's label names a class at all.

    >>> named(0), named(" "), named(None)
    (True, False, False)
    """
    return label is not None and bool(str(label).strip())
