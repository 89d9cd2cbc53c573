"""A prompt says what the row says: nothing that a row lacks is written, and no value is written as Python would."""

from __future__ import annotations

import datetime
import decimal
import itertools
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from potstill.errors import BadInput
from potstill.prompts import render, rendered, required_variables
from potstill.prompts.values import UnfitRow

NULLS = (None, math.nan, decimal.Decimal("NaN"), pd.NaT, pd.NA, np.float32("nan"))
WAYS = (
    "{{ x }}",
    "{{ x | upper }}",
    "{{ x | string }}",
    "{{ x | trim }}",
    "{{ x ~ '!' }}",
    "{{ x + '!' }}",
    "{{ '%s' | format(x) }}",
    "{{ '{}'.format(x) }}",
    "{{ [x, 'a'] | join(', ') }}",
    "{{ x | replace('a', 'b') }}",
    "{{ x | int }}",
    "{{ x | length }}",
    "{% for part in x %}{{ part }}{% endfor %}",
    "{% set y = x %}{{ y }}",
    "{% macro say(word) %}{{ word }}{% endmacro %}{{ say(x) }}",
    "{% block system %}{{ x }}{% endblock %}{% block user %}Hello{% endblock %}",
)
"""Templates that show the column x."""


def text(template: str, row: dict[str, Any]) -> str:
    """Return the only message of a prompt."""
    (message,) = render(template, row)
    return message["content"]


@pytest.mark.parametrize("template", WAYS)
def test_a_null_is_never_written(template: str) -> None:
    for null in NULLS:
        for place, row in (("x", {"x": null}), ("o.x", {"o": {"x": null}})):
            shown = template if place == "x" else "{% set x = o.x %}" + template
            if "block" in shown and place != "x":
                continue  # a variable set outside a block is not known in it
            unfit = rendered(shown, row)
            assert isinstance(unfit, UnfitRow), (shown, null)
            assert unfit.reason == f"null in column {place}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ x | default('') }}",
        "{{ x | d('') }}",
        "{% if x %}{{ x }}{% endif %}",
        "{{ x or '' }}",
        "{% if x is defined %}{{ x }}{% endif %}",
        "{% if x is not none %}{{ x }}{% endif %}",
        "{% if x != none %}{{ x }}{% endif %}",
    ],
)
def test_a_template_says_what_stands_for_a_null(template: str) -> None:
    assert [text(f"[{template}]", {"x": value}) for value in (*NULLS, "a")] == ["[]"] * len(NULLS) + ["[a]"]


def test_lists_and_objects_are_json_with_their_nulls() -> None:
    value = {
        "names": ["Zoë", None, 'a "b"'],
        "score": 0.5,
        "right": True,
        "gone": math.nan,
        "when": datetime.date(2026, 11, 29),
        "price": decimal.Decimal("1E+3"),
    }
    written = text("{{ x }}", {"x": value})
    assert json.loads(written) == {
        "names": ["Zoë", None, 'a "b"'],
        "score": 0.5,
        "right": True,
        "gone": None,
        "when": "2026-11-29",
        "price": 1000,
    }
    assert "Zoë" in written
    assert text("{{ x.names[:1] }}{{ x.names + ['c'] }}", {"x": value}) == '["Zoë"]["Zoë", null, "a \\"b\\"", "c"]'
    assert text("{{ x | map('upper') }} {{ o.keys() }}", {"x": ["a"], "o": {"k": 1}}) == '["A"] ["k"]'
    assert text("{{ x }}", {"x": np.array([[1, 2]])}) == "[[1, 2]]"


def test_what_templates_do_with_lists_and_objects_still_works() -> None:
    row = {"tags": ["a", "b"], "order": {"item": "pen", "none": None}, "rows": [{"k": 1}, {"k": 2}]}
    assert text("{% for tag in tags %}{{ loop.index }}{{ tag }}{% endfor %}", row) == "1a2b"
    assert (
        text("{{ tags | length }} {{ tags | join('-') }} {{ tags | first }} {{ 'a' in tags }}", row) == "2 a-b a True"
    )
    assert text("{% for key, value in order.items() %}{{ key }} {% endfor %}", row) == "item none"
    assert text("{{ order | tojson }}", row) == '{"item": "pen", "none": null}'
    assert text("{{ rows | map(attribute='k') | sum }} {{ rows | join(';') }}", row) == '3 {"k": 1};{"k": 2}'


def test_dates_and_decimals_are_written_plainly() -> None:
    moment = datetime.datetime(2026, 11, 29, 14, 30, tzinfo=datetime.UTC)
    row = {"at": moment, "day": moment.date(), "price": decimal.Decimal("1E-7"), "n": 3, "share": 0.25, "yes": True}
    shown = "{{ at }} {{ day }} {{ price }} {{ n }} {{ share }} {{ yes }} {{ at.year }}"
    assert text(shown, row) == "2026-11-29T14:30:00+00:00 2026-11-29 0.0000001 3 0.25 True 2026"


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "pop", "copy", "update", "clear"])
def test_a_field_comes_before_a_method(name: str) -> None:
    assert text(f"{{{{ order.{name} }}}}", {"order": {name: "two pens"}}) == "two pens"
    assert text("{{ orders | map(attribute=name) | join }}", {"orders": [{name: "pen"}], "name": name}) == "pen"
    method = rendered(f"{{{{ order.{name} }}}}", {"order": {"other": 1}})
    assert isinstance(method, UnfitRow)
    assert "which has no text" in method.reason or method.reason == f"nothing at order.{name}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ tags.append('c') }}",
        "{% set _ = tags.append('c') %}",
        "{{ tags.__class__ }}",
        "{{ order.__init__ }}",
        "{{ ''.__class__.__mro__ }}",
    ],
)
def test_a_template_reaches_neither_the_row_nor_python(template: str) -> None:
    row = {"tags": ["a"], "order": {"b": 1}}
    with pytest.raises(BadInput, match="unsafe"):
        render(template, row)
    with pytest.raises(UnfitRow, match="nothing at order"):
        render("{{ order.update(a=1) }}", row)
    assert row == {"tags": ["a"], "order": {"b": 1}}


def test_what_has_no_text_spoils_the_row_by_name() -> None:
    cases = {
        "bytes in column x": {"x": b"\x00"},
        "nothing at x.y": {"x": {"z": 1}},
        "the template fails on the row": {"x": "one"},
        "inf in an object or list": {"x": [math.inf]},
    }
    templates = ("{{ x }}", "{{ x.y }}", "{{ x * x }}", "{{ x }}")
    for (reason, row), template in zip(cases.items(), templates, strict=True):
        unfit = rendered(template, row)
        assert isinstance(unfit, UnfitRow)
        assert unfit.reason.startswith(reason)


def test_a_column_that_no_row_has_is_the_templates_fault() -> None:
    with pytest.raises(BadInput, match="'y' is undefined; the row has x") as raised:
        render("{{ y }}", {"x": 1})
    assert not isinstance(raised.value, UnfitRow)
    assert required_variables("{{ x | default('') }} {{ y }}") == ("y",)


def test_columns_may_be_called_what_jinja_calls_its_own() -> None:
    row = {"range": 3, "loop": "b", "self": "c", "dict": {"a": 1}, "namespace": "n"}
    assert text("{{ range }}{{ loop }}{{ dict }}{{ namespace }}", row) == '3b{"a": 1}n'
    assert text("{% for n in range(2) %}{{ n }}{% endfor %}", {"x": 1}) == "01"


def test_no_mixture_of_values_is_written_as_python_would() -> None:
    """Every pair of values, in a list, an object, and alone."""
    values = ["a", "it's", 1, 0.5, True, None, math.nan, ["x", None], {"k": None}, datetime.date(2026, 1, 2), b"b"]
    for first, second in itertools.product(values, repeat=2):
        for row in ({"x": [first, second]}, {"x": {"a": first, "b": second}}, {"x": first, "y": second}):
            shown = rendered("{{ x }}|{{ y | default('') }}", row)
            if isinstance(shown, UnfitRow):
                assert b"b" in (first, second) or row["x"] is None or row["x"] != row["x"]
                continue
            written = shown[0]["content"]
            assert not any(word in written for word in ("None", "nan", "NaN", "b'", "datetime"))
            if isinstance(row["x"], (list, dict)):
                json.loads(written.rpartition("|")[0])


@pytest.mark.parametrize("kind", [dict, list])
@pytest.mark.parametrize("name", ["place", "_place", "title", "format", "index", "count"])
def test_a_field_that_the_row_lacks_is_never_written_from_inside(kind: type, name: str) -> None:
    with pytest.raises(BadInput):
        text(f"{{{{ order.{name} }}}}", {"order": kind()})


def test_times_of_numpy_are_written_as_times() -> None:
    moment = np.datetime64("2020-01-01T10:00", "ns")
    assert text("{{ x }}", {"x": moment}) == "2020-01-01T10:00:00"
    assert text("{{ x }}", {"x": np.array([moment])}) == '["2020-01-01T10:00:00"]'
    assert text("{{ x }}", {"x": np.timedelta64(90, "s").astype("m8[ns]")}) == "0:01:30"
    assert text("{{ x }}", {"x": np.datetime64("2020-01-01")}) == "2020-01-01"


@pytest.mark.parametrize("template", ["{{ x | random }}", "{{ lipsum() }}"])
def test_a_prompt_that_changes_from_run_to_run_is_refused(template: str) -> None:
    with pytest.raises(BadInput, match=r"random|lipsum"):
        text(template, {"x": [1, 2]})


def test_pretty_printing_shows_json_too() -> None:
    assert text("{{ x | pprint }}", {"x": {"a": [None, True]}}) == '{"a": [null, true]}'
