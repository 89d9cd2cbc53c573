"""Whether a piece of the user's code acts on what is not its own: a library's table, setting or class, the environment.

Calls of the user's own functions, methods and classes are followed; what can't be distinguished counts as an action, so
that a statement counts once too often rather than once too rarely.
"""

from __future__ import annotations

import ast
import builtins
import functools
import os
import re
from collections.abc import Iterable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

from potstill.engine.code.expressions import (
    DEFINITIONS,
    assigned_in,
    bound_for_good,
    calls_in,
    chains,
    expressions_in,
    head,
    is_asked_for,
    places_in,
    root_of,
)
from potstill.engine.code.names import Chain
from potstill.engine.code.origins import is_first_party, is_own_module, is_own_name
from potstill.engine.code.sources import function_node
from potstill.engine.code.syntax import Function, statements

_QUIET = frozenset(
    """
    print logging warnings sys potstill typing abc enum dataclasses functools os posixpath contextlib collections tqdm
    rich matplotlib unittest pytest attr attrs pydantic pathlib shutil subprocess time gc faulthandler signal atexit
    threading multiprocessing argparse
    """.split()
)
"""Roots whose calls change nothing that a step computes: what they say, where they look, how classes are built."""
_LOUD = frozenset(
    tuple(name.split("."))
    for name in """
    os.environ os.environb os.putenv os.unsetenv os.chdir os.umask sys.argv sys.meta_path sys.modules sys.path_hooks
    sys.set_int_max_str_digits sys.setrecursionlimit time.tzset unittest.mock warnings.filters warnings.filterwarnings
    warnings.resetwarnings warnings.simplefilter
    """.split()
)
"""Parts of them that do."""
_WRITERS = frozenset({"setattr", "delattr"})
"""Builtins that write to their first argument."""
_THIS = frozenset({"self", "cls", "mcls", "mcs"})
_COMMANDS = re.compile(
    r"(?:^|_)(?:set|seed|reset|register|install|enable|disable|patch|configure|init|limit)(?:_|$)"
    r"|^set(?!diff|xor)"
)
"""Names of functions that are called for what they do, though they may give something: the old setting, a handle."""
_HOOKS = ("__new__", "__init__", "__prepare__")
"""What a metaclass does when a class is made."""
_MADE = ("__new__", "__init__", "__post_init__")
_TAKEN = (ast.Attribute, ast.Subscript)


class Actions:
    """The actions of code that runs in one namespace."""

    def __init__(self, space: dict[str, Any], body: Iterable[ast.stmt], judged: dict[int, bool] | None = None) -> None:
        """Judge code whose global variables are `space`; functions in `judged` are judged already."""
        self._space = space
        self._body = body
        self._borrowed = set(_borrowed(body, space))
        self._judged = {} if judged is None else judged

    @functools.cached_property
    def _still_to_come(self) -> frozenset[str]:
        """The variables that the module gives a value to in only one way: without one, what uses them has not run."""
        return bound_for_good(tuple(self._body)) - self._space.keys()

    def acting(self, body: list[ast.stmt], own: dict[str, Any] | None = None) -> Iterator[ast.stmt]:
        """Yield the statements, at any depth of blocks, that act on a library.

        `own` holds the local variables of a function that are its own; its inner functions count as called ones.
        """
        for node in statements(body):
            if isinstance(node, (*DEFINITIONS, ast.ClassDef)):
                if self._defines(node, own):
                    yield node
                continue
            blocks = [block for name in ("body", "orelse", "finalbody") for block in getattr(node, name, [])]
            blocks += [line for handler in getattr(node, "handlers", []) for line in handler.body]
            blocks += [line for case in getattr(node, "cases", []) for line in case.body]
            if (blocks and any(True for _ in self.acting(blocks, own))) or self._acts(
                node, own or {}, live=own is None
            ):
                yield node

    def _defines(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, own: dict[str, Any] | None) -> bool:
        """Return whether defining a function or class acts on a library."""
        if any(self._registers(decorator, node, own or {}) for decorator in node.decorator_list):
            return True
        calls = [call for expression in expressions_in(node) for call in calls_in(expression)]
        if any(self._own_call_acts(call, own or {}) or self._acts_by_name(call, own or {}) for call in calls):
            return True
        if isinstance(node, ast.ClassDef):
            value = self._space.get(node.name)
            below = value.__mro__[1:] if isinstance(value, type) else ()
            hooks = [vars(base).get("__init_subclass__") for base in below]
            # metaclasses but `type` and `object`, which do nothing lasting
            hooks += [vars(kind).get(name) for kind in type(value).__mro__[:-2] for name in _HOOKS]
            hooks += [_member(one, "__set_name__") for one in (vars(value).values() if isinstance(value, type) else ())]
            if isinstance(value, type) and any(self._function_acts(hook, None) for hook in hooks):
                return True
            return any(True for _ in self.acting([line for line in node.body if not isinstance(line, DEFINITIONS)]))
        return own is not None and any(True for _ in self.acting(node.body, {**own, **_locals(node, None)}))

    def _registers(self, decorator: ast.expr, node: ast.stmt, own: dict[str, Any]) -> bool:
        """Return whether a library's decorator gave a definition back as it was: it may have entered it somewhere."""
        call = ast.Call(decorator, [], [])
        if self._call_acts(call, own) and not self._is_foreign(decorator, own):
            return True
        if any(self._own_call_acts(one, own) for one in calls_in(decorator)):
            return True
        name = getattr(node, "name", "")
        value = self._space.get(name)
        same = isinstance(value, type) or (isinstance(value, FunctionType) and value.__code__.co_name == name)
        return same and not hasattr(value, "__wrapped__") and self._is_foreign(decorator, own)

    def _acts(self, node: ast.stmt, own: dict[str, Any], live: bool) -> bool:
        """Return whether a plain statement, or the head of a block, acts on a library."""
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
            targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [node.target]
            places = [one for target in targets for one in places_in(target)]
            if any(self._is_foreign(place, own, writes=True) for place in places):
                return True
        calls, named = head(node)
        if any(self._own_call_acts(call, own) or self._acts_by_name(call, own) for call in calls):
            return True
        if any(self._named_acts(chain, own) for one in expressions_in(node) for chain in chains(one)):
            return True
        if isinstance(node, ast.Expr):
            return any(self._call_acts(call, own) for call in calls)
        assigned = [(node.targets[0], node.value)] if isinstance(node, ast.Assign) else []
        assigned += [(one.target, one.value) for one in named]
        return live and any(self._gives_nothing(target, value, own) for target, value in assigned)

    def _gives_nothing(self, target: ast.expr, value: ast.expr, own: dict[str, Any]) -> bool:
        """Return whether a call gave None to the variable it is kept in: it was made for what it does."""
        nothing = isinstance(target, ast.Name) and self._space.get(target.id, "") is None
        return nothing and isinstance(value, ast.Call) and self._call_acts(value, own)

    def _call_acts(self, call: ast.Call, own: dict[str, Any]) -> bool:
        """Return whether a call whose result is not used acts on a library."""
        if isinstance(call.func, ast.Name) and call.func.id in _WRITERS and call.args:
            return self._is_foreign(call.args[0], own, writes=True)
        return self._is_foreign(call.func, own) or self._own_call_acts(call, own)

    def _own_call_acts(self, call: ast.Call, own: dict[str, Any]) -> bool:
        """Return whether a call of one of the user's functions, methods or classes acts on a library."""
        return any(self._callee_acts(value, owner) for value, owner in self._callees(call.func, own))

    def _callees(self, called: ast.expr, own: dict[str, Any]) -> Iterator[tuple[Any, type | None]]:
        """Yield what a call may call, with its class; by its name alone where nothing else is known."""
        chain = next(iter(chains(called)), ())
        if isinstance(called, ast.Attribute) and not (chain and chain[-1] == called.attr):  # of what a call gave
            classes = [one for one in self._space.values() if isinstance(one, type) and is_own_name(one.__module__)]
            yield from ((_member(one, called.attr), one) for one in classes)
        elif chain:
            this = own.get(chain[0])
            value: Any = this if chain[0] in own else self._space.get(chain[0])
            owner = this if isinstance(this, type) else None
            for name in chain[1:]:
                owner = value if isinstance(value, type) else type(value)
                value = _member(value, name)
            yield value, owner

    def _callee_acts(self, value: object, owner: type | None) -> bool:
        """Return whether calling a function, class or object acts on a library."""
        if isinstance(value, type) and is_own_name(value.__module__):
            constructor_acts = any(self._function_acts(_member(value, name), value) for name in _MADE)
            return constructor_acts or self._function_acts(_member(type(value), "__call__"), type(value))
        if not isinstance(value, (FunctionType, MethodType, staticmethod, classmethod, functools.partial)):
            owner, value = type(value), _member(value, "__call__") if is_own_name(type(value).__module__) else None
        return self._function_acts(value, owner)

    def _named_acts(self, chain: Chain, own: dict[str, Any]) -> bool:
        """Return whether a function of the user's that is handed on acts, or what Python itself calls of an object."""
        value: Any = None if chain[0] in own else self._space.get(chain[0])
        for name in chain[1:]:
            value = _member(value, name)
        if isinstance(value, (FunctionType, MethodType, functools.partial)):
            return self._function_acts(value, None)
        cls = value if isinstance(value, type) else type(value)
        return is_own_name(cls.__module__) and any(self._function_acts(one, cls) for one in _implicit(cls))

    def _acts_by_name(self, call: ast.Call, own: dict[str, Any]) -> bool:
        """Return whether a call acts as its name says, whatever is done with what it gives."""
        chain = next(iter(chains(call.func)), ("",))
        defined_name = getattr(self._space.get(chain[0]), "__name__", "") if len(chain) == 1 else ""
        return bool(_COMMANDS.search(chain[-1]) or _COMMANDS.search(defined_name)) and self._is_foreign(call.func, own)

    def _function_acts(self, value: object, owner: type | None) -> bool:
        """Return whether a function of the user's, or one that it wraps, acts on a library."""
        while isinstance(value, (MethodType, staticmethod, classmethod, functools.partial)):
            value = value.func if isinstance(value, functools.partial) else value.__func__
        value = getattr(value, "__wrapped__", value)
        if not isinstance(value, FunctionType) or not is_first_party(value.__code__.co_filename):
            return False
        if id(value) not in self._judged:
            self._judged[id(value)] = False  # while it is judged: one that calls itself acts by what else it does
            node = function_node(value.__code__, value.__code__.co_filename)
            inner = Actions(value.__globals__, (), self._judged)
            inner._borrowed = self._borrowed if value.__globals__ is self._space else set()
            body = node.body if isinstance(node, DEFINITIONS) else []
            self._judged[id(value)] = any(True for _ in inner.acting(body, _locals(node, owner) if node else {}))
        return self._judged[id(value)]

    def _is_foreign(self, target: ast.expr, own: dict[str, Any], writes: bool = False) -> bool:
        """Return whether an expression starts at a library or a builtin that may keep what it is given."""
        root = root_of(target)
        if not isinstance(root, ast.Name) or root.id in own:
            return False
        value = self._space.get(root.id)
        while isinstance(value, functools.partial):
            value = value.func
        if value is os.environ or value is os.environb or root.id in self._borrowed:
            return True
        chain = next(iter(chains(target)), ())
        if not writes and root.id not in self._space and root.id in _QUIET:
            return False
        if isinstance(value, ModuleType):
            loud = (value.__name__.partition(".")[0], *chain[1:2]) in _LOUD or chain[-1:] == ("register",)
            return not is_own_module(value) and (writes or loud or not _is_quiet(value.__name__))
        if value is None:
            absent = root.id not in vars(builtins) and root.id not in self._space
            return absent and root.id not in self._still_to_come
        if not isinstance(value, (FunctionType, type)) and not callable(value):
            return False
        module = getattr(value, "__module__", None) or ""
        # functions of `os` name `posix` as their module
        names, top = {root.id, getattr(value, "__name__", "")}, module.partition(".")[0].replace("posix", "os")
        loud = writes or chain[-1:] == ("register",) or any((top, name) in _LOUD for name in names)
        return (loud or not _is_quiet(module)) and not is_own_name(module)


def _is_quiet(module: str) -> bool:
    """Return whether calls of a module change nothing that a step computes."""
    return module.partition(".")[0] in _QUIET


def _implicit(cls: type) -> Iterator[object]:
    """Yield the methods of a class of the user's that Python calls where the code names none: operators, properties."""
    for base in cls.__mro__:
        for name, value in vars(base).items() if is_own_name(base.__module__) else ():
            if isinstance(value, property):
                yield from (value.fget, value.fset, value.fdel)
            elif name.startswith("__") and isinstance(value, (FunctionType, staticmethod, classmethod)):
                yield value


def _locals(node: Function, owner: type | None) -> dict[str, Any]:
    """Return the local variables of a function that hold what is its own: itself, and what it makes."""
    this: dict[str, Any] = {
        argument.arg: owner for argument in node.args.args[:1] if owner is not None or argument.arg in _THIS
    }
    return this | dict.fromkeys(assigned_in(node))


def _borrowed(body: Iterable[ast.stmt], space: dict[str, Any]) -> Iterator[str]:
    """Yield the variables of a module that stand for an object of a library, as `table` in `table = json.TABLE`."""
    for node in body:
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [alias.asname or alias.name for alias in node.names]
            yield from (name for name in names if _is_table(space.get(name)) and not is_own_name(node.module))
        elif isinstance(node, ast.Assign) and (isinstance(node.value, _TAKEN) or is_asked_for(node.value)):
            root = root_of(node.value)
            value = space.get(root.id) if isinstance(root, ast.Name) else None
            name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
            library = isinstance(value, ModuleType) or is_asked_for(node.value)
            if library and value is not None and not is_own_name(name) and not _is_quiet(name):
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _is_table(value: object) -> bool:
    """Return whether a value is a container that can be written to."""
    return isinstance(value, (dict, list, set))


def _member(value: object, name: str) -> Any:
    """Return an attribute of a module, class or object without running code of the user's; None where there is none."""
    if isinstance(value, ModuleType):
        return vars(value).get(name)
    held = getattr(value, "__dict__", {}) if not isinstance(value, type) else {}
    if name in held:
        return held[name]
    owner = value if isinstance(value, type) else type(value)
    return next((vars(base)[name] for base in owner.__mro__ if name in vars(base)), None)
