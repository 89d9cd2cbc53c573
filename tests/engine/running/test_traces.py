"""A process takes another step of a class only where the code shows that the one before can have left nothing."""

from __future__ import annotations

import collections
import decimal
import importlib.util
import json
import math
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from potstill import Rows, Step
from potstill.engine.context import Context
from potstill.engine.running.traces import Trace, trace_of
from projects import Project

FACTOR = 2
WORDS = ("a", (1, 2.5))
TABLE = {"a": [1, 2.5]}


def doubled(number: int) -> int:
    return number * FACTOR


def seeded(number: int) -> float:
    random.seed(number)
    return random.random()


class Plain(Step):
    rows: Rows
    add: int = 1

    def run(self, rows: Dataset, context: Context) -> Any:
        if not rows:
            raise ValueError("no rows")
        context.logger.info("%d rows", len(rows))
        by = collections.Counter(math.floor(row["n"]) for row in rows)
        return [{"n": self.changed(n), "text": json.dumps(WORDS)} for n in sorted(by)]

    def changed(self, number: int) -> int:
        return doubled(number) + self.add


def with_body(body: Callable[..., Any]) -> type[Step]:
    """Return a class of steps that runs `body`."""
    return type("Made", (Step,), {"__annotations__": {}, "run": body, "__module__": __name__})


def appends(self: Step) -> Any:
    TABLE["a"].append(3)
    return []


def collects(self: Step, known: list[int] = []) -> Any:  # noqa: B006 - the subject
    known.append(1)
    return []


def counter() -> Callable[..., Any]:
    count = 0

    def counts(self: Step) -> Any:
        nonlocal count
        count += 1
        return [{"n": count}]

    return counts


counts = counter()


def patches(self: Step) -> Any:
    json.dumps = lambda value: "patched"  # type: ignore[assignment]
    return []


def calls_what_seeds(self: Step) -> Any:
    return [{"n": seeded(1)}]


def sets_precision(self: Step) -> Any:
    decimal.getcontext().prec = 3
    return []


def asks_numpy(self: Step) -> Any:
    np.seterr(all="raise")
    return []


def imports_inside(self: Step) -> Any:
    import locale

    locale.setlocale(locale.LC_ALL, "C")
    return []


def in_a_function_of_its_own(self: Step) -> Any:
    def inner() -> None:
        random.seed(1)

    inner()
    return []


def sets_the_level(self: Step, context: Context) -> Any:
    context.logger.setLevel(0)
    return []


def goes_through_what_python_keeps(self: Step) -> Any:
    json.__dict__.clear()
    return []


def evaluates(self: Step) -> Any:
    return [{"n": eval("1")}]


def test_a_class_of_own_functions_and_plain_values_leaves_no_trace() -> None:
    assert trace_of(Plain) is Trace.NONE


@pytest.mark.parametrize("body", [appends, collects, counts], ids=lambda body: body.__qualname__)
def test_a_class_that_reaches_a_container_or_a_closure_may_change_that(body: Callable[..., Any]) -> None:
    assert trace_of(with_body(body)) is Trace.CONTAINERS


@pytest.mark.parametrize(
    "body",
    [
        patches,
        calls_what_seeds,
        sets_precision,
        asks_numpy,
        imports_inside,
        in_a_function_of_its_own,
        sets_the_level,
        goes_through_what_python_keeps,
        evaluates,
    ],
)
def test_a_class_that_reaches_what_keeps_settings_may_leave_one(body: Callable[..., Any]) -> None:
    assert trace_of(with_body(body)) is Trace.ANYTHING


def test_a_file_of_ones_own_is_no_library_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "statistics.py"
    file.write_text("import random\ndef draw(self):\n    random.seed(1)\n    return []\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("statistics", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "statistics", module)
    spec.loader.exec_module(module)
    assert trace_of(with_body(module.draw)) is Trace.ANYTHING


LEAKS = """
import decimal, random
from potstill import Pipeline, Step


class Divides(Step):
    digits: int

    def run(self):
        if self.digits:
            decimal.getcontext().prec = self.digits
            random.seed(self.digits)
        return [{"n": str(decimal.Decimal(1) / 3)}]


one, two = Divides(digits=3, name="one"), Divides(digits=0, name="two")
pipeline = Pipeline("p", outputs={"one": one, "two": two})
"""


def test_no_step_finds_the_settings_of_libraries_that_another_made(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(LEAKS, "main.py")
    result = project.cli("run", "main.py", "--json", "--jobs", "1")
    assert project.values(result, "one", "n") == ["0.333"]
    assert project.values(result, "two", "n") == ["0." + "3" * 28]
