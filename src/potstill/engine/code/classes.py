"""What classes are made of: members, fields, annotations and the classes above them."""

from __future__ import annotations

import abc
import dataclasses
import enum
import functools
import sys
from _abc import _get_dump  # type: ignore[import-not-found]
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any, is_typeddict

from potstill.engine.code import lookup
from potstill.engine.code.names import names_in
from potstill.engine.code.origins import MADE_BY_CODE, home_of, is_first_party, is_own_name, known_as, public_name
from potstill.engine.code.plain import encode_set
from potstill.engine.code.walk import Encoded, Walk

_MACHINERY = frozenset(
    """
    __module__ __qualname__ __doc__ __dict__ __weakref__ __firstlineno__ __static_attributes__ __abstractmethods__
    _abc_impl __parameters__ __annotations__ __annotate__ __annotate_func__ __annotations_cache__ __dataclass_fields__
    __dataclass_params__ __classcell__ __type_params__ __isabstractmethod__ __signature__ __non_callable_proto_members__
    __protocol_attrs__ _is_protocol _is_runtime_protocol __attrs_own_setattr__ __replace__ __attrs_props__
    __orig_class__ __class_vars__ __private_attributes__ __slotnames__ __callable_proto_members_only__ __readonly_keys__
    __mutable_keys__ __closed__ __extra_items__
    """.split()
)
"""Members that the interpreter, `dataclass` and its kin write; what they were given is covered elsewhere."""
_ROWS_OUTPUT = "potstill.step.RowsOutput"
"""What declares an output of a step, as keys call it; the names of all of them are in the step's `outputs`."""
_MEMBER = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_", "_inverted_", "_hashable_values_"})
"""Attributes that every member of an enumeration has."""
_PARAMETERS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
_FIELD = ("default", "default_factory", "init", "repr", "hash", "compare", "kw_only", "metadata")


def encode_class(walk: Walk, cls: type, label: str) -> Encoded:
    """Return what stands for a class: a library's its name, the user's a part of its own."""
    name = public_name(cls)
    if name:
        lookup.note_dynamic(walk, name)
        return ["class", name]
    compiled = lookup.compiled(walk, cls)
    if compiled is None and not cls.__flags__ & MADE_BY_CODE:  # the interpreter's or a library's, such as NoneType
        return ["class", f"{cls.__module__}.{cls.__qualname__}"]
    return compiled or walk.part(cls, cls.__qualname__, _class)


def _class(walk: Walk, cls: type, label: str) -> Encoded:
    """Return what a class of the user's is made of."""
    walk.classes[id(cls)] = cls
    walk.texts[label] = cls
    module = sys.modules.get(cls.__module__)
    if module is not None and is_own_name(cls.__module__):
        walk.spaces.setdefault(id(vars(module)), vars(module))
    content: Encoded = ["class", walk.encode_all(cls.__bases__, label), walk.encode(type(cls), label)]
    content += [_members(walk, cls, label), _fields(walk, cls, label), _annotations(walk, cls, label)]
    if isinstance(cls, abc.ABCMeta):
        # an ABCMeta has no public way to list the classes that were registered with it
        registered = [reference() for reference in _get_dump(cls)[0]]
        if registered or type(cls) is abc.ABCMeta:
            content.append(encode_set(walk, registered, label, cls))
    walk.homes[label] = home_of(cls.__module__)
    if cls.__module__ not in sys.modules:  # given by the user's code: no module is called that
        content.append(["of", walk.homes[label]])
    # renamed after it was made: then the label, which is the qualified name, does not have it
    if not cls.__qualname__.endswith(cls.__name__):
        content.append(["called", cls.__name__])
    if issubclass(cls, enum.Enum):
        content.append(["boundary", str(getattr(cls, "_boundary_", None))])
        content.append(_enum_members(walk, cls, label))
    if any("__pydantic_fields__" in vars(base) for base in cls.__mro__):
        content.append(_pydantic(walk, cls, label))
    return content


def _members(walk: Walk, cls: type, label: str) -> list[Encoded]:
    """Return the members of a class; a plain value is a part with a name, so that a change of it can be named."""
    members: list[Encoded] = []
    for name, value in sorted(vars(cls).items()):
        if _is_machinery(cls, name, value):
            continue
        if isinstance(value, (MemberDescriptorType, GetSetDescriptorType)):
            members.append([name, ["slot"]])
        elif _is_code(value) or name.startswith("__"):
            members.append([name, walk.encode(value, label)])
        else:
            members.append([name, walk.named(value, f"{label}.{name}", _Member(cls, name))])
    return members


@dataclasses.dataclass(frozen=True)
class _Member:
    """Stands for one member of a class where a named value needs a namespace."""

    cls: type
    """The class."""
    name: str
    """The member."""


def _is_code(value: object) -> bool:
    """Return whether a member is code, which has a part of its own."""
    wrappers = (FunctionType, type, property, staticmethod, classmethod, functools.cached_property)
    return isinstance(value, (*wrappers, ModuleType))


def _is_machinery(cls: type, name: str, value: object) -> bool:
    """Return whether a member was written by the interpreter or a library for this class from what else is covered."""
    inner = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
    if _is_unkeyed(cls, name) or public_name(type(value)) == _ROWS_OUTPUT:
        return True
    if name == "__signature__" and not any(member.startswith("__pydantic_") for member in vars(cls)):
        return False  # the user's code gave it
    if name in _MACHINERY or name.startswith("__pydantic_"):
        return not isinstance(inner, FunctionType) or not is_first_party(inner.__code__.co_filename)
    if isinstance(value, dataclasses.Field) and "__dataclass_fields__" in vars(cls):
        return True
    if name == "__orig_bases__":  # those of a protocol or typed dict say no more than its members
        return getattr(cls, "_is_protocol", False) or is_typeddict(cls)
    if name == "__subclasshook__" and inner.__module__ in ("typing", "typing_extensions"):
        return True
    if isinstance(inner, FunctionType):
        return _is_generated(cls, inner)
    if "_fields" in vars(cls) and issubclass(cls, tuple) and type(value).__name__ == "_tuplegetter":
        return True
    if issubclass(cls, enum.Enum):
        hidden = name.startswith("_") and name.endswith("_") and (name[:2] != "__" or callable(value))
        redirect = isinstance(value, enum.property) and getattr(value, "fget", None) is None
        return hidden or name in cls.__members__ or redirect
    return False


def _is_unkeyed(cls: type, name: str) -> bool:
    """Return whether `name` is a field of a step or setting that is no part of its key."""
    field = getattr(cls, "__dataclass_fields__", {}).get(name)
    if getattr(field, "metadata", {}).get("unkeyed"):  # `gpus = 2` in the body of a step's class
        return True
    unkeyed = getattr(cls, "unkeyed", ())
    return isinstance(unkeyed, (frozenset, set, tuple)) and name in unkeyed and name in _own_annotations(cls)


def _is_generated(cls: type, function: FunctionType) -> bool:
    """Return whether `dataclass`, `namedtuple`, `enum`, `attrs` or the like wrote a method for this class."""
    code, space = function.__code__, function.__globals__
    inner = getattr(function, "__wrapped__", function)
    if getattr(inner, "__code__", code).co_qualname.startswith("__create_fn__.<locals>."):
        return True
    # attrs compiles its methods from a text under a name of this form
    if code.co_filename.startswith("<attrs generated"):
        return True
    name = known_as(str(space.get("__name__")))
    makers = ("dataclasses", "collections", "enum", "attr.", "pydantic.", "functools", "typing", "potstill.step")
    written = name.startswith("namedtuple_") or (name.startswith(makers) and not hasattr(function, "__wrapped__"))
    return (written and not function.__closure__) or (written and name.startswith("attr."))


def _fields(walk: Walk, cls: type, label: str) -> Encoded:
    """Return the fields of a dataclass and how it was made."""
    fields: dict[str, Any] = vars(cls).get("__dataclass_fields__", {})
    own = _own_annotations(cls)
    parameters = vars(cls).get("__dataclass_params__")
    settings = [getattr(parameters, name, None) for name in _PARAMETERS] if parameters is not None else []
    encoded: list[Encoded] = [settings]
    for name, field in fields.items():
        if name in own and not _is_unkeyed(cls, name):
            values = {key: getattr(field, key) for key in _FIELD if getattr(field, key) is not dataclasses.MISSING}
            values["metadata"] = dict(values["metadata"])
            encoded.append([name, str(field._field_type), walk.encode_named(values, label)])
    return encoded


def _own_annotations(cls: type) -> dict[str, Any]:
    """Return the annotations of the class itself, as they are written."""
    annotations = vars(cls).get("__annotations__")
    if annotations is None and sys.version_info >= (3, 14):
        # computed on access from Python 3.14 on
        annotations = getattr(cls, "__annotations__", None)
    return dict(annotations) if isinstance(annotations, dict) else {}


def _annotations(walk: Walk, cls: type, label: str) -> list[Encoded]:
    """Return the annotations of a class in their order, with the names in those that are texts followed."""
    module = sys.modules.get(cls.__module__)
    space = vars(module) if module is not None else {}
    annotations: list[Encoded] = []
    for name, value in _own_annotations(cls).items():
        if _is_unkeyed(cls, name):
            continue
        if isinstance(value, str):
            chains = sorted(set(names_in(value)))
            named = [lookup.follow_global(walk, space, chain, label) for chain in chains if chain[0] in space]
            annotations.append([name, value, named])
        else:
            annotations.append([name, walk.encode(value, label)])
    return annotations


def _enum_members(walk: Walk, cls: type[enum.Enum], label: str) -> list[Encoded]:
    """Return the members of an enumeration in their order, with their values and attributes."""
    members: list[Encoded] = []
    for name, member in cls.__members__.items():
        state = {key: value for key, value in vars(member).items() if key != "name" and key not in _MEMBER}
        members.append([name, member.name, walk.encode(member.value, label), walk.encode_named(state, label)])
    return members


def _pydantic(walk: Walk, cls: Any, label: str) -> Encoded:
    """Return what a pydantic model was made from: settings, fields, and what its decorated methods are for."""
    decorators = cls.__pydantic_decorators__
    kinds = sorted(name for name in vars(decorators)) if hasattr(decorators, "__dict__") else decorators.__slots__
    methods = [
        [kind, name, walk.encode(one.info, label)]
        for kind in kinds
        for name, one in (getattr(decorators, kind).items() if isinstance(getattr(decorators, kind), dict) else ())
    ]
    fields = [
        [name, walk.encode_named({key: getattr(field, key, None) for key in field.__slots__ if _is_given(key)}, label)]
        for name, field in cls.__pydantic_fields__.items()
    ]
    privates = walk.encode_named(dict(getattr(cls, "__private_attributes__", {})), label)
    return ["pydantic", walk.encode(dict(cls.model_config), label), fields, methods, privates, cls.__doc__ or ""]


def _is_given(slot: str) -> bool:
    """Return whether a slot of a pydantic field holds what the field was given."""
    return not slot.startswith("_")
