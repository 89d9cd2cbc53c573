"""What functions and other callables are made of."""

from __future__ import annotations
import __future__

import dis
import functools
import gc
import inspect
import sys
import typing
from collections.abc import Callable
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from potstill.engine.code import lookup
from potstill.engine.code.names import names_in, names_used
from potstill.engine.code.origins import MADE_BY_CODE, home_of, is_first_party, is_own_name, known_as, public_name
from potstill.engine.code.pythons import encoded_in_311, name_in_311
from potstill.engine.code.sources import function_node
from potstill.engine.code.syntax import annotations_text, docstring, function_text, sha
from potstill.engine.code.walk import Encoded, Walk

_READERS = frozenset({"__annotations__", "get_type_hints", "get_annotations", "signature", "getfullargspec"})
"""Names whose use means that code may read annotations."""
_CACHE = type(functools.lru_cache(lambda: None))
_FUTURE = __future__.annotations.compiler_flag
"""Flag of code whose annotations are texts, as they are written."""
WRAPPERS = frozenset(
    {*functools.WRAPPER_ASSIGNMENTS, "__wrapped__", "cache_parameters", "__type_params__", "__isabstractmethod__"}
)
"""Attributes that what wraps a function has from it, or from its own class."""
_FLAGS = {
    "docstrings": frozenset({"__doc__", "getdoc"}),
    "source": frozenset({"getsource", "getsourcelines", "getsourcefile", "__code__", "co_code", "co_consts"}),
    "subclasses": frozenset({"__subclasses__"}),
    "modules": frozenset({"__module__"}),
    "names": frozenset({"__globals__", "f_globals", "f_locals", "f_back", "__builtins__", "f_builtins"}),
    "annotations": _READERS,
    "imports": frozenset({"import_module", "exec_module", "load_module", "run_path", "run_module"}),
}


def encode_callable(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return what stands for a function, method or partial; None for anything else."""
    if isinstance(value, FunctionType):
        return _function(walk, value)
    if isinstance(value, MethodType):
        return ["method", walk.encode(value.__func__, label), walk.encode(value.__self__, label)]
    if isinstance(value, BuiltinFunctionType):
        return _builtin(walk, value, label)
    if isinstance(value, (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType)):
        return ["method", value.__name__, walk.encode(value.__objclass__, label)]
    if isinstance(value, MethodWrapperType):
        return ["method", value.__name__, walk.encode(value.__self__, label)]
    if isinstance(value, functools.partial):
        parts = [walk.encode(value.func, label), walk.encode(value.args, label), walk.encode(value.keywords, label)]
        return ["partial", *parts, *walk.encode_named(vars(value), label)]
    if is_cache(value):
        results = _remembered(walk, value, label)
        more = added(walk, value, label)
        wrapped = walk.encode(value.__wrapped__, label)  # type: ignore[attr-defined]
        return ["remembered", wrapped, *results, *more] if results or more else wrapped
    return None


def _remembered(walk: Walk, value: object, label: str) -> list[Encoded]:
    """Return the results that the cache of a user's function holds: a later call gives them, whatever changed since.

    They may be objects that other code has added to, as those of `@functools.cache def registry(): return {}`.
    """
    if not holds_results(value):
        return []
    walk.remember(value, label)
    # only the collector sees what is in it: the links of a bounded one, then its dict, then the function
    referents = [one for one in gc.get_referents(value) if getattr(one, "__name__", "") != "_lru_list_elem"]
    wrapped = max(place for place, one in enumerate(referents) if one is value.__wrapped__)  # type: ignore[attr-defined]
    info = value.cache_info()  # type: ignore[attr-defined]
    table = referents[wrapped - 1]
    first = wrapped - 1 - 2 * info.currsize
    is_bounded = info.maxsize is not None
    pairs = referents[first : wrapped - 1] if is_bounded else [one for pair in table.items() for one in pair]
    return [["results", *(_call(walk, one, label) for one in pairs)]]


def _call(walk: Walk, value: object, label: str) -> Encoded:
    """Return a result of a cache, or the arguments that it is of; in these an `object()` marks where names begin."""
    if isinstance(value, (tuple, list)) and any(type(one) is object for one in value):
        return ["arguments", *(["names"] if type(one) is object else walk.encode(one, label) for one in value)]
    return walk.encode(value, label)


def is_cache(value: object) -> bool:
    """Return whether a library's object only remembers what a function gave, as `functools.cache` makes one."""
    cls = type(value)
    return not is_own_name(cls.__module__) and hasattr(cls, "cache_info") and hasattr(value, "__wrapped__")


def holds_results(cache: object) -> bool:
    """Return whether a cache of the user's has results in it."""
    if type(cache) is not _CACHE or public_name(cache):
        return False
    return bool(cache.cache_info().currsize)


def added(walk: Walk, wrapper: object, label: str) -> list[Encoded]:
    """Return what stands for the attributes that a wrapper of a function was given."""
    return walk.encode_named(given_attributes(wrapper), label)


def given_attributes(wrapper: object) -> dict[str, Any]:
    """Return the attributes that a wrapper of a function was given beside those that it has from the function."""
    held = getattr(getattr(wrapper, "__wrapped__", None), "__dict__", {})
    attributes = getattr(wrapper, "__dict__", {})
    return {name: one for name, one in attributes.items() if name not in WRAPPERS and held.get(name) is not one}


def _function(walk: Walk, function: FunctionType) -> Encoded:
    """Return what stands for a Python function: the user's a part, a library's its name where that is all."""
    if is_first_party(function.__code__.co_filename) and not _is_library_closure(function):
        return walk.part(function, function.__qualname__, _own)
    name = public_name(function)
    if name:
        lookup.note_dynamic(walk, name)
        return ["library", name]
    return walk.part(function, function.__qualname__, _library)


def _is_library_closure(function: FunctionType) -> bool:
    """Return whether a function was generated by a library, in a text that has no file."""
    name = function.__globals__.get("__name__")  # nothing where the user's code gave `exec` a namespace
    return function.__code__.co_filename == "<string>" and name is not None and not is_own_name(name)


def _own(walk: Walk, function: FunctionType, label: str) -> Encoded:
    """Return what a function of the user's is made of."""
    code = function.__code__
    walk.spaces.setdefault(id(function.__globals__), function.__globals__)
    names = names_used(code)
    walk.words |= names.words
    for flag, words in _FLAGS.items():
        # names with two underscores count as texts, too: getattr(f, "__doc__")
        named = bool(words & names.attributes) or any(word.startswith("__") for word in words & names.words)
        if flag != "imports":  # a global by these names is looked at itself
            named |= any(words & set(chain) for chain in names.globals)
        if named or any(use.attribute in words for use in names.imports):
            walk.flag(flag)
            walk.flag("names" if flag == "imports" else flag)
    variables = [["name", *walk_chain] for walk_chain in lookup.globals_of(walk, function, names, label)]
    imports = lookup.imports_of(walk, function, names, label)
    return [
        "function",
        _source(walk, function, label),
        *_carried(walk, function, label),
        variables,
        imports,
        _captured(walk, function, dict(names.locals), label),
    ]


def _library(walk: Walk, function: FunctionType, label: str) -> Encoded:
    """Return what a function that a library made is made of: which it is, and what it carries of the user's."""
    code = function.__code__
    walk.flag("annotations")  # the library may have read them
    place = f"{known_as(str(function.__globals__.get('__name__')))}.{code.co_qualname}"
    return ["library function", place, *_carried(walk, function, label), _captured(walk, function, {}, label)]


def _source(walk: Walk, function: FunctionType, label: str) -> Encoded:
    """Return the digest of a function's source; of its instructions where no source gives them."""
    node = function_node(function.__code__, function.__code__.co_filename)
    # apart from the source: it counts only where code that was reached reads docstrings
    walk.texts[label] = docstring(node) if node is not None else function.__doc__ or ""
    if node is None:
        walk.by_instructions()
        return ["instructions", sha(instructions(function.__code__))]
    if inspect.cleandoc(function.__doc__ or "") != inspect.cleandoc(docstring(node)):  # given after it was made
        walk.texts[label] = f"{docstring(node)}\n{function.__doc__}"
    walk.texts[f"{label} (annotations)"] = annotations_text(node)
    if function.__annotations__:
        walk.annotated[label] = function
    return ["source", sha(function_text(node))]


def annotation_values(walk: Walk, function: FunctionType, label: str) -> list[Encoded]:
    """Return what the annotations of a function hold beside types of libraries, which their text names."""
    encoded: list[Encoded] = []
    for name, value in sorted(function.__annotations__.items()):
        if isinstance(value, str):
            named_values = {word: function.__globals__.get(word) for (word,) in names_in(value)}
            own = {w: one for w, one in named_values.items() if not _is_librarys(one) and id(one) not in walk.classes}
            written = function.__code__.co_flags & _FUTURE or repr(value) in str(walk.texts[f"{label} (annotations)"])
            encoded += [[name, value, *walk.encode_named(own, label)]] if own or not written else []
        elif not _is_librarys(value) and id(value) not in walk.classes:  # what was reached is covered
            encoded.append([name, walk.encode(value, label)])
    return encoded


def _is_librarys(value: object) -> bool:
    """Return whether an annotation is a type of a library, or made of such alone."""
    if value is None or value is ... or isinstance(value, ModuleType) or public_name(value):
        return True
    if isinstance(value, list):  # of a Callable
        return all(map(_is_librarys, value))
    if isinstance(value, type) and not value.__flags__ & MADE_BY_CODE:
        return True
    library_value = getattr(sys.modules.get(type(value).__module__), str(getattr(value, "_name", "")), None)
    inner = typing.get_args(value)
    return library_value is value or (
        bool(inner) and typing.get_origin(value) is not typing.Literal and all(map(_is_librarys, inner))
    )


def _carried(walk: Walk, function: FunctionType, label: str) -> list[Encoded]:
    """Return what a function carries beside its code: defaults and attributes."""
    attributes = {name: value for name, value in vars(function).items() if name != "__type_params__"}
    name = function.__name__
    walk.homes[label] = home_of(function.__module__)
    home = [] if function.__module__ == function.__globals__.get("__name__") else [["of", walk.homes[label]]]
    return [
        walk.encode_all(function.__defaults__ or (), label),
        walk.encode_named(function.__kwdefaults__ or {}, label),
        walk.encode_named(attributes, label),
        *([["called", name]] if name != function.__code__.co_name and "__wrapped__" not in attributes else []),
        *(home if "__wrapped__" not in attributes else []),
    ]


def _captured(walk: Walk, function: FunctionType, uses: dict[str, Any], label: str) -> list[Encoded]:
    """Return the captured variables of a function; of a module of the user's, the attributes that are taken."""
    variables: list[Encoded] = []
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # not filled yet
            continue
        # only what is used of a module: a change of the rest of it must not change the key
        if isinstance(value, ModuleType) and uses.get(variable):
            variables += [[variable, *lookup.follow(walk, value, chain, label)] for chain in uses[variable]]
        elif isinstance(value, (FunctionType, type, ModuleType)) or encoded_in_311(value) is not None:
            variables.append([variable, walk.encode(value, label)])
        else:
            variables.append([variable, walk.named(value, f"{label}.{variable}", cell)])
    return variables


def _builtin(walk: Walk, value: Callable[..., Any], label: str) -> Encoded:
    """Return what stands for a function or method written in C."""
    owner = getattr(value, "__self__", None)
    name = name_in_311(f"{value.__module__}.{value.__qualname__}")
    if owner is None or isinstance(owner, ModuleType):
        lookup.note_dynamic(walk, name)
        return lookup.compiled(walk, value) or ["name", name]
    return ["method", value.__name__, walk.encode(owner, label)]


def instructions(code: CodeType) -> str:
    """Return the instructions of a code object with their operands, but no line numbers and no docstring."""
    lines = [code.co_exceptiontable.hex()]  # which instructions a `try` covers shows nowhere else
    for instruction in dis.get_instructions(code):
        operand = instruction.argval
        # the order of a set of texts differs between processes (hash randomisation)
        if isinstance(operand, frozenset):
            operand = sorted(operand, key=repr)
        # the `repr` of inner code has its address and file
        text = instructions(operand) if isinstance(operand, CodeType) else f"{type(operand).__name__} {operand!r}"
        lines.append(f"{instruction.opname} {text}")
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return f"{arguments} {code.co_flags}\n" + "\n".join(lines)
