"""What stands below each field of a class, shown by `help()`: Python itself drops these texts."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from functools import lru_cache


class WithFieldTexts:
    """A class's `__doc__` that gains an `Args:` section, with the texts of its fields, when somebody reads it."""

    def __init__(self, text: str | None) -> None:
        """Keep the docstring as it was written."""
        self._text = inspect.cleandoc(text) if text else ""

    def __get__(self, instance: object, owner: type) -> str:
        """Return the docstring and, of each field of the class and its bases, what it is."""
        lines = [f"    {name}: {text}" for name, text in all_field_texts(owner).items()]
        return "\n\n".join(part for part in (self._text, "\n".join(["Args:", *lines]) if lines else "") if part)


def all_field_texts(cls: type) -> dict[str, str]:
    """Return the text of every field that the constructor of a dataclass takes, in its order, where it has one."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        texts |= field_texts(base)
    names = getattr(cls, "__dataclass_fields__", {})
    taken = [name for name in inspect.signature(cls).parameters if name in names]
    return {name: texts[name] for name in taken if name in texts}


@lru_cache(maxsize=512)
def field_texts(cls: type) -> dict[str, str]:
    """Return the strings below the fields that a class itself declares; none where its source can't be read."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    texts = {}
    for field, text in itertools.pairwise(statements):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(text):
            texts[field.target.id] = " ".join(text.value.value.split())  # type: ignore[attr-defined]
    return texts


def _is_text(statement: ast.stmt) -> bool:
    """Return whether a statement is a string that stands alone."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
