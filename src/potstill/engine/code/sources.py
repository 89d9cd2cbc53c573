"""The source that a function was compiled from: found in its file, and checked to be the very same code.

A file that was edited after its import holds other code than what runs. So a text counts as a function's source only if
compiling it gives the function's code again; what was read once is kept for the life of the process.
"""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from potstill.engine.code.syntax import Function


@dataclass(frozen=True)
class Source:
    """One text of a file."""

    tree: ast.Module
    """Its syntax."""
    codes: frozenset[CodeType]
    """The code of every function and class in it."""
    functions: dict[tuple[str, int], list[Function]]
    """Its functions by name and first line."""
    text: str
    """The text."""


_READ: dict[str, list[Source]] = {}
"""The texts of each file that this process has seen, the latest last."""

_IMPORTED: dict[int, tuple[object, Source | None]] = {}
"""The text of each import of a module, by the id of its spec, which is kept alive here."""


@functools.lru_cache(maxsize=16384)
def function_node(code: CodeType, file: str) -> Function | None:
    """Return the syntax of the function that `code` belongs to; None where no text gives this code."""
    source = _source_with(code, file)
    if source is None:
        return None
    nodes = source.functions.get((code.co_name, code.co_firstlineno), [])
    return nodes[0] if len(nodes) == 1 else _at_position(nodes, code)


def module_source(file: str, space: Mapping[str, Any]) -> Source | None:
    """Return the source of a module with these variables: what its file held when it was imported, if that is known.

    A module that was reloaded has a new spec, and is asked for as if for the first time.
    """
    spec = space.get("__spec__") or space
    if id(spec) not in _IMPORTED:
        codes = {value.__code__ for value in space.values() if isinstance(value, FunctionType)}
        own = {code for code in codes if code.co_filename == file}
        versions = [_read(file), *reversed(_READ.get(file, []))]
        fitting = [source for source in versions if source is not None and own <= source.codes]
        _IMPORTED[id(spec)] = (spec, next(iter(fitting), versions[0]))
    return _IMPORTED[id(spec)][1]


def texts() -> dict[str, str]:
    """Return the text of every file that was read, as it was first: what keys were made from."""
    return {file: versions[0].text for file, versions in _READ.items() if versions and not file.startswith("<")}


def parsed(file: str) -> Source | None:
    """Return the source in a file as it is now, or None if it can't be read."""
    return _read(file)


def _source_with(code: CodeType, file: str) -> Source | None:
    """Return the text of `file` that this code was compiled from."""
    for source in _READ.get(file, ()):
        if code in source.codes:
            return source
    read = _read(file)
    return read if read is not None and code in read.codes else None


def _read(file: str) -> Source | None:
    """Return what is in a file now, and keep it."""
    try:
        data = Path(file).read_bytes() if not file.startswith("<") else _text_of_cell(file)
    except OSError:
        return None
    source = _compiled(file, data) if data or not file.startswith("<") else None
    if source is not None and source not in _READ.setdefault(file, []):
        _READ[file].append(source)
    return source


def _text_of_cell(file: str) -> bytes:
    """Return the text that a notebook or the interpreter keeps for code without a file."""
    # where IPython puts it, for tracebacks
    entry = linecache.cache.get(file)
    return "".join(entry[2]).encode() if entry is not None and len(entry) == 4 else b""


@functools.lru_cache(maxsize=1024)
def _compiled(file: str, data: bytes) -> Source | None:
    """Parse and compile a text."""
    try:
        tree = ast.parse(data, file)
        # dont_inherit: or the `from __future__` imports of this module would hold for the file, too
        code = compile(data, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    functions: dict[tuple[str, int], list[Function]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            functions.setdefault(("<lambda>", node.lineno), []).append(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            functions.setdefault((node.name, first), []).append(node)
    return Source(tree, frozenset(_codes(code)), functions, data.decode("utf-8", "replace"))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and all that it holds."""
    stack = [code]
    while stack:
        code = stack.pop()
        yield code
        stack += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _at_position(nodes: list[Function], code: CodeType) -> Function | None:
    """Return which of several lambdas of one line a code object is, by the columns of its instructions."""
    # instructions without a place of their own, such as RESUME, stand at column 0 to 0
    spots = [
        (line, column, end_line, end)
        for line, end_line, column, end in code.co_positions()
        if None not in (line, column, end_line, end) and (column, end) != (0, 0)
    ]
    if not spots:
        return None
    first, last = min(spot[:2] for spot in spots), max(spot[2:] for spot in spots)
    holding = []
    for node in nodes:
        body = node.body if isinstance(node, ast.Lambda) else node
        assert isinstance(body, ast.AST)
        start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
        if start <= first and last <= end:
            holding.append((start, node))
    # lambdas nest: of those around the code, the innermost starts last
    return max(holding, key=lambda candidate: candidate[0])[1] if holding else None
