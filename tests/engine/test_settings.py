"""`--set`: paths with the nearest name, and values as the annotations of the parameters have them."""

from __future__ import annotations

import enum
import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import pytest

import loading
from loading import steps
from potstill import File, Pipeline, Step
from potstill.engine.loader import load
from potstill.engine.settings import changed
from potstill.errors import RequestError

clean, file = loading.clean, loading.file


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("made.n=5", 5),
        ("made.text=5", "5"),
        ("made.text=true", "true"),
        ("made.text=a=b", "a=b"),
        ('made.text="q"', "q"),
        ('made.words=["b", "c"]', ("b", "c")),
        ("made.teacher=null", None),
    ],
)
def test_a_value_is_of_the_parameters_kind(file: Path, setting: str, value: object) -> None:
    name = setting.split("=")[0].split(".")[1]
    actual = getattr(steps(changed(load(str(file)), [setting]))["made"], name)
    assert (actual, type(actual)) == (value, type(value))


def test_a_teacher_is_changed_wherever_it_is_used(file: Path) -> None:
    pipeline = load(str(file))
    after = steps(changed(pipeline, ["teacher.model=big", "teacher.scale=2", "made.n=7"]))
    assert after["made"].teacher.model == after["used"].teacher.model == "big"
    assert type(after["made"].teacher.scale) is float
    assert (after["used"].rows, after["last"].rows.step, after["made"].n) == (after["made"], after["used"], 7)
    assert steps(pipeline)["made"].n == 3  # the file's own is as it was


def test_a_parameter_whose_name_is_an_outputs_goes_by_it(file: Path) -> None:
    assert steps(changed(load(str(file)), ["used.right=0.25"]))["used"].right_share == 0.25


def test_a_step_is_prepared_again(file: Path) -> None:
    assert steps(changed(load(str(file)), ["made.n=7"]))["made"].prepared == 14


def test_a_parameter_of_the_teacher_of_one_step_alone(file: Path) -> None:
    after = steps(changed(load(str(file)), ["made.teacher.model=big"]))
    assert (after["made"].teacher.model, after["used"].teacher.model) == ("big", "small")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("made.m=5", r"--set made.m: there is no such parameter; the nearest is made.n"),
        ("teachr.model=5", "the nearest is teacher.model"),
        ("made=5", "there is no such parameter; the nearest is made"),
        ("teacher.model.size=5", "there is no such parameter"),
        ("made.n", "--set takes path=value, got 'made.n'"),
        ("made.n=five", "made.n: must be int, got 'five'"),
        (f"made.n={'[' * 20_000}", r"made.n: must be int, got '\[\["),
    ],
)
def test_an_unknown_path_is_refused_with_the_nearest_one(file: Path, setting: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        changed(load(str(file)), [setting])


def test_all_unknown_paths_come_together(file: Path) -> None:
    with pytest.raises(RequestError) as refused:
        changed(load(str(file)), ["made.m=1", "made.n=2", "usd.rows=3"])
    assert len(refused.value.problems) == 2


def test_settings_change_nothing_in_the_names_or_keys_of_other_steps(file: Path) -> None:
    pipeline = load(str(file))
    assert list(steps(changed(pipeline, ["used.teacher=null"]))) == list(steps(pipeline))


class Colour(enum.Enum):
    RED = "r"
    GREEN = 2


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Named(TypedDict):
    share: float


@dataclass(frozen=True)
class Nested:
    rank: int = 8
    scale: float = 1.0


@dataclass(frozen=True)
class Needy:
    rank: int
    share: float = 0.5


class Typed(Step):
    colour: Colour = Colour.RED
    colours: tuple[Colour, ...] = ()
    day: date = date(2026, 1, 1)
    moment: datetime | None = None
    clock: time | None = None
    wait: timedelta = timedelta(0)
    price: Decimal = Decimal(1)
    number: uuid.UUID | None = None
    path: Path = Path()
    maybe_path: Path | None = None
    file: File | None = None
    words: set[str] = field(default_factory=set)
    whole: frozenset[int] = frozenset()
    pair: tuple[int, str] = (0, "")
    loose: tuple = ()  # type: ignore[type-arg]
    listed: Sequence[float] = ()
    by_number: dict[int, float] = field(default_factory=dict)
    mapping: Mapping[str, Path] = field(default_factory=dict)
    text: str = ""
    maybe_text: str | None = None
    text_or_number: str | int = 0
    text_or_list: str | list[str] = ""
    flag: bool = False
    maybe_flag: bool | None = None
    share: float = 0.5
    maybe_share: float | None = None
    bounded: Annotated[int, "a mark"] = 1
    choice: Literal["a", "1", 1, True, None] = "a"
    pattern: re.Pattern[str] = re.compile("")
    data: bytes = b""
    point: Point = Point(0)
    named: Named | None = None
    nested: Nested | None = None
    needy: Needy | None = None
    function: Callable[[str], str] | None = None
    anything: Any = None

    def run(self) -> Any:
        return []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("colour=GREEN", Colour.GREEN),
        ("colour=r", Colour.RED),
        ("colour=2", Colour.GREEN),
        ('colours=["RED", 2]', (Colour.RED, Colour.GREEN)),
        ("day=2026-02-03", date(2026, 2, 3)),
        ('day="2026-02-03"', date(2026, 2, 3)),
        ("moment=2026-02-03T04:05:06+01:00", datetime.fromisoformat("2026-02-03T04:05:06+01:00")),
        ("moment=null", None),
        ("clock=04:05", time(4, 5)),
        ("wait=90", timedelta(seconds=90)),
        ("wait=2 days, 1:30:00", timedelta(days=2, hours=1, minutes=30)),
        ("price=1.10", Decimal("1.10")),
        ("number=12345678123456781234567812345678", uuid.UUID("12345678123456781234567812345678")),
        ("path=a/b", Path("a/b")),
        ("maybe_path=5", Path("5")),
        ("maybe_path=None", None),
        ("file=a.txt", "a.txt"),
        ('words=["a", "1"]', {"a", "1"}),
        ("whole=[1, 2]", frozenset({1, 2})),
        ('pair=[3, "x"]', (3, "x")),
        ('loose=[3, "x", [1]]', (3, "x", [1])),
        ("listed=[1, 2.5]", [1.0, 2.5]),
        ('by_number={"1": 2}', {1: 2.0}),
        ('mapping={"a": "b"}', {"a": Path("b")}),
        ("text=NaN", "NaN"),
        ("text=null", "null"),
        ("text=1e5", "1e5"),
        ("text=[1]", "[1]"),
        ("maybe_text=null", None),
        ("maybe_text=true", "true"),
        ("text_or_number=5", 5),
        ("text_or_number=five", "five"),
        ('text_or_list=["a"]', ["a"]),
        ("text_or_list=a", "a"),
        ("flag=true", True),
        ("flag=False", False),
        ("maybe_flag=null", None),
        ("share=1", 1.0),
        ("maybe_share=1e-3", 0.001),
        ("bounded=7", 7),
        ("choice=a", "a"),
        ("choice=1", 1),
        ("choice=true", True),
        ('choice="1"', "1"),
        ("choice=null", None),
        ("pattern=a+", re.compile("a+")),
        ("data=abc", b"abc"),
        ("point=[1, 2]", Point(1, 2.0)),
        ('named={"share": 1}', {"share": 1.0}),
        ('nested={"rank": 4, "scale": 2}', Nested(4, 2.0)),
        ("nested.rank=4", Nested(4)),
        ("function=null", None),
        ("anything=[1]", [1]),
        ("anything=NaN", "NaN"),
    ],
)
def test_a_value_follows_the_annotation(setting: str, value: object) -> None:
    pipeline = Pipeline("p", outputs={"typed": Typed(name="typed")})
    after = changed(pipeline, [f"typed.{setting}"]).outputs["typed"]
    actual = getattr(after, setting.split("=")[0].split(".")[0])
    assert (actual, type(actual)) == (value, type(value))
    assert repr(actual) == repr(value)  # also inside: 1 is no 1.0


def test_a_number_that_is_none_is_one_where_a_number_stands() -> None:
    pipeline = Pipeline("p", outputs={"typed": Typed(name="typed")})
    after: Any = changed(pipeline, ["typed.share=NaN"]).outputs["typed"]
    assert math.isnan(after.share)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("colour=BLUE", "must be one of RED, GREEN, got 'BLUE'"),
        ("day=tomorrow", "must be date, as in 2026-01-31, got 'tomorrow'"),
        ("moment=soon", "must be datetime or None, got 'soon'"),
        ("price=dear", "must be Decimal, got 'dear'"),
        ("words=a,b", r"""must be a JSON list, as in \["a", "b"\], got 'a,b'"""),
        ("whole=[1.5]", "must be int, got 1.5"),
        ('pair=[1, "a", 2]', "must be a JSON list of 2"),
        ("by_number=[1]", "must be a JSON object"),
        ('by_number={"a": 1}', "must be int as a key, got 'a'"),
        ("flag=yes", "must be bool, got 'yes'"),
        ("flag=1", "must be bool, got 1"),
        ("bounded=true", "must be int, got True"),
        ("bounded=5.0", "must be int, got 5.0"),
        ("share=1_000", "must be float, got '1_000'"),
        ("choice=b", "must be one of 'a', '1', 1, True, None, got 'b'"),
        ("pattern=(", "must be"),
        ('nested={"rnk": 4}', "must be Nested or None"),
        ("nested.rank=x", "typed.nested.rank: must be int"),
        ("needy.share=0.1", "give its fields together, as a JSON object"),
        ("function=len", "must be"),
    ],
)
def test_a_text_that_is_no_such_value_is_refused_with_what_is_expected(setting: str, message: str) -> None:
    pipeline = Pipeline("p", outputs={"typed": Typed(name="typed")})
    with pytest.raises(RequestError, match=message):
        changed(pipeline, [f"typed.{setting}"])
