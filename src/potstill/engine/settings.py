"""Changing parameters of a pipeline with `--set path=value`."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from potstill.engine.annotations import hints
from potstill.engine.graph import Graph, edges, like, step_of
from potstill.engine.pipeline import Pipeline
from potstill.engine.recipe import built
from potstill.engine.step import Output, Step
from potstill.engine.typed_json import Annotation, MisfitError, dataclass_in
from potstill.engine.value_text import value_of
from potstill.errors import Problem, RequestError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def changed(pipeline: Pipeline, settings: list[str]) -> Pipeline:
    """Return the pipeline with `path=value` settings applied: `teacher.model=...`, `tasks.target=100`.

    The first part of a path is a variable of the pipeline file or the name of a step; a value is JSON, or a text.

    Raises:
        RequestError: paths that don't exist, each with the nearest one that does, and values of another type.
    """
    replacements: dict[int, Any] = {}
    roots = _roots(pipeline)
    wrong: list[Problem | str] = []
    for setting in settings:
        path, equals, text = setting.partition("=")
        parts = path.split(".")
        if not equals:
            wrong.append(f"--set takes path=value, got {setting!r}")
        elif parts[0] not in roots or len(parts) < 2:
            wrong.append(_unknown(path, _paths(roots)))
        else:
            root = roots[parts[0]]
            current = replacements.get(id(root), root)
            try:
                replacements[id(root)] = _with(current, parts[1:], text)
            except KeyError:
                wrong.append(_unknown(path, _paths(roots)))
            except MisfitError as error:
                wrong.append(Problem(parts[0], ".".join(parts[1:]), str(error)))
    if wrong:
        raise RequestError(*wrong)
    return _rebuilt(pipeline, replacements)


def _roots(pipeline: Pipeline) -> dict[str, Any]:
    """Return what a path may start with: dataclass variables of the file (steps, teachers) and the graph's steps."""
    graph = pipeline.graph()
    written = _written(graph)
    named = {graph.name(step): written.get(id(step), step) for step in graph.steps}
    variables: dict[str, Any] = {
        name: built(value) if isinstance(value, Step) else value
        for name, value in pipeline.variables.items()
        if dataclasses.is_dataclass(value)
        and not isinstance(value, (type, Output, Sequence))
        and not name.startswith("_")
    }
    return {**named, **variables}


def _written(graph: Graph) -> dict[int, Step]:
    """Return by the id of a graph's step the one that stands for it in the file, which may expand to it.

    A recipe is left out: what it stands for has its parameters.
    """
    nodes = [*graph.outputs.values(), *(node for step in graph.steps for _, node in edges(step))]
    return {id(step_of(node)): node for node in nodes if isinstance(node, Step) and built(node) is node}


def _paths(roots: Mapping[str, Any]) -> list[str]:
    """Return all paths of one step deep."""
    return [f"{name}.{field.name}" for name, root in roots.items() for field in dataclasses.fields(root)]


def _unknown(path: str, paths: list[str]) -> str:
    """Return the message for a path that does not exist."""
    near = difflib.get_close_matches(path, paths, n=1, cutoff=0.0)
    return f"--set {path}: there is no such parameter" + (f"; the nearest is {near[0]}" if near else "")


def _with(value: object, parts: list[str], text: str) -> Any:
    """Return a dataclass with the field at `parts` set to the value that `text` gives.

    Raises:
        KeyError: there is no such field.
        MisfitError: the text is no value for it.
    """
    head, *rest = parts
    value = built(value) if isinstance(value, Step) else value
    head = getattr(type(value), "spelled", {}).get(head, head)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise KeyError(head)
    if head not in {field.name for field in dataclasses.fields(value)}:
        raise KeyError(head)
    old, annotation = getattr(value, head), _annotation(type(value), head)
    if not rest:
        return _remade(value, {head: value_of(text, annotation, old)})
    return _remade(value, {head: _with(_defaults(annotation) if old is None else old, rest, text)})


def _annotation(cls: type, name: str) -> Any:
    """Return the annotation of a field; one that can't be resolved allows anything here."""
    return hints(cls).get(name, Any)


def _defaults(annotation: Annotation) -> Any:
    """Return the settings that an annotation allows where there are none yet, all as they are by default."""
    kind = dataclass_in(annotation)
    try:
        return kind() if kind else None
    except TypeError as error:
        raise MisfitError(f"is None: give its fields together, as a JSON object ({error})") from error


def _remade(value: DataclassInstance, changes: Mapping[str, Any]) -> Any:
    """Return a dataclass of the same class with some fields changed, prepared again from all of them."""
    twin = object.__new__(type(value))
    for field in dataclasses.fields(value):
        object.__setattr__(twin, field.name, changes.get(field.name, getattr(value, field.name)))
    if hasattr(twin, "__post_init__"):
        twin.__post_init__()
    return twin


def _rebuilt(pipeline: Pipeline, replacements: dict[int, Any]) -> Pipeline:
    """Return the pipeline with objects replaced, and with every step downstream of them built again."""
    graph = pipeline.graph()
    done: dict[int, Step] = {}

    def rebuilt(step: Step) -> Step:
        """Return what stands for `step` now: for the graph's steps, those that expand to them, and what these hold."""
        if id(step) not in done:
            base = replacements.get(id(step), step)
            changes = {field.name: swap(getattr(base, field.name)) for field in dataclasses.fields(base)}
            done[id(step)] = _remade(base, changes | {"name": base.name or graph.names.get(id(step_of(step)))})
        return done[id(step)]

    def swap(value: object) -> Any:
        """Return what stands for `value` now; steps are swapped in topological order, so this never goes deep."""
        if isinstance(value, Output):
            return Output(rebuilt(value.step), value.name)
        if isinstance(value, Step):
            return rebuilt(built(value))
        if isinstance(value, Mapping):
            return {key: swap(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return like(value, (swap(item) for item in value))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            held = replacements.get(id(value), value)
            fields = {field.name: getattr(held, field.name) for field in dataclasses.fields(held)}
            new = {name: swap(item) for name, item in fields.items()}
            same = all(new[name] is fields[name] or new[name] == fields[name] for name in fields)
            return held if same else dataclasses.replace(held, **new)
        return value

    for step in graph.steps:
        rebuilt(step)
    changed = Pipeline(pipeline.name, {name: swap(node) for name, node in pipeline.outputs.items()})
    changed.variables, changed.file = pipeline.variables, pipeline.file
    return changed
