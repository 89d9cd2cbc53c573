"""What a step's key covers: type, version, code, parameters, and the content of its inputs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from potstill.engine import code, encoding
from potstill.engine.annotations import as_annotated, hints, marks, unresolved
from potstill.engine.graph import like, nodes_in, replace_nodes
from potstill.engine.step import Edge, Node, Output, Step
from potstill.engine.store.artifacts import Artifact
from potstill.errors import BadInput, Problem, RequestError

SCHEMA = 1
"""Version of the key scheme; raising it makes every old artifact a miss."""


Encoded = list[Any]
"""What `encoding.encode` makes of a value: nested JSON lists whose first element names the type."""
Codes = dict[type, dict[str, str]]
"""Code digests by class, remembered for one run or plan."""


def step_identity(
    step: Step,
    artifact: Callable[[Node], Artifact],
    codes: Codes,
    lineage: object = None,
    fixed: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return all that the key of `step` covers, encoded, by part; `artifact` finds what stands behind an edge.

    Fields in `fixed` count as they are there.

    Raises:
        RequestError: parameters that can't be read or have no canonical form; all of them together.
    """
    cls = type(step)
    problems: list[Problem] = []
    # walking a user's module takes far longer than the rest of the identity, and graphs repeat classes
    if cls not in codes:
        try:
            codes[cls] = code.class_code(cls)
        except RequestError as error:
            problems += error.problems
    parts: dict[str, Any] = {
        "schema": SCHEMA,
        "type": cls.__qualname__,
        "version": cls.version,
        "code": codes.get(cls, {}),
        "params": {},
        "inputs": {},
    }
    # left out, not None, where no step asks for it: a part that is always there would have changed every old key
    if lineage is not None:
        parts["lineage"] = encoding.encode(lineage)

    corrected: dict[str, Any] = {}
    set_fields = {name for name, value in encoding.keyed_fields(step) if value is not None}

    def content(node: Node, inside: bool) -> Any:
        """Stand in for an input; a teacher asks for the folder itself, and digests what is in it."""
        source = artifact(node)
        output = node.name if isinstance(node, Output) else ""
        return source.path if inside else encoding.ByContent(source.digest(output))

    beside = encoding.beside_fields(step).items()
    for name, own in [*encoding.keyed_fields(step), *beside]:
        # what a step is called in a run changes nothing that it makes
        if name == "name":
            continue
        # the text that was read once: read again here, an edit in between would give a key of what did not run
        value = (fixed or {}).get(name, own)
        # a list that holds a step and plain values is an input as a whole: its parts can't be told apart by place
        part = "inputs" if any(True for _ in nodes_in(value)) else "params"
        try:
            parts[part][name] = encoded(cls, name, replace_nodes(value, content))
            corrected |= _corrected(cls, name, value, set_fields, artifact)
        except RequestError as error:
            problems += [Problem("", name, problem.message) for problem in error.problems]
    if problems:
        raise RequestError(*problems)
    # nothing for most models, whose keys are then those from before
    return {**parts, "corrected": corrected} if corrected else parts


def _corrected(
    cls: type, name: str, value: object, set_fields: Collection[str], artifact: Callable[[Node], Artifact]
) -> dict[str, str]:
    """Return what earlier versions got wrong of the inputs of a field: a step's or a named one, alone or in a list.

    One inside of a teacher is the teacher's matter, whose identity says so.
    """
    asked = [mark.corrected for mark in marks(cls, name) if isinstance(mark, Edge) and mark.corrected is not None]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
    wrong: dict[str, str] = {}
    for one in values if asked else ():
        if isinstance(one, (Step, Output)):
            wrong |= asked[0](artifact(one).path, set_fields)
        elif isinstance(one, (str, Path)):
            wrong |= asked[0](one, set_fields)
    return wrong


def fixed_fields(step: Step) -> dict[str, Any]:
    """Return the fields whose marks read something from outside the process, such as a template, with what they read.

    The key is made from these values, and the step runs with them: an edit that comes in between changes neither.

    Raises:
        RequestError: something can't be read.
    """
    cls: type = type(step)
    return {name: _fixed(cls, name, getattr(step, name)) for name in _fields_to_fix(cls)}


@functools.lru_cache(maxsize=512)
def _fields_to_fix(cls: type) -> tuple[str, ...]:
    """Return the fields of a class that have a mark which fixes values."""
    fields = dataclasses.fields(cls)
    return tuple(field.name for field in fields if any(hasattr(mark, "fixed") for mark in marks(cls, field.name)))


def _fixed(cls: type, name: str, value: object) -> Any:
    """Return a value, or each in a list, tuple or dict, as its mark fixes it."""
    if isinstance(value, (list, tuple)):
        return like(value, (_fixed(cls, name, item) for item in value))
    if isinstance(value, dict):
        return {key: _fixed(cls, name, item) for key, item in value.items()}
    for mark in marks(cls, name):
        if hasattr(mark, "fixed") and isinstance(value, str):
            return mark.fixed(value)
    return value


def key_of(identity: dict[str, Any]) -> str:
    """Return the key of a step with this identity."""
    return encoding.digest_encoded(identity)


def encoded(cls: type, name: str, value: object) -> Any:
    """Encode one field; annotations may say that a text stands for a file, a template or a model.

    Raises:
        BadInput: its annotation can't be resolved, or the value can't be part of a key.
    """
    if name in unresolved(cls):
        raise BadInput(unresolved(cls)[name])
    # the order of a dict is the order in which a step goes through it, so it counts unless the step says otherwise
    ordered = name not in getattr(cls, "unordered", ())
    if (type(value) is list or type(value) is tuple) and marks(cls, name):
        return [type(value).__name__, *(encoded(cls, name, item) for item in value)]
    if type(value) is dict and marks(cls, name):
        pairs = [[encoding.encode(key), encoded(cls, name, item)] for key, item in value.items()]
        # sorted by `repr`, as before orders counted: dicts that were sorted already keep the keys of then
        in_order = [[encoding.encode(key), encoded(cls, name, value[key])] for key in sorted(value, key=repr)]
        return ["dict", *in_order] if pairs == in_order or not ordered else ["ordered dict", *pairs]
    for mark in marks(cls, name):
        if isinstance(mark, Edge) and mark.named is not None and isinstance(value, (str, Path)):
            return encoding.encode(mark.named(value))
        if not isinstance(mark, Edge) and hasattr(mark, "identity") and value is not None:
            return encoding.encode(mark.identity(value))
    # 1 for a `float` field is 1.0: the step computes the same, so it must have the same key
    return encoding.encode(as_annotated(value, hints(cls).get(name)), ordered=ordered, field=encoded)


def explain(old: dict[str, Any] | None, new: dict[str, Any]) -> list[str]:
    """Return in words what changed from the identity `old` to `new`, part by part; nothing if they are equal."""
    if old is None:
        return ["first run"]
    reasons = []
    for part, word in (("schema", "key scheme"), ("type", "type"), ("version", "version")):
        if old.get(part) != new[part]:
            reasons.append(f"{word} changed from {old.get(part)} to {new[part]}")
    reasons += code_changes(old.get("code", {}), new["code"])
    for name in sorted(old.get("params", {}).keys() | new["params"].keys()):
        before, after = old.get("params", {}).get(name), new["params"].get(name)
        if before != after:
            reasons.append(_parameter_change(name, before, after))
    reasons += _changes(old.get("inputs", {}), new["inputs"], "input {name} changed")
    if old.get("lineage") != new.get("lineage"):
        reasons.append("lineage changed")
    reasons += _changes(old.get("corrected", {}), new.get("corrected", {}), "{name} was computed wrongly before")
    return reasons


def code_changes(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return in words what changed in the code that a step depends on."""
    if old.get("scheme") != new.get("scheme") and old:
        return ["Potstill digests code in another way now"]
    if old.get("Python") != new.get("Python"):
        return [
            f"Python changed from {old.get('Python', 'any')} to {new.get('Python', 'any')}; some code has no source"
        ]
    return [
        f"{name} changed" if name.startswith(("value of ", "file ", "statements of ")) else f"code changed: {name}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _changes(old: dict[str, Any], new: dict[str, Any], phrase: str) -> list[str]:
    """Return `phrase` for each name whose value differs."""
    return [phrase.format(name=name) for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]


def _parameter_change(name: str, before: Encoded | None, after: Encoded | None) -> str:
    """Return e.g. `parameter target changed from 100 to 200`, or which part of a nested one changed."""
    if before is None or after is None:
        return f"parameter {name} is new" if before is None else f"parameter {name} is gone"
    for path, old, new in _differences(name, before, after):
        if path.endswith("template"):
            return f"prompt template of {name} changed"
        if path.endswith("content"):
            return f"content of {path.removesuffix('.content')} changed"
        if old == new:
            return f"code of parameter {path} changed" if "<" in old else f"parameter {path} changed"
        return f"parameter {path} changed from {old} to {new}"
    return f"parameter {name} changed"


def _differences(path: str, before: Encoded, after: Encoded) -> list[tuple[str, str, str]]:
    """Return (path, old, new) of the innermost differences of two encoded values."""
    old, new = _items(before), _items(after)
    # the same items in another order, which is the only thing that differs
    if old is not None and old == new:
        return [(path, f"the order {', '.join(old)}", f"the order {', '.join(new)}")]
    if old is None or new is None or before[0].removeprefix("ordered ") != after[0].removeprefix("ordered "):
        return [(path, show(before), show(after))]
    differences: list[tuple[str, str, str]] = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            missing = ["none"]
            differences += _differences(f"{path}.{name}", old.get(name, missing), new.get(name, missing))
    return differences


def _items(encoded: Encoded) -> dict[str, Any] | None:
    """Return the named parts of an encoded dict, dataclass or identity; None of anything else."""
    if encoded[0] in ("dict", "ordered dict"):
        return {show(key): item for key, item in encoded[1:]}
    if encoded[0] == "identity":
        return _items(encoded[2])
    if encoded[0] == "dataclass":
        return dict(encoded[2])
    return None


def show(encoded: Encoded) -> str:
    """Return an encoded value as a person would write it."""
    tag, *rest = encoded
    if tag in ("str", "path", "name"):
        return str(rest[0]) if len(str(rest[0])) <= 60 else f"{rest[0][:57]}..."
    if tag == "float":
        return f"{float.fromhex(rest[0]):g}"
    if tag in ("int", "bool", "enum"):
        return str(rest[-1])
    if tag == "none":
        return "None"
    if tag in ("list", "tuple", "set"):
        text = ", ".join(show(item) for item in rest)
        return f"[{text}]" if len(text) <= 60 else f"[{text[:57]}...]"
    items = _items(encoded)
    if items is not None:
        text = ", ".join(f"{name}={show(item)}" for name, item in items.items())
        return text if len(text) <= 80 else f"{text[:77]}..."
    return f"<{tag}>"
