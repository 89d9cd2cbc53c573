"""All that can be known to be wrong before anything runs is reported together, with step and field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pytest
from annotated_types import Ge, Interval

from fakes import EchoTeacher
from potstill.engine.encoding import File
from potstill.engine.graph import build
from potstill.engine.step import Metrics, Output, Rows, Step
from potstill.engine.validate import problems
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model


class Source(Step):
    makes = "rows"
    path: File | None = None
    size: Annotated[int, Ge(1)] = 1
    share: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    words: tuple[str, ...] = ()
    choose: Callable[[str], bool] | None = None
    anything: Any = None

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        return frozenset({"id", "text"})

    def run(self) -> Any:
        return []


class Unknown(Step):
    def run(self) -> Any:
        return []


class Parts(Step):
    makes = "rows"
    outputs = ("train", "test")
    rows: Rows

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        return inputs["rows"]

    def run(self, rows: Any) -> Any:
        return {}


class Use(Step):
    makes = "metrics"
    rows: Rows | list[Rows]
    model: Model | None = None
    want: tuple[str, ...] = ()

    def needs(self) -> Mapping[str, Iterable[str]]:
        return {"rows": self.want}

    def run(self, rows: Any, model: Any = None) -> Any:
        return {}


class Table(Step):
    metrics: list[Metrics]

    def run(self, metrics: Any) -> Any:
        return {}


class Picky(Step):
    a: int = 0

    def check(self) -> Iterable[Problem]:
        if self.a:
            yield Problem("", "a", "must be nothing")
        raise BadInput(Problem("", "b", "raised"))

    def run(self) -> Any:
        return []


def found(**steps: Step | Output) -> list[str]:
    names = {id(step): name for name, step in steps.items() if isinstance(step, Step)}
    return [str(problem) for problem in problems(build(steps, names))]


def test_a_right_pipeline_has_no_problems(tmp_path: Any) -> None:
    source = Source(words=("a",), choose=str.isalpha, share=0, size=3)
    assert found(source=source, use=Use([source, Parts(source).train], want=("text",))) == []


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Source(size="3"), "s.size: must be int, got '3' (str)"),  # type: ignore[arg-type]
        (Source(size=True), "s.size: must be int, got True (bool)"),
        (Source(size=0), "s.size: must be >= 1, got 0"),
        (Source(share=1.0), "s.share: must be >= 0 and < 1, got 1.0"),
        (Source(share=float("nan")), "s.share: must be >= 0 and < 1, got nan"),
        (Source(words=("a", 1)), "s.words: must be tuple[str, ...], got ('a', 1) (tuple)"),  # type: ignore[arg-type]
        (Source(path="nowhere.txt"), "s.path: no such file: nowhere.txt"),
        (Source(anything=object()), "can't be part of a key"),
        (Use(None), "s.rows: "),
        (Use([]), "s.rows: holds no step"),
        (Use("rows.jsonl"), "s.rows: needs a step that makes rows, got 'rows.jsonl'"),
        (Use(Source(), model=Source()), "s.model: needs a model, but Source makes rows"),
        (Use(Use(Source())), "s.rows: needs rows, but Use makes metrics"),
        (Use(Source(), model="./nowhere"), "s.model: no model at nowhere: the folder does not exist"),
        (Use(Parts(Source())), "s.rows: Parts has several outputs: say .train or .test"),
        (Use(Source(), want=("text", "b", "a")), "s.rows: needs column a, b, which Source does not make (it has id"),
        (Use([Source(), Source()], want=("label",)), "s.rows: needs column label"),
        (Table([Source()]), "s.metrics: needs metrics, but Source makes rows"),
    ],
)
def test_each_kind_of_problem(step: Step, problem: str) -> None:
    texts = [text for text in found(s=step) if text.startswith("s")]
    assert len(texts) == 1, texts
    assert problem in texts[0]


def test_columns_that_are_not_known_are_not_missed() -> None:
    assert found(use=Use(Unknown(), want=("text",))) == []
    assert found(use=Use(Parts(Unknown()).test, want=("text",))) == []


def test_columns_go_through_outputs() -> None:
    assert "needs column label" in found(use=Use(Parts(Source()).test, want=("label",)))[0]


def test_all_problems_of_all_steps_come_together() -> None:
    source = Source(size=0, share=3, words=[1])  # type: ignore[arg-type]
    assert [text.split(":")[0] for text in found(source=source, use=Use(source, model=5), picky=Picky(1))] == [
        "source.size",
        "source.share",
        "source.words",
        "use.model",
        "picky.a",
        "picky.b",
    ]


@dataclass(frozen=True)
class Limits:
    most: Annotated[float, Interval(gt=0, le=1)] = 1.0
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tutor:
    model: Model = "m"
    limits: Limits = Limits()
    heavy: ClassVar[bool] = False

    def identity(self) -> dict[str, Any]:
        return {}


class Asks(Step):
    rows: Rows
    teacher: Model = "m"
    others: tuple[Limits, ...] = ()
    want: tuple[str, ...] = ("text",)

    def needs(self) -> Mapping[str, Iterable[str]]:
        return {"rows": self.want}

    def run(self, rows: Any, teacher: Any) -> Any:
        return []


def test_what_is_wrong_inside_a_teacher_is_named_by_its_path() -> None:
    class Trained(Step):
        makes = "model"

        def run(self) -> Any:
            return []

    wrong = Limits(most=0, words=("a", 1))  # type: ignore[arg-type]
    texts = [
        f"asks.{place}"
        for place in (
            "teacher.limits.most: must be > 0 and <= 1, got 0",
            "teacher.limits.words: must be tuple[str, ...], got ('a', 1) (tuple)",
        )
    ]
    for teacher in (Tutor(limits=wrong), Tutor(Trained(), wrong)):
        assert found(asks=Asks(Source(), teacher=teacher)) == texts
    assert found(asks=Asks(Source(), teacher=Tutor(), others=(Limits(), Limits(most=2)))) == [
        "asks.others[1].most: must be > 0 and <= 1, got 2"
    ]


def test_a_field_of_a_real_teacher() -> None:
    from potstill import VLLM
    from potstill.steps import PseudoLabel

    labels = PseudoLabel(Source(), teacher=VLLM("nowhere/at-all", memory_fraction=1.5), prompt="{{ text }}")
    assert found(labels=labels) == ["labels.teacher.memory_fraction: must be > 0 and <= 1, got 1.5"]


def test_missing_columns_are_reported_beside_other_problems() -> None:
    step = Use(Source(), model=5, want=("label",))
    assert [text.split(":")[0] for text in found(use=step)] == ["use.model", "use.rows"]
    unreadable = Asks(Source(), want=5)  # type: ignore[arg-type]
    assert [text.split(":")[0] for text in found(asks=unreadable)] == ["asks.want"]


def test_run_need_not_take_an_edge_that_holds_nothing() -> None:
    class Base(Step):
        rows: Rows
        more: Rows | None = None

        def run(self, rows: Any, more: Any = None) -> Any:
            return rows

    class Narrow(Base):
        def run(self, rows: Any) -> Any:  # type: ignore[override]
            return rows

    assert found(narrow=Narrow(Source())) == []
    text = "narrow.more: holds a step, so Narrow.run must take an argument 'more'"
    assert found(narrow=Narrow(Source(), Source())) == [text]


def test_run_must_take_the_edges_and_nothing_else() -> None:
    class Forgets(Step):
        rows: Rows

        def run(self) -> Any:
            return []

    class Asks(Step):
        def run(self, size: int) -> Any:
            return []

    class Lacks(Step):
        pass

    assert found(f=Forgets(Source()))[-1] == "f.rows: holds a step, so Forgets.run must take an argument 'rows'"
    assert found(a=Asks()) == ["a.size: Asks.run asks for 'size', which is no edge field of the step"]
    assert "has no run method" in found(lacks=Lacks())[0]


def test_a_teacher_is_checked_where_it_is_used() -> None:
    from potstill.steps import PseudoLabel
    from potstill.teachers.openai.endpoint import Endpoint

    wrong = found(labels=PseudoLabel(Source(), teacher=Endpoint("ftp://x", "m"), prompt="{{ text }}"))
    assert wrong == ["labels.teacher: base_url 'ftp://x' is no http or https address"]
    assert found(labels=PseudoLabel(Source(), teacher=EchoTeacher(), prompt="{{ text }}")) == []
    assert "needs column instruction" in found(labels=PseudoLabel(Source(), teacher=EchoTeacher()))[0]


class Beside(Step):
    """Says which columns it gets from each, and refuses those that clash."""

    makes = "rows"
    rows: list[Rows] | Mapping[str, Rows]
    seen: ClassVar[dict[str, Any]] = {}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        self.seen.update(inputs)
        raise BadInput(Problem("", "rows", "they clash"))

    def run(self, rows: Any) -> Any:
        return rows


def test_columns_that_clash_are_a_problem_of_the_step() -> None:
    assert found(s=Beside([Source(), Unknown()])) == ["s.rows: they clash"]
    assert Beside.seen["rows[0]"] == {"id", "text"}
    assert Beside.seen["rows[1]"] is None
    found(s=Beside({"a": Source()}))
    assert Beside.seen["rows[a]"] == {"id", "text"}


def test_a_misspelled_column_is_named_with_the_nearest() -> None:
    assert found(s=Use(Source(), want=("txet",)))[0].endswith("(it has id, text): did you mean text?")


def test_a_list_for_a_tuple_is_taken_as_one():
    step = Source(words=["a", "b"])
    assert found(s=step) == [] and step.words == ("a", "b")
    assert found(s=Source(words=["a", 3])) == ["s.words: must be tuple[str, ...], got ('a', 3) (tuple)"]


def test_rows_that_the_user_holds_need_a_step_around_them():
    import pandas

    rows = [{"text": "a"}, {"text": "b"}]
    [listed], [framed], [named] = (found(p=Parts(value).train) for value in (rows, pandas.DataFrame(rows), "rows.csv"))
    assert listed == "Parts.rows: needs a step that makes rows, got a list of 2 (dict): wrap it, LoadRows(...)"
    assert framed == "Parts.rows: needs a step that makes rows, got a DataFrame: wrap it, LoadRows(...)"
    assert "got 'rows.csv': a file is loaded by a step, as LoadJSON('rows.csv')" in named


def test_a_column_that_is_missing_names_the_parameter_that_chooses_it():
    class Labelled(Step):
        rows: Rows
        label: str = "category"
        text: str | None = None

        def needs(self):
            return {"rows": (self.text or "output", self.label)}

        def run(self, rows):
            return rows

    assert found(s=Labelled(Source(), text="text"))[0].endswith("; name another column with label=")
    assert found(s=Labelled(Source(), label="id"))[0].endswith("; or say text='text'")
