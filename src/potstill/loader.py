"""Finding the pipeline in a user's file, and changing it with `--set path=value`."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import json
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potstill.errors import PotstillError, RequestError
from potstill.graph import Graph, edges, step_of
from potstill.pipeline import Pipeline
from potstill.step import Output, Step


def load(target: str) -> Pipeline:
    """Return the pipeline of `FILE.py` or `FILE.py:NAME`.

    Raises:
        RequestError: there is no such file, it raises, or it does not hold exactly one pipeline (of that name).
    """
    file, _, wanted = target.partition(".py:")
    path = Path(file + ".py" if wanted else target)
    if not path.is_file():
        raise RequestError(f"no pipeline file {path}")
    variables = _imported(path)
    pipelines = {name: value for name, value in variables.items() if isinstance(value, Pipeline)}
    if wanted:
        if wanted not in pipelines:
            raise RequestError(f"{path} has no pipeline {wanted!r}; it has {', '.join(pipelines) or 'none'}")
        return pipelines[wanted]
    if not pipelines:
        example = '`pipeline = Pipeline("name", outputs={...})`'
        raise RequestError(f"{path} has no pipeline: it needs a line like {example}")
    if len(set(map(id, pipelines.values()))) > 1:
        raise RequestError(f"{path} has several pipelines: say which, as in {path}:{next(iter(pipelines))}; it has "
                           + ", ".join(pipelines))  # fmt: skip
    return next(iter(pipelines.values()))


def _imported(path: Path) -> dict[str, Any]:
    """Run the file as a module and return its variables."""
    name = f"potstill_pipeline_{path.stem}"
    sys.path.insert(0, str(path.parent.absolute()))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RequestError(f"{path} can't be read as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # compiled from what is in the file now: a bytecode cache goes by whole seconds and may hold an earlier text
        sys.dont_write_bytecode = True
        exec(compile(path.read_bytes(), str(path.absolute()), "exec"), vars(module))  # noqa: S102 - the user's own file
    except PotstillError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == spec.origin]
        line = f" (line {lines[-1]})" if lines else ""
        raise RequestError(f"{path} raises {type(error).__name__}: {error}{line}") from error
    _travel_by_value(module)
    return vars(module)


def _travel_by_value(module: Any) -> None:
    """Let the module's classes go to child processes by value: they can't import it by its name."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def changed(pipeline: Pipeline, settings: list[str]) -> Pipeline:
    """Return the pipeline with `path=value` settings applied: `teacher.model=...`, `tasks.target=100`.

    The first part of a path is a variable of the pipeline file or the name of a step; a value is JSON, or a text.

    Raises:
        RequestError: paths that don't exist, each with the nearest one that does.
    """
    replacements: dict[int, Any] = {}
    roots = _roots(pipeline)
    wrong = []
    for setting in settings:
        path, equals, text = setting.partition("=")
        parts = path.split(".")
        if not equals:
            wrong.append(f"--set takes path=value, got {setting!r}")
        elif parts[0] not in roots or len(parts) < 2:
            wrong.append(_unknown(path, parts[0], _paths(roots)))
        else:
            root = roots[parts[0]]
            current = replacements.get(id(root), root)
            try:
                replacements[id(root)] = _with(current, parts[1:], text)
            except KeyError:
                wrong.append(_unknown(path, path, _paths(roots)))
    if wrong:
        raise RequestError(*wrong)
    return _rebuilt(pipeline, replacements)


def _roots(pipeline: Pipeline) -> dict[str, Any]:
    """Return what a path may start with: dataclass variables of the file (steps, teachers) and the graph's steps."""
    graph = pipeline.graph()
    written = _written(graph)
    named = {graph.name(step): written.get(id(step), step) for step in graph.steps}
    variables = {
        name: value
        for name, value in pipeline.variables.items()
        if dataclasses.is_dataclass(value) and not isinstance(value, (type, Output)) and not name.startswith("_")
    }
    return {**named, **variables}


def _written(graph: Graph) -> dict[int, Step]:
    """Return by the id of a graph's step the one that stands for it in the file, which may expand to it."""
    nodes = [*graph.outputs.values(), *(node for step in graph.steps for _, node in edges(step))]
    return {id(step_of(node)): node for node in nodes if isinstance(node, Step)}


def _paths(roots: Mapping[str, Any]) -> list[str]:
    """Return all paths of one step deep."""
    return [f"{name}.{field.name}" for name, root in roots.items() for field in dataclasses.fields(root)]


def _unknown(path: str, wanted: str, known: list[str]) -> str:
    """Return the message for a path that does not exist."""
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.0)
    del wanted
    return f"--set {path}: there is no such parameter" + (f"; the nearest is {near[0]}" if near else "")


def _with(value: Any, parts: list[str], text: str) -> Any:
    """Return a dataclass with the field at `parts` set to what `text` says.

    Raises:
        KeyError: there is no such field.
    """
    head, *rest = parts
    head = getattr(type(value), "spelled", {}).get(head, head)
    if not dataclasses.is_dataclass(value) or head not in {field.name for field in dataclasses.fields(value)}:
        raise KeyError(head)
    old = getattr(value, head)
    return _remade(value, {head: _with(old, rest, text) if rest else _value(text, old)})


def _value(text: str, old: Any) -> Any:
    """Return a value given on the command line: JSON if it is, of the kind that the `old` one has where it fits."""
    try:
        new = json.loads(text)
    except ValueError:
        return text
    if isinstance(old, str) and not isinstance(new, (str, type(None))):
        return text
    if isinstance(old, tuple) and isinstance(new, list):
        return tuple(new)
    if isinstance(old, float) and type(new) is int:
        return float(new)
    return new


def _remade(value: Any, changes: Mapping[str, Any]) -> Any:
    """Return a dataclass of the same class with some fields changed, prepared anew from all of them."""
    twin = object.__new__(type(value))
    for field in dataclasses.fields(value):
        object.__setattr__(twin, field.name, changes.get(field.name, getattr(value, field.name)))
    if hasattr(twin, "__post_init__"):
        twin.__post_init__()
    return twin


def _rebuilt(pipeline: Pipeline, replacements: dict[int, Any]) -> Pipeline:
    """Return the pipeline with objects replaced, and with every step downstream of them made anew."""
    graph = pipeline.graph()
    done: dict[int, Step] = {}

    def rebuilt(step: Step) -> Step:
        """Return what stands for `step` now: for the graph's steps, those that expand to them, and what these hold."""
        if id(step) not in done:
            base = replacements.get(id(step), step)
            changes = {field.name: swap(getattr(base, field.name)) for field in dataclasses.fields(base)}
            done[id(step)] = _remade(base, changes | {"name": base.name or graph.names.get(id(step_of(step)))})
        return done[id(step)]

    def swap(value: Any) -> Any:
        """Return what stands for `value` now; steps are swapped in topological order, so this never goes deep."""
        if isinstance(value, Output):
            return Output(rebuilt(value.step), value.name)
        if isinstance(value, Step):
            return rebuilt(value)
        if isinstance(value, Mapping):
            return {key: swap(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(swap(item) for item in value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = replacements.get(id(value), value)
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            new = {name: swap(item) for name, item in fields.items()}
            same = all(new[name] is fields[name] or new[name] == fields[name] for name in fields)
            return value if same else dataclasses.replace(value, **new)
        return value

    for step in graph.steps:
        rebuilt(step)
    made = Pipeline(pipeline.name, {name: swap(node) for name, node in pipeline.outputs.items()})
    made.variables = pipeline.variables
    return made
