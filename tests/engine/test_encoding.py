"""Values that differ have different digests, whatever they look like; those that are equal have one."""

from __future__ import annotations

import contextlib
import enum
import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest

from fakes import EchoTeacher
from potstill.engine.encoding import File, FileContent, digest, encode
from potstill.engine.graph import step_of
from potstill.engine.keys.identity import explain, key_of, step_identity
from potstill.engine.step import Rows, Step
from potstill.engine.store.artifacts import Artifact
from potstill.errors import BadInput, RequestError
from potstill.models.edge import Model
from potstill.steps import SQL, InputFromLabel, Rename


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Number(enum.IntEnum):
    ONE = 1


@dataclass(frozen=True)
class Point:
    x: Any
    y: Any = 0


@dataclass(frozen=True)
class Other:
    x: Any
    y: Any = 0


@dataclass(frozen=True)
class Reading:
    path: File


@dataclass(frozen=True)
class Batched:
    size: int
    workers: int = 1
    unkeyed: ClassVar[frozenset[str]] = frozenset({"workers"})


@dataclass(frozen=True)
class Holding:
    x: int = 0
    again: ClassVar[Holding]


Holding.again = Holding(1)


def captured(number: int) -> Callable[[], int]:
    return lambda: number


DIFFERENT = [
    1,
    "1",
    True,
    1.0,
    b"1",
    None,
    "None",
    0,
    False,
    0.0,
    -0.0,
    "",
    [],
    (),
    {},
    set(),
    [1],
    (1,),
    {1},
    {1: 1},
    {"1": 1},
    [[1], 2],
    [[1, 2]],
    [1, [2]],
    {"a": {"b": 1}},
    {"a": 1, "b": 1},
    float("nan"),
    float("inf"),
    10**30,
    Path("1"),
    Point(1),
    Point("1"),
    Point(1, 1),
    Other(1),
    Colour.RED,
    Colour.BLUE,
    Number.ONE,
    len,
    operator.add,
    int,
    str,
    Point,
    str.isalpha,
    str.upper,
    bytes.upper,
    "a".startswith,
    {1, 2}.__contains__,
    {1, 3}.__contains__,
    [1].__len__,
    [2].__len__,
    captured(1),
    captured(2),
    functools.partial(captured, 1),
    functools.partial(captured, 2),
    np.array([1, 2]),
    np.array([1.0, 2.0]),
    np.array([[1, 2]]),
    np.float64(1),
    np.int32(1),
    functools.wraps,
    functools.reduce,
    dataclass,
    field,
]


def test_all_these_values_differ() -> None:
    digests = {}
    for value in DIFFERENT:
        assert digest(value) not in digests, (value, digests[digest(value)])
        digests[digest(value)] = value


def test_equal_values_have_one_digest_whatever_their_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"x", "y", "z"}) == digest({"z", "y", "x"})
    assert digest(captured(1)) == digest(captured(1))
    assert digest(Point([1, {"a": (2,)}])) == digest(Point([1, {"a": (2,)}]))
    assert digest(Batched(1, workers=1)) == digest(Batched(1, workers=8)) != digest(Batched(2))
    assert digest(Holding()) == digest(Holding()) != digest(Holding(5))


def test_a_cache_around_a_function_changes_nothing() -> None:
    assert digest(functools.lru_cache(maxsize=None)(captured(1))) == digest(captured(1))


def test_digests_stay_the_same_over_versions_of_python_and_processes() -> None:
    assert digest([1, "a", 0.5, None, True]) == digest([1, "a", 0.5, None, True])
    assert encode({"a": (1, 0.5)}) == [
        "dict",
        [["str", "a"], ["tuple", ["int", "1"], ["float", "0x1.0000000000000p-1"]]],
    ]


def test_functions_of_libraries_differ_by_where_they_come_from_and_what_they_captured() -> None:
    import ntpath
    import posixpath

    assert digest(ntpath.basename) != digest(posixpath.basename)
    exists = [contextlib.contextmanager(captured(number)) for number in (1, 2)]
    assert digest(exists[0]) != digest(exists[1])


def test_what_has_no_canonical_form_is_refused_with_the_remedy() -> None:
    with pytest.raises(BadInput, match=r"a builtins.object can't be part of a key: use plain values.*identity\(\)"):
        digest([object()])


# -- steps -------------------------------------------------------------------------------------------------------------


class Source(Step):
    path: File = ""
    unkeyed = frozenset({"workers"})
    workers: int = 1

    def run(self) -> Any:
        return []


class Use(Step):
    rows: Rows
    scale: object = 1
    models: list[Model] = ()  # type: ignore[assignment]

    def run(self, rows: Any, models: Any) -> Any:
        return []


def identity(step: Step, content: str = "c") -> dict[str, Any]:
    digests = {"": content, "train": "t", "test": "u"}
    return step_identity(
        step, lambda node: Artifact(Path("x"), {"key": str(id(step_of(node))), "digests": digests}), {}
    )


def key(step: Step, content: str = "c") -> str:
    return key_of(identity(step, content))


def test_the_key_of_a_step_covers_parameters_and_the_content_of_inputs(tmp_path: Path) -> None:
    assert key(Use(Source())) == key(Use(Source())) == key(Use(Source(name="other"), name="mine"))
    assert key(Use(Source()), "c") != key(Use(Source()), "d")
    assert len({key(Use(Source(), scale=value)) for value in (1, "1", True, 1.0, None)}) == 5


def test_unkeyed_fields_names_and_where_a_file_lies_are_not_part_of_the_key(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("same")
    assert key(Source(tmp_path / "a")) == key(Source(str(tmp_path / "b"), workers=9, name="x"))
    (tmp_path / "b").write_text("other")
    assert key(Source(tmp_path / "a")) != key(Source(tmp_path / "b"))
    with pytest.raises(RequestError, match="no such file"):
        key(Source(tmp_path / "c"))


def test_the_version_and_the_type_are_part_of_the_key() -> None:
    class Newer(Source):
        version = 2

    class Older(Source):
        version = 1

    Newer.__qualname__ = Older.__qualname__
    one, two = identity(Older("pyproject.toml")), identity(Newer("pyproject.toml"))
    assert (one["version"], two["version"]) == (1, 2)
    assert key_of({**one, "code": {}}) != key_of({**two, "code": {}})
    assert identity(Use(Source()))["type"] != identity(Source("pyproject.toml"))["type"]


def test_models_in_a_list_are_keyed_by_content(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    before = key(Use(Source(), models=[str(tmp_path)]))
    (tmp_path / "model.safetensors").write_text("[]")
    assert key(Use(Source(), models=[str(tmp_path)])) != before


def test_files_in_a_list_are_keyed_by_content(tmp_path: Path) -> None:
    class Many(Step):
        paths: tuple[Annotated[str, FileContent()], ...]

        def run(self) -> Any:
            return []

    (tmp_path / "a").write_text("1")
    before = key(Many((str(tmp_path / "a"),)))
    (tmp_path / "a").write_text("2")
    assert key(Many((str(tmp_path / "a"),))) != before


def test_explanations_name_what_changed() -> None:
    old = identity(Use(Source(), scale={"a": [1, 2], "b": 1}))
    assert explain(None, old) == ["first run"]
    assert explain(old, old) == []
    new = identity(Use(Source(), scale={"a": [1, 3], "b": 1}))
    assert explain(old, new) == ["parameter scale.a changed from [1, 2] to [1, 3]"]
    assert explain(old, identity(Use(Source(), scale="x"))) == ["parameter scale changed from a=[1, 2], b=1 to x"]
    assert explain(old, identity(Use(Source(), scale={"a": [1, 2], "b": 1}), "d")) == ["input rows changed"]
    first, second = (identity(Use(Source(), scale=captured(number))) for number in (1, 2))
    assert explain(first, second) == ["code of parameter scale changed"]
    assert explain({**old, "version": 0, "type": "Was"}, old) == [
        "type changed from Was to Use",
        "version changed from 0 to 1",
    ]


class Settings(Step):
    share: float | None = None
    shares: tuple[float, ...] = ()
    table: dict[str, float] = field(default_factory=dict)
    count: int | float = 0

    def run(self) -> Any:
        return []


def test_a_whole_number_given_for_a_float_is_that_float() -> None:
    assert key(Settings(share=1)) == key(Settings(share=1.0)) != key(Settings(share=2))
    assert key(Settings(shares=(1, 2))) == key(Settings(shares=(1.0, 2.0)))
    assert key(Settings(table={"a": 1})) == key(Settings(table={"a": 1.0}))
    assert key(Settings(count=1)) != key(Settings(count=1.0))


def test_the_order_of_a_dict_given_as_a_parameter_counts_and_that_of_a_set_does_not() -> None:
    assert key(Use(Source(), scale={"b": 1, "a": 2})) != key(Use(Source(), scale={"a": 2, "b": 1}))
    assert key(Use(Source(), scale=[{"b": {"d": 1, "c": 2}}])) != key(Use(Source(), scale=[{"b": {"c": 2, "d": 1}}]))
    assert key(Use(Source(), scale={"x", "y", "z"})) == key(Use(Source(), scale={"z", "y", "x"}))
    old, new = (identity(Use(Source(), scale=dict.fromkeys(names, 1))) for names in ("ab", "ba"))
    assert explain(old, new) == ["parameter scale changed from the order a, b to the order b, a"]


def test_the_order_of_a_dict_that_can_change_no_result_is_no_part_of_the_key() -> None:
    names = {"text": "instruction", "label": "output"}
    tables = {"b": Source(), "a": Source()}
    for make in (
        lambda turn: Rename(Source(), turn(names)),
        lambda turn: SQL("SELECT 1 AS one", tables=turn(tables)),
        lambda turn: InputFromLabel(Source(), teacher=EchoTeacher(), per_label=3, descriptions=turn(names)),
    ):
        assert key(make(dict)) == key(make(lambda held: dict(reversed(held.items()))))
    assert key(Rename(Source(), {"a": "b"})) != key(Rename(Source(), {"a": "c"}))
    assert key(Rename(Source(), {"a": "b", "b": "a"})) != key(Rename(Source(), {"a": "a", "b": "b"}))


def test_arrays_of_objects_and_frames_are_keyed_by_what_is_in_them() -> None:
    import pandas as pd

    def text(end: str) -> str:
        return "".join(["x", end])  # another object each time

    assert digest(np.array([text("a")], dtype=object)) == digest(np.array([text("a")], dtype=object))
    assert digest(np.array([text("a")], dtype=object)) != digest(np.array([text("b")], dtype=object))
    assert digest(pd.DataFrame({"a": [text("a")]})) == digest(pd.DataFrame({"a": [text("a")]}))
    assert digest(pd.DataFrame({"a": [text("a")]})) != digest(pd.DataFrame({"a": [text("b")]}))


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(BadInput, match="a list that holds itself"):
        digest(loop)


def test_a_file_in_a_nested_setting_is_keyed_by_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = key(Use(Source(), scale=Reading(str(tmp_path / "a"))))
    (tmp_path / "a").write_text("2")
    assert key(Use(Source(), scale=Reading(str(tmp_path / "a")))) != before


def test_what_changed_in_code_is_named() -> None:
    old = {"scheme": "3", "Rule.apply": "1", "value of TABLE": "1", "file helper.py": "1", "Python": "3.11"}
    step = {**identity(Use(Source())), "code": old}
    for name, reason in {
        "Rule.apply": "code changed: Rule.apply",
        "value of TABLE": "value of TABLE changed",
        "file helper.py": "file helper.py changed",
        "scheme": "Potstill digests code in another way now",
        "Python": "Python changed from 3.11 to 2; some code has no source",
    }.items():
        assert explain(step, {**step, "code": {**old, name: "2"}}) == [reason]


def test_dates_and_decimals_of_rows_have_a_digest() -> None:
    from datetime import UTC, date, datetime
    from decimal import Decimal

    values = [date(2024, 1, 2), datetime(2024, 1, 2), datetime(2024, 1, 2, tzinfo=UTC), Decimal("1.0"), Decimal("1.00")]
    assert len({digest(value) for value in values}) == len(values)
    assert digest(date(2024, 1, 2)) == digest(date(2024, 1, 2))
