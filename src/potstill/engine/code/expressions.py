"""What pieces of syntax name, call and write to; it stays as it is, so that the answers are remembered."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator

from potstill.engine.code.names import Chain
from potstill.engine.code.syntax import Function

_INNER = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
"""Syntax whose variables are not those of the module around it."""
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_READERS = frozenset({"getattr", "vars", "iter", "next", "type", "super"})
"""Builtins that give out what belongs to their first argument."""


def root_of(target: ast.expr) -> ast.expr:
    """Return what an expression starts at."""
    while True:
        if isinstance(target, ast.Call):
            reads = isinstance(target.func, ast.Name) and target.func.id in _READERS and target.args
            target = target.args[0] if reads else target.func
        elif isinstance(target, (ast.Attribute, ast.Subscript, ast.Starred)):
            target = target.value
        else:
            return target


def expressions_in(node: ast.stmt) -> list[ast.AST]:
    """Return the expressions of a plain statement, of the head of a block, or that a definition is given."""
    if isinstance(node, DEFINITIONS):
        return [one for one in (*node.args.defaults, *node.args.kw_defaults) if one is not None]
    if isinstance(node, ast.ClassDef):
        return [*node.bases, *node.keywords]
    return [one for one in ast.iter_child_nodes(node) if isinstance(one, (ast.expr, ast.withitem))]


def places_in(target: ast.expr) -> Iterator[ast.expr]:
    """Yield the attributes and items that an assignment writes to."""
    if isinstance(target, (ast.Tuple, ast.List)):
        for one in target.elts:
            yield from places_in(one)
    elif isinstance(target, (ast.Attribute, ast.Subscript)):
        yield target


# every class of a project looks at the same modules
@functools.lru_cache(maxsize=2**16)
def assigned_in(node: Function) -> tuple[str, ...]:
    """Return the variables that a function gives something to that it made."""
    names: list[str] = []
    for one in ast.walk(node):
        if isinstance(one, ast.Assign) and not isinstance(one.value, (ast.Name, ast.Attribute, ast.Subscript)):
            names += [target.id for target in one.targets if isinstance(target, ast.Name)]
        elif isinstance(one, ast.withitem) and isinstance(one.optional_vars, ast.Name):
            names.append(one.optional_vars.id)
    return tuple(names)


@functools.lru_cache(maxsize=2**16)
def head(node: ast.stmt) -> tuple[tuple[ast.Call, ...], tuple[ast.NamedExpr, ...]]:
    """Return the calls, and the assignments in expressions, of a plain statement or of the head of a block."""
    inner = [one for expression in expressions_in(node) for one in ast.walk(expression)]
    calls = tuple(one for one in inner if isinstance(one, ast.Call))
    return calls, tuple(one for one in inner if isinstance(one, ast.NamedExpr))


@functools.lru_cache(maxsize=2**16)
def calls_in(expression: ast.AST) -> tuple[ast.Call, ...]:
    """Return the calls in an expression."""
    return tuple(one for one in ast.walk(expression) if isinstance(one, ast.Call))


def is_asked_for(node: ast.expr) -> bool:
    """Return whether an expression asks for what is there already, as `decimal.getcontext()` does."""
    chain = next(iter(chains(node.func)), ("",)) if isinstance(node, ast.Call) else ("",)
    return chain[-1].startswith("get") and chain[-1] != "getattr"


@functools.lru_cache(maxsize=2**17)
def chains(node: ast.AST) -> tuple[Chain, ...]:
    """Return the names in a piece of syntax, each with the attributes taken from it."""
    every_chain: list[Chain] = []
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
            every_chain.append((inner.id, *reversed(chain)))
    return tuple(every_chain)


@functools.lru_cache(maxsize=256)
def bound_for_good(body: tuple[ast.stmt, ...]) -> frozenset[str]:
    """Return the variables that the blocks of a module assign and never delete, and that nothing inner is called."""
    bound: set[str] = set()
    other: set[str] = set()
    waiting: list[tuple[ast.AST, bool]] = [(node, True) for node in body]
    while waiting:
        node, outer = waiting.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            (bound if outer and isinstance(node.ctx, ast.Store) else other).add(node.id)
        elif isinstance(node, ast.arg):
            other.add(node.arg)
        elif isinstance(node, ast.ExceptHandler):
            other.add(node.name or "")
        outer = outer and not isinstance(node, _INNER)
        waiting += [(inner, outer) for inner in ast.iter_child_nodes(node)]
    return frozenset(bound - other)
