"""Everything that can be known to be wrong before anything runs, all problems together."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.engine.annotations import as_annotated, hints, marks, unresolved
from potstill.engine.arguments import lists_as_tuples
from potstill.engine.code import class_code
from potstill.engine.graph import Graph, edges, nodes_in, step_of
from potstill.engine.keys.identity import encoded
from potstill.engine.running.spec import edge_fields
from potstill.engine.signatures import parameters
from potstill.engine.step import Edge, Node, Output, Step
from potstill.engine.type_checks import allows_none, range_problem, type_problem
from potstill.engine.typed_json import Annotation
from potstill.errors import Problem, RequestError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def problems(graph: Graph) -> list[Problem]:
    """Return what is wrong with a graph: types, ranges, edges, columns, files, and what the steps check themselves."""
    all_problems: list[Problem] = []
    columns: dict[int, frozenset[str] | None] = {}
    seen: dict[type, tuple[Problem, ...]] = {}
    for step in graph.steps:
        name = graph.name(step)
        _turn_into_what_is_meant(step, _tuples_for_lists)
        # each later check relies on the earlier ones: a value of the wrong type would make a step's own check fail
        # oddly
        wrong = [*_unresolved(step)] or [*_signature(step), *_parameters(step), *_edge_kinds(step)]
        sound = not wrong
        if sound:
            _turn_into_what_is_meant(step, as_annotated)
            # the walk over a class's code takes longer than all other checks, and most graphs repeat classes
            if type(step) not in seen:
                seen[type(step)] = tuple(_code(type(step)))
            wrong += [*seen[type(step)], *_content(step), *_own_checks(step)]
        right = not wrong
        inputs = _input_columns(step, columns)
        # unknown, so that steps behind a wrong one are not blamed for columns that it would have made
        columns[id(step)] = None
        wrong += _missing_columns(step, inputs, graph, sound)
        if right:
            try:
                columns[id(step)] = step.columns(inputs)
            except RequestError as error:
                wrong += error.problems
        all_problems += [Problem(name, problem.field, problem.message) for problem in wrong]
    return all_problems


def _turn_into_what_is_meant(owner: DataclassInstance, turned: Callable[[Any, Any], Any]) -> None:
    """Give the fields of a step, and of the settings in it, what `turned` makes of them by their annotations."""
    cls: type = type(owner)
    for field in dataclasses.fields(owner):
        value = getattr(owner, field.name)
        meant = turned(value, hints(cls).get(field.name))
        if meant is not value:
            # a step is frozen as others share it; what changes here is the spelling of a value, before any key is
            # made
            object.__setattr__(owner, field.name, meant)
        for setting, _ in _settings(meant):
            _turn_into_what_is_meant(setting, turned)


def _tuples_for_lists(value: object, annotation: Annotation) -> Any:
    """Return a tuple where people write a list; both mean the same."""
    return lists_as_tuples(value, annotation) if isinstance(value, list) else value


def _unresolved(step: Step) -> Iterator[Problem]:
    """Check that the annotations of all fields can be resolved: marks such as `File` and `Rows` are in them."""
    cls: type = type(step)
    wrong = unresolved(cls)
    yield from (Problem("", field.name, wrong[field.name]) for field in dataclasses.fields(step) if field.name in wrong)


def _code(cls: type) -> Sequence[Problem]:
    """Check that a key can cover all that the code of a step depends on."""
    try:
        class_code(cls)
    except RequestError as error:
        return error.problems
    return ()


def _signature(step: Step) -> Iterator[Problem]:
    """Check that `run` exists and takes the edges."""
    run = getattr(type(step), "run", None)
    if run is None:
        yield Problem("", "", f"{type(step).__name__} has no run method; a step defines run(self, <its edge fields>)")
        return
    accepted = parameters(run)
    # `run(self, **inputs)` takes all edges
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in accepted.values()):
        return
    for name in edge_fields(step):
        if name == "context":
            yield Problem("", name, "holds a step, but Potstill hands its own `context` to `run`: use another name")
        if name not in accepted:
            yield Problem("", name, f"holds a step, so {type(step).__name__}.run must take an argument {name!r}")
    for name, parameter in accepted.items():
        needed = parameter.default is inspect.Parameter.empty and name not in ("self", "context")
        if needed and name not in edge_fields(step):
            yield Problem("", name, f"{type(step).__name__}.run asks for {name!r}, which is no edge field of the step")


def _parameters(owner: DataclassInstance, path: str = "") -> Iterator[Problem]:
    """Check the parameters of a step, and of the teachers and settings in it, against their annotations.

    `path` leads to `owner`, as in `teacher.`; the fields of a teacher that holds a step are checked too.
    """
    cls: type = type(owner)
    annotations = hints(cls)
    for field in dataclasses.fields(owner):
        value, place = getattr(owner, field.name), path + field.name
        if field.name in annotations and not any(True for _ in nodes_in(value)):
            kinds = {mark.kind for mark in marks(cls, field.name) if isinstance(mark, Edge)}
            message = _field_problem(value, annotations[field.name], kinds)
            if message:
                yield Problem("", place, message)
        for inner, key in _settings(value):
            yield from _parameters(inner, f"{place}{key}.")


def _settings(value: object) -> Iterator[tuple[Any, str]]:
    """Yield the dataclasses that are no steps in a field's value, each with its place there, as in `[0]`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Step, Output)):
        yield value, ""
        return
    listed = enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, item in value.items() if isinstance(value, Mapping) else listed:
        if dataclasses.is_dataclass(item):
            yield from ((inner, f"[{key}]") for inner, _ in _settings(item))


def _field_problem(value: object, annotation: Annotation, kinds: set[str]) -> str:
    """Return what is wrong with the value of one field that holds no step, or nothing."""
    if kinds and "model" not in kinds:
        if value is not None and not (isinstance(value, (list, tuple, Mapping)) and _holds_several(annotation)):
            return f"needs a step that makes {_kinds(kinds)}, got {_described(value)}{_loaded(value, kinds)}"
        return "" if value or allows_none(annotation) else "holds no step"
    if kinds and not (value is None or _may_be_model(value)):
        return f"needs a model: a step that makes one, a folder, a Hub id or a teacher; got {value!r:.60}"
    return type_problem(value, annotation) or range_problem(value, annotation)


def _holds_several(annotation: Annotation) -> bool:
    """Return whether an edge may hold a list, tuple or dict of steps, so that an empty one is a matter of its own."""
    parts = [annotation, *typing.get_args(annotation)]
    return any(typing.get_origin(part) in (list, tuple, dict, Mapping) for part in parts)


def _described(value: object) -> str:
    """Return what a value is, without all that it holds."""
    name = type(value).__name__
    if isinstance(value, (list, tuple)):
        return f"a {name} of {len(value)}" + (f" ({type(value[0]).__name__})" if value else "")
    return f"a {name}" if hasattr(value, "columns") or hasattr(value, "column_names") else f"{value!r:.60}"


def _loaded(value: object, kinds: set[str]) -> str:
    """Return how rows that the user holds become a step, as the end of a message; nothing for other values."""
    holds_rows = isinstance(value, (list, tuple)) or hasattr(value, "columns") or hasattr(value, "column_names")
    if "rows" not in kinds:
        return ""
    if isinstance(value, (str, Path)):
        return f": a file is loaded by a step, as LoadJSON({str(value)!r:.60})"
    return ": wrap it, LoadRows(...)" if holds_rows else ""


def _may_be_model(value: object) -> bool:
    """Return whether a value that is no step can stand for a model, or hold some."""
    return isinstance(value, (str, Path, list, tuple, Mapping)) or hasattr(value, "identity")


def _edge_kinds(step: Step) -> Iterator[Problem]:
    """Check that each edge holds a step that makes the right kind of thing, and that outputs exist."""
    for name, node in edges(step):
        maker = step_of(node)
        wanted = {mark.kind for mark in marks(type(step), name) if isinstance(mark, Edge)} - {"anything"}
        # a dataclass that is no step (a teacher, a setting) can only hold models, whatever the field that it stands in
        inside_teacher = not isinstance(getattr(step, name), (Step, Output, list, tuple, Mapping))
        wanted = {"model"} if inside_teacher else wanted
        if maker.makes != "anything" and wanted and maker.makes not in wanted:
            yield Problem("", name, f"needs {_kinds(wanted)}, but {type(maker).__name__} makes {maker.makes}")
        if type(maker).outputs and not isinstance(node, Output):
            example = " or ".join(f".{output}" for output in type(maker).outputs)
            yield Problem("", name, f"{type(maker).__name__} has several outputs: say {example}")


def _content(step: Step) -> Iterator[Problem]:
    """Check what parameters point to (files, templates, models and teachers), and that a key can cover them."""
    for field in dataclasses.fields(step):
        value = getattr(step, field.name)
        if value is None or field.name in step.unkeyed or any(True for _ in nodes_in(value)):
            continue
        try:
            encoded(type(step), field.name, value)
        except RequestError as error:
            yield from (Problem("", field.name, problem.message) for problem in error.problems)


def _own_checks(step: Step) -> Iterator[Problem]:
    """Run the step's own check."""
    try:
        yield from step.check()
    except RequestError as error:
        yield from error.problems


def _input_columns(step: Step, outputs: Mapping[int, frozenset[str] | None]) -> dict[str, frozenset[str] | None]:
    """Return the columns behind each edge field; of several those that all have, and each one's as `field[key]`."""
    columns = {name: outputs.get(id(step_of(node))) for name, node in _held(step)}
    for name, node in edges(step):
        here = outputs.get(id(step_of(node)))
        if name in columns and columns[name] is not None and here is not None:
            here = columns[name] & here  # type: ignore[operator]
        columns[name] = here
    return columns


def _held(step: Step) -> Iterator[tuple[str, Node]]:
    """Yield (`field[key]`, node) for the steps in fields that hold several."""
    for field in dataclasses.fields(step):
        value = getattr(step, field.name)
        listed = enumerate(value) if isinstance(value, (list, tuple)) else ()
        for key, item in value.items() if isinstance(value, Mapping) else listed:
            if isinstance(item, (Step, Output)):
                yield f"{field.name}[{key}]", item


def _missing_columns(
    step: Step, inputs: Mapping[str, frozenset[str] | None], graph: Graph, sound: bool
) -> Iterator[Problem]:
    """Check that the rows behind each edge have the columns that the step needs."""
    try:
        needs = {name: set(columns) for name, columns in step.needs().items()}
    except RequestError:
        return  # what can't be read was reported by the checks of the content
    except Exception:
        if sound:
            raise
        return  # a parameter of a wrong type, which was reported
    for name, needed in needs.items():
        available = inputs.get(name)
        missing = sorted(needed - available) if available is not None else []
        if missing:
            sources = ", ".join(sorted({graph.name(node) for field, node in edges(step) if field == name}))
            assert available is not None
            has = ", ".join(sorted(available))
            text = f"needs column {', '.join(missing)}, which {sources} does not make (it has {has})"
            yield Problem("", name, text + (_nearest(missing, available) or _named_by(step, missing, available)))


def _named_by(step: Step, missing: list[str], available: frozenset[str]) -> str:
    """Return which parameter names the column that is missing, or could name another in its place."""
    fields = {field.name: getattr(step, field.name) for field in dataclasses.fields(step)}
    for column in missing:
        by = next((name for name, value in fields.items() if isinstance(value, str) and value == column), "")
        if by and by != "name":
            return f"; name another column with {by}="
    if "text" in fields and fields["text"] is None and "output" in missing and available:
        return f"; or say text={('text' if 'text' in available else min(available))!r}"
    return ""


def _nearest(missing: list[str], available: frozenset[str]) -> str:
    """Return which known columns the missing ones may have been meant to be."""
    near = [match for name in missing for match in difflib.get_close_matches(name, sorted(available), n=1)]
    return f": did you mean {', '.join(near)}?" if near else ""


def _kinds(kinds: set[str]) -> str:
    """Return kinds in words."""
    return " or ".join("a model" if kind == "model" else kind for kind in sorted(kinds))
