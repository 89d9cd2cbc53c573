"""What a module of the user's does to libraries and the interpreter when it is imported.

`random.seed(1)`, `pandas.set_option(...)`, `json.x = ...` or a decorator that enters a function in a library's table
change what other code does, and leave no trace in the module's own variables. Such statements count as code.
"""

from __future__ import annotations

import ast
import builtins
import os
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from potstill.code import lookup
from potstill.code.names import Chain
from potstill.code.origins import file_label, is_first_party, is_own_module, is_own_name, module_file
from potstill.code.sources import function_node, module_source
from potstill.code.syntax import sha, statement_text, statements
from potstill.code.walk import Encoded, Walk

_HARMLESS = frozenset({"print", "logging", "warnings", "sys", "potstill", "typing", "abc", "enum", "dataclasses",
                       "functools", "os", "contextlib", "collections", "tqdm", "rich", "matplotlib", "unittest",
                       "pytest", "attr", "attrs", "pydantic", "pathlib", "shutil", "subprocess", "time", "gc",
                       "faulthandler", "signal", "atexit", "threading", "multiprocessing", "argparse"})  # fmt: skip
"""Roots whose calls change nothing that a step computes: what they say, where they look, how classes are built."""


def effects(walk: Walk, module: ModuleType) -> None:
    """Add the statements of a module that act on what is not its own, if there are any."""
    file = module_file(module)
    source = module_source(file, vars(module)) if file is not None and file.endswith(".py") else None
    found = list(_acting(source.tree.body, vars(module), frozenset())) if source is not None else []
    if found:
        walk.part(source, f"statements of {file_label(module.__name__, file)}", _writer(found, vars(module)))


def _writer(found: list[ast.stmt], space: dict[str, Any]) -> Any:
    """Return a handler that writes out statements and follows the names in them."""

    def write(walk: Walk, source: Any, label: str) -> Encoded:
        del source
        chains = sorted({chain for node in found for chain in _chains(node) if chain[0] in space})
        named = [lookup.follow_global(walk, space, chain, label) for chain in chains]
        return ["statements", sha(repr([statement_text(node) for node in found])), named]

    return write


def _acting(body: list[ast.stmt], space: dict[str, Any], open_: frozenset[int]) -> Iterator[ast.stmt]:
    """Yield the statements, at any depth of blocks, that act on a library."""
    for node in statements(body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if any(_registers(decorator, node, space) for decorator in node.decorator_list):
                yield node
            continue
        blocks = [block for name in ("body", "orelse", "finalbody") for block in getattr(node, name, [])]
        blocks += [line for handler in getattr(node, "handlers", []) for line in handler.body]
        if blocks:
            if any(True for _ in _acting(blocks, space, open_)):
                yield node
        elif _acts(node, space, open_):
            yield node


def _acts(node: ast.stmt, space: dict[str, Any], open_: frozenset[int]) -> bool:
    """Return whether a plain statement acts on a library."""
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
        targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [node.target]
        if any(isinstance(t, (ast.Attribute, ast.Subscript)) and _is_foreign(t, space) for t in targets):
            return True
        value = getattr(node, "value", None)
        return isinstance(value, ast.Call) and _acts_inside(value, space, open_)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _is_foreign(node.value.func, space) or _acts_inside(node.value, space, open_)
    return False


def _acts_inside(call: ast.Call, space: dict[str, Any], open_: frozenset[int]) -> bool:
    """Return whether a call of one of the user's functions acts on a library."""
    chain = next(iter(_chains(call.func)), ())
    value: Any = space.get(chain[0]) if chain else None
    for name in chain[1:]:
        value = vars(value).get(name) if isinstance(value, ModuleType) else None
    if not isinstance(value, FunctionType) or id(value) in open_ or not is_first_party(value.__code__.co_filename):
        return False
    node = function_node(value.__code__, value.__code__.co_filename)
    body = node.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else []
    return any(True for _ in _acting(body, value.__globals__, open_ | {id(value)}))


def _is_foreign(target: ast.expr, space: dict[str, Any]) -> bool:
    """Return whether an expression starts at a library or a builtin that may keep what it is given."""
    root: ast.expr = target
    while isinstance(root, (ast.Attribute, ast.Subscript, ast.Call)):
        root = root.func if isinstance(root, ast.Call) else root.value
    if not isinstance(root, ast.Name):
        return False
    value = space.get(root.id)
    if value is os.environ or (value is os and ("os", "environ") in {chain[:2] for chain in _chains(target)}):
        return True
    if root.id in _HARMLESS:
        return False
    if isinstance(value, ModuleType):
        return not is_own_module(value) and value.__name__.partition(".")[0] not in _HARMLESS
    if value is None:
        return root.id not in vars(builtins) and root.id not in space
    if not isinstance(value, (FunctionType, type)) and not callable(value):
        return False
    module = getattr(value, "__module__", None) or ""
    return module.partition(".")[0] not in _HARMLESS and not is_own_name(module)


def _registers(decorator: ast.expr, node: ast.stmt, space: dict[str, Any]) -> bool:
    """Return whether a library's decorator gave a definition back as it was: it may have entered it somewhere."""
    name = getattr(node, "name", "")
    value = space.get(name)
    same = isinstance(value, type) or (isinstance(value, FunctionType) and value.__code__.co_name == name)
    return same and not hasattr(value, "__wrapped__") and _is_foreign(decorator, space)


def _chains(node: ast.AST) -> Iterator[Chain]:
    """Yield the names in a piece of syntax, each with the attributes taken from it."""
    taken: set[int] = set()
    for one in ast.walk(node):  # outermost first
        chain: list[str] = []
        inner: ast.AST = one
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            taken.add(id(inner))
            inner = inner.value
        if isinstance(inner, ast.Name) and id(inner) not in taken and (one is inner or chain):
            taken.add(id(inner))
            yield (inner.id, *reversed(chain))
