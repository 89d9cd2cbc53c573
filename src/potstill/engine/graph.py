"""The graph behind a set of outputs: its steps in topological order, their edges and their names."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from potstill.engine.step import Node, Output, Step
from potstill.errors import Problem, RequestError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Graph:
    """Steps in topological order, with their names."""

    steps: tuple[Step, ...]
    """Every step after all that it needs."""
    names: Mapping[int, str]
    """Name by `id(step)`."""
    outputs: Mapping[str, Node]
    """What the pipeline hands over, by name."""
    _parents: Mapping[int, tuple[Step, ...]]

    def name(self, node: Node) -> str:
        """Return the name of a step, or of the step behind an output."""
        return self.names[id(step_of(node))]

    def parents(self, step: Step) -> tuple[Step, ...]:
        """Return the steps that `step` needs, each once."""
        return self._parents[id(step)]

    def ancestors(self, targets: list[Step]) -> tuple[Step, ...]:
        """Return the `targets` and all that they need, in topological order."""
        wanted = {id(step) for step in targets}
        for step in reversed(self.steps):
            if id(step) in wanted:
                wanted.update(id(parent) for parent in self.parents(step))
        return tuple(step for step in self.steps if id(step) in wanted)


def step_of(node: Node) -> Step:
    """Return the step that makes a node's result."""
    return node.step if isinstance(node, Output) else node.expanded()


def edges(step: Step) -> Iterator[tuple[str, Node]]:
    """Yield (field name, node) for every step that a field of `step` holds, at any depth."""
    for name in _fields(step):
        value = getattr(step, name)
        # asked of every field of every step, many times a plan: most hold a number or a text
        if type(value) not in _LEAVES:
            yield from ((name, node) for node in nodes_in(value))


def _fields(step: Step) -> tuple[str, ...]:
    """Return the fields as the constructor takes them: those by position come first, also where a base has others."""
    cls: type = type(step)
    return _fields_in_order(cls)


@functools.lru_cache(maxsize=1024)
def _fields_in_order(cls: type) -> tuple[str, ...]:
    """Return the names of a dataclass's fields as its constructor takes them."""
    return tuple(field.name for field in sorted(dataclasses.fields(cls), key=lambda field: bool(field.kw_only)))


_LEAVES = (str, int, float, bool, type(None))
"""Types of most parameters, which hold no steps."""


def nodes_in(value: object) -> Iterator[Node]:
    """Yield the steps and outputs inside lists, tuples, dicts and dataclasses such as teachers."""
    if isinstance(value, (Step, Output)):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from nodes_in(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from nodes_in(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from nodes_in(getattr(value, field.name))


def replace_nodes(value: object, replacement: Callable[[Node, bool], Any], *, inside: bool = False) -> Any:
    """Return `value` with every step and output in it replaced; containers keep their type.

    `replacement` also gets whether the node sits `inside` a dataclass such as a teacher.
    """
    if isinstance(value, (Step, Output)):
        return replacement(value, inside)
    if not any(True for _ in nodes_in(value)):
        return value
    if isinstance(value, Mapping):
        return {key: replace_nodes(item, replacement, inside=inside) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return like(value, (replace_nodes(item, replacement, inside=inside) for item in value))
    holder = cast("DataclassInstance", value)  # what else `nodes_in` looks into
    changed = {
        field.name: replace_nodes(getattr(value, field.name), replacement, inside=True)
        for field in dataclasses.fields(holder)
        if any(True for _ in nodes_in(getattr(value, field.name)))
    }
    return dataclasses.replace(holder, **changed)


def like(value: list[Any] | tuple[Any, ...], items: Iterable[Any]) -> Any:
    """Return a list or tuple of the type of `value`, which may be a named one, with other `items`."""
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


def build(outputs: Mapping[str, Node], known_names: Mapping[int, str]) -> Graph:
    """Collect the steps behind `outputs`, order and name them.

    `known_names` gives names by `id(step)`, usually those of the variables that hold the steps.

    Raises:
        RequestError: the steps form a cycle, or two carry the same name.
    """
    ordered = _ordered([step_of(node) for node in outputs.values()])
    parents = {id(step): tuple({id(step_of(n)): step_of(n) for _, n in edges(step)}.values()) for step in ordered}
    return Graph(ordered, _named(ordered, known_names), dict(outputs), parents)


def _ordered(targets: list[Step]) -> tuple[Step, ...]:
    """Return the steps behind `targets` in topological order; a loop, so that long chains don't exhaust the stack."""
    done: dict[int, Step] = {}
    open_: dict[int, Step] = {}
    stack = [(step, False) for step in reversed(targets)]
    while stack:
        step, entered = stack.pop()
        if entered:
            done[id(step)] = open_.pop(id(step))
        elif id(step) in open_:
            path = " -> ".join(type(inner).__name__ for inner in [*open_.values(), step])
            raise RequestError(Problem(step.name or type(step).__name__, "", f"the steps form a cycle: {path}"))
        elif id(step) not in done:
            open_[id(step)] = step
            stack.append((step, True))
            waiting = [step_of(node) for _, node in edges(step)]
            stack.extend((parent, False) for parent in reversed(waiting) if id(parent) not in done)
    return tuple(done.values())


def _named(steps: tuple[Step, ...], known_names: Mapping[int, str]) -> dict[int, str]:
    """Return a unique name for every step: its own, its variable's, or its type with what it works on."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    own = Counter(step.name for step in steps if step.name)
    numbers: Counter[str] = Counter()
    wrong = [step for step in steps if step.name is not None and not isinstance(step.name, str)]
    if wrong:
        raise RequestError(*(Problem(type(s).__name__, "name", f"must be a text, got {s.name!r:.60}") for s in wrong))
    twice = sorted(name for name, times in own.items() if times > 1)
    if twice:
        raise RequestError(*(Problem(name, "name", "two steps carry this name: rename one") for name in twice))
    for step in steps:
        wish = step.name or known_names.get(id(step)) or _described(step, names)
        name = wish
        while name in taken or (name in own and name != step.name):
            numbers[wish] += 1
            name = f"{wish}#{numbers[wish] + 1}"
        taken.add(name)
        names[id(step)] = name
    return names


def _described(step: Step, names: Mapping[int, str]) -> str:
    """Return e.g. `Evaluate(hard)`: the type and the first thing that the step works on."""
    for name in _fields(step):
        value = getattr(step, name)
        if isinstance(value, (Step, Output)):
            return f"{type(step).__name__}({_short(names[id(step_of(value))])})"
        if hasattr(value, "label") and isinstance(value.label, str):
            return f"{type(step).__name__}({value.label})"
    return type(step).__name__


def _short(name: str) -> str:
    """Return the innermost part of a described name, so that names of long chains stay short."""
    return re.sub(r"^.*\((.*)\)(#\d+)?$", r"\1", name)
