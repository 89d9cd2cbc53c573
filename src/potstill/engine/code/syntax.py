"""Source code as canonical text: what it does counts; comments, docstrings, layout and line numbers don't.

Needs the standard library alone, and gives the same text for the same source under every version of Python:
`ast.dump` does not (3.12 added a field, 3.13 leaves out empty ones).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Union, cast

REMEMBERED = 16_384
"""Texts of nodes that are kept: steps share helpers, and trees don't change once they are parsed."""

_UNSEEN = frozenset({"ctx", "kind", "type_comment", "type_ignores", "lineno", "simple"})
"""Fields of syntax nodes that change nothing that a program does."""
Function = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda]
"""A node that a function object can come from."""


@dataclass(frozen=True)
class _Word:
    """A piece of the text to be, already final."""

    text: str


@dataclass(frozen=True)
class _Part:
    """A syntax node or a list of them that is still to be written."""

    value: Any
    inside: bool
    """Whether it stands in the body of a function, where annotations of variables are never evaluated."""


def sha(text: str) -> str:
    """Return a short digest of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@lru_cache(maxsize=REMEMBERED)
def function_text(node: Function) -> str:
    """Return the canonical text of a function; its annotations count only if a decorator may read them."""
    return _text(_Part(node, inside=True))


@lru_cache(maxsize=REMEMBERED)
def module_text(tree: ast.Module) -> str:
    """Return the canonical text of a file, without its `if __name__ == "__main__":` block."""
    return _text(_Part(tree, inside=False))


@lru_cache(maxsize=REMEMBERED)
def statement_text(node: ast.AST) -> str:
    """Return the canonical text of one statement or expression."""
    return _text(_Part(node, inside=False))


@lru_cache(maxsize=REMEMBERED)
def annotations_text(node: Function) -> str:
    """Return the canonical text of the annotations of a function's arguments and result."""
    if isinstance(node, ast.Lambda):
        return ""
    kinds = (node.args.posonlyargs, node.args.args, node.args.kwonlyargs, [node.args.vararg, node.args.kwarg])
    named = [(a.arg, statement_text(a.annotation)) for kind in kinds for a in kind if a is not None and a.annotation]
    return repr([*named, ("return", statement_text(node.returns))] if node.returns else named)


def docstring(node: ast.AST) -> str:
    """Return the docstring of a function, class or module as it is written, or nothing."""
    body = getattr(node, "body", None)
    first = body[0] if isinstance(body, list) and body else None
    return str(first.value.value) if first is not None and is_text(first) else ""


def is_text(node: ast.AST) -> bool:
    """Return whether a statement is only a text, which does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def is_main(node: ast.AST) -> bool:
    """Return whether a statement is `if __name__ == "__main__":`, either way round."""
    if not (isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and len(node.test.ops) == 1):
        return False
    sides = (node.test.left, node.test.comparators[0])
    named = any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)
    return (
        named
        and isinstance(node.test.ops[0], ast.Eq)
        and any(isinstance(side, ast.Constant) and side.value == "__main__" for side in sides)
    )


def statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements of a module that do something when it is imported: no texts, no `__main__` block."""
    effective: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.If) and is_main(node):
            effective += statements(node.orelse)
        elif not is_text(node):
            effective.append(node)
    return effective


def _text(start: _Part) -> str:
    """Write out a tree, with a stack of its own: a long sum is a deep tree."""
    words: list[str] = []
    stack: list[_Word | _Part] = [start]
    while stack:
        item = stack.pop()
        if isinstance(item, _Word):
            words.append(item.text)
        elif isinstance(item.value, ast.AST):
            stack.append(_Word(")"))
            for name, value, inside in reversed(list(_fields(item.value, item.inside))):
                stack += [_Part(value, inside), _Word(f"{name}=")]
            words.append(f"{type(item.value).__name__}(")
        elif isinstance(item.value, list):
            stack.append(_Word("]"))
            stack += [_Part(value, item.inside) for value in reversed(item.value)]
            words.append("[")
        else:
            words.append(f"{type(item.value).__name__}:{item.value!r}")
    return " ".join(words)


def _fields(node: ast.AST, inside: bool) -> Iterator[tuple[str, Any, bool]]:
    """Yield (name, value, whether in a function) of the fields of a node that say what it does."""
    unread = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.decorator_list
    for name, value in ast.iter_fields(node):
        # fields that 3.12 or 3.13 added are empty in older code: empty ones are left out everywhere
        if name in _UNSEEN or value is None or value == []:
            continue
        here = inside
        if isinstance(node, ast.ClassDef):
            here = False
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and name == "body":
            here = True
        if unread and name == "returns":
            continue
        if unread and name == "args":
            value = _without_annotations(value)
        if name == "annotation" and inside and isinstance(node, ast.AnnAssign):
            continue
        yield name, _normal(node, name, value), here


def _normal(node: ast.AST, name: str, value: object) -> Any:
    """Return a field with what does nothing taken out, and pieces of a text joined."""
    if name in ("body", "orelse", "finalbody") and isinstance(value, list):
        parts = statements(value) if isinstance(node, ast.Module) else [part for part in value if not is_text(part)]
        return [part for part in parts if not isinstance(part, ast.Pass)]
    if isinstance(node, ast.JoinedStr) and name == "values":
        return _joined(cast("list[ast.expr]", value))
    return value


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Return the pieces of an f-string with neighbouring constant texts joined and empty ones left out."""
    joined: list[ast.expr] = []
    for value in values:
        last = joined[-1] if joined else None
        if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            joined.append(value)
        elif isinstance(last, ast.Constant) and isinstance(last.value, str):
            # versions of Python may cut the same text into other pieces
            joined[-1] = ast.Constant(last.value + value.value)
        elif value.value:
            joined.append(value)
    return joined


def _without_annotations(args: ast.arguments) -> ast.arguments:
    """Return a copy of the arguments of a function without their annotations."""

    def bare(argument: ast.arg | None) -> ast.arg | None:
        return ast.arg(argument.arg) if argument is not None else None

    return ast.arguments(
        posonlyargs=[ast.arg(argument.arg) for argument in args.posonlyargs],
        args=[ast.arg(argument.arg) for argument in args.args],
        vararg=bare(args.vararg),
        kwonlyargs=[ast.arg(argument.arg) for argument in args.kwonlyargs],
        kw_defaults=args.kw_defaults,
        kwarg=bare(args.kwarg),
        defaults=args.defaults,
    )
