"""Fields that hold steps are edges, at any depth; steps come in order and with names."""

from __future__ import annotations

from dataclasses import KW_ONLY, FrozenInstanceError, dataclass
from typing import Any, NamedTuple

import pytest

from potstill.engine.graph import Graph, build, edges, replace_nodes
from potstill.engine.pipeline import Pipeline
from potstill.engine.step import Rows, Step
from potstill.errors import RequestError


@dataclass(frozen=True)
class Teacher:
    model: Any
    label: str = "teacher"


class Source(Step):
    size: int = 1

    def run(self) -> Any:
        return []


class Several(Step):
    outputs = ("train", "test")
    makes = "rows"

    def run(self) -> Any:
        return {}


class Use(Step):
    rows: Any
    more: Any = None

    def run(self, rows: Any, more: Any) -> Any:
        return []


def graph_of(**steps: Step) -> Graph:
    return build(steps, {id(step): name for name, step in steps.items()})


def test_steps_in_lists_tuples_dicts_and_teachers_are_edges() -> None:
    a, b, c, d = Source(), Source(), Source(), Source()
    step = Use([a, (b,)], {"x": Teacher(c), "y": [d]})
    assert [(name, node) for name, node in edges(step)] == [("rows", a), ("rows", b), ("more", c), ("more", d)]
    assert graph_of(step=step).parents(step) == (a, b, c, d)


def test_what_a_step_works_on_comes_before_the_keyword_fields_of_its_base() -> None:
    class Asking(Step):
        _: KW_ONLY
        teacher: Any

    class Labels(Asking):
        rows: Rows

        def run(self, rows: Any, teacher: Any) -> Any:
            return []

    student, source = Source(), Source()
    step = Labels(source, teacher=student)
    assert list(edges(step)) == [("rows", source), ("teacher", student)]
    graph = build({"labels": step}, {id(student): "student", id(source): "source"})
    assert graph.parents(step) == (source, student)
    assert graph.name(step) == "Labels(source)"


def test_building_a_step_runs_nothing_and_it_is_frozen() -> None:
    class Boom(Step):
        rows: Rows

        def run(self, rows: Any) -> Any:
            raise AssertionError("it ran")

    step = Boom(Source())
    with pytest.raises(FrozenInstanceError):
        step.rows = None  # type: ignore[misc]


def test_steps_come_after_what_they_need_and_once() -> None:
    source = Source()
    left, right = Use(source), Use(source)
    end = Use(left, right)
    graph = graph_of(end=end)
    assert set(graph.steps) == {source, left, right, end}
    assert graph.steps.index(source) < min(graph.steps.index(left), graph.steps.index(right))
    assert graph.steps[-1] is end
    assert graph.ancestors([left]) == (source, left)


def test_outputs_are_named() -> None:
    data = Several()
    assert (data.train.step, data.train.name) == (data, "train")
    with pytest.raises(AttributeError, match="no attribute 'dev'; its outputs are train, test"):
        _ = data.dev
    with pytest.raises(AttributeError, match=r"no attribute 'train'$"):
        _ = Source().train


def test_a_cycle_is_refused_and_named() -> None:
    first, second = Use(None), Use(None)
    object.__setattr__(first, "rows", second)
    object.__setattr__(second, "rows", first)
    with pytest.raises(RequestError, match="cycle: Use -> Use -> Use"):
        graph_of(first=first)
    loop = Use(None)
    object.__setattr__(loop, "more", [loop])
    with pytest.raises(RequestError, match="cycle"):
        graph_of(loop=loop)


def test_two_steps_of_one_name_are_refused() -> None:
    with pytest.raises(RequestError, match=r"twin\.name: two steps carry this name"):
        graph_of(end=Use(Source(name="twin"), Source(name="twin")))


def test_a_name_must_be_a_text() -> None:
    with pytest.raises(RequestError, match=r"Source\.name: must be a text, got 3"):
        graph_of(end=Use(Source(name=3)))  # type: ignore[arg-type]


def test_names_come_from_the_step_the_variable_or_what_it_works_on() -> None:
    source = Source()
    steps = [Use(source), Use(source), Use(Teacher("m", "big")), Use([source]), Use(source, name="own")]
    graph = build({str(number): step for number, step in enumerate(steps)}, {id(source): "source"})
    assert [graph.name(step) for step in steps] == ["Use(source)", "Use(source)#2", "Use(big)", "Use", "own"]


def test_a_given_name_wins_over_that_of_a_variable() -> None:
    variable, named = Source(), Source(name="data")
    graph = build({"a": variable, "b": named}, {id(variable): "data"})
    assert graph.name(named) == "data"
    assert graph.name(variable) == "data#2"


def test_a_chain_of_thousands_is_no_problem() -> None:
    step: Step = Source()
    for _ in range(5000):
        step = Use(step)
    graph = graph_of(end=step)
    assert len(graph.steps) == 5001
    assert max(len(name) for name in graph.names.values()) < 40


def test_replacing_keeps_containers_and_says_what_sits_in_a_teacher() -> None:
    a, b = Source(), Source()
    seen = []

    def replacement(node: Any, inside: bool) -> str:
        seen.append(inside)
        return "here"

    value = {"list": [a, 1], "teacher": Teacher(b)}
    assert replace_nodes(value, replacement) == {"list": ["here", 1], "teacher": Teacher("here")}
    assert seen == [False, True]


class Pair(NamedTuple):
    left: Any
    right: int


def test_steps_are_replaced_in_a_named_tuple() -> None:
    assert replace_nodes(Pair(Source(), 2), lambda node, inside: "there") == Pair("there", 2)


@pytest.mark.parametrize(
    "name",
    """
        columns check needs expanded estimate memory_remedies placement run version outputs heavy makes alone preload
        unkeyed spelled wants_lineage name
    """.split(),
)
@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"], ids=["types", "texts"])
def test_a_parameter_with_a_name_that_every_step_has_is_refused_by_name(name: str, future: str) -> None:
    code = f"{future}from potstill import Rows, Step\nclass Mine(Step):\n    {name}: str = 'x'\n    rows: Rows = None\n"
    with pytest.raises(RequestError, match=f"Mine.{name}: is a name that every step has"):
        exec(compile(code, "own.py", "exec", dont_inherit=True), {"__name__": "own"})


def test_all_names_that_are_taken_are_said_together() -> None:
    with pytest.raises(RequestError) as refused:

        class Mine(Step):
            columns: tuple[str, ...] = ()  # type: ignore[assignment]
            name: str = "x"

    assert [problem.field for problem in refused.value.problems] == ["columns", "name"]


def test_a_method_of_every_step_can_not_become_a_value() -> None:
    with pytest.raises(RequestError, match=r"Mine\.needs: is a method that every step has"):

        class Mine(Step):
            needs = {"rows": ["a"]}  # type: ignore[assignment]


@pytest.mark.parametrize("outputs", ["train", ("rows",), ("run",), ("check",), (1,)])
def test_an_output_is_a_name_that_leads_nowhere_else(outputs: Any) -> None:
    with pytest.raises(RequestError, match=r"Mine\.outputs: "):
        type("Mine", (Use,), {"outputs": outputs, "run": lambda self: {}})


def test_what_every_step_has_may_be_set_as_before() -> None:
    code = """
from typing import ClassVar
from potstill import Step
class Mine(Step):
    version = 2
    makes: ClassVar[str] = "rows"
    heavy: "ClassVar[bool]" = True
"""
    variables: dict[str, Any] = {"__name__": __name__}
    exec(code, variables)
    assert (variables["Mine"].version, variables["Mine"].makes, variables["Mine"].heavy) == (2, "rows", True)


@pytest.mark.parametrize("outputs", [[Source()], (Source(),), Source(), None, "rows"])
def test_outputs_of_a_pipeline_without_names_are_refused(outputs: Any) -> None:
    with pytest.raises(RequestError, match=r"outputs must be a dict of names and steps, such as {'rows': rows}, got"):
        Pipeline("p", outputs)
