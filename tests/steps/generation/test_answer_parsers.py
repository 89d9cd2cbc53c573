"""What is found in a teacher's text, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from potstill.steps.generation.answer_parsers import fields, groups, json_value, one_of, score


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        ("**No**", "no"),
        ("No, although some would say yes.", "no"),
        ("The answer is: yes", "yes"),
        ("yesterday", None),
        ("It depends: yes and no.", None),
        ("", None),
    ],
)
def test_yes_or_no_is_found_in_a_sentence(text: str, said: str | None) -> None:
    if said is None:
        with pytest.raises(ValueError, match="yes, no"):
            one_of(["yes", "no"])(text)
    else:
        assert one_of(["yes", "no"])(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A", "A"),
        ("b", "B"),
        ("[[B]]", "B"),
        ("I think a good answer is B.", "B"),
        ("Tie!", "tie"),
        ("A", "A"),
        ("A careful look shows that the answer is B.", "B"),
    ],
)
def test_single_letters_are_not_mistaken_for_words(text: str, said: str) -> None:
    assert one_of(["A", "B", "tie"])(text) == said


def test_of_two_choices_that_begin_alike_the_longer_is_meant() -> None:
    assert one_of(["book", "book flight"])("Book flight, I would say") == "book flight"
    assert one_of(["book", "book flight"])("book") == "book"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7.0),
        ("Score: 7/10", 7.0),
        ("7.5 out of 10.", 7.5),
        ("10/10", 10.0),
        ("**7**", 7.0),
        ("7,5", 7.5),
        ("7/10, for it has no errors", 7.0),
        ("On a scale of 1 to 10, I give it a 7.", 7.0),
        ("8 von 10", 8.0),
        ("\uff17", 7.0),
        ("<think>3? 9</think>7", 7.0),
        ("It has 2 flaws.\n\nFinal score: 8", 8.0),
        ("11", None),
        ("-7", None),
        ("7-8", None),
        ("between 7 and 8", None),
        ("4/5", None),
        ("7%", None),
        ("not 7", None),
        ("I wouldn't give it a 7.", None),
        ("at least 7", None),
        ("2024-05-07", None),
        ("<think>7", None),
        ("Score: 6\nScore: 8", None),
        ("3 or 4", None),
        ("", None),
    ],
)
def test_a_score_is_one_number_in_range(text: str, value: float | None) -> None:
    if value is None:
        with pytest.raises(ValueError, match=r"score|numbers|no answer"):
            score(1, 10)(text)
    else:
        assert score(1, 10)(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('Sure: {"a": {"b": "}"}} - done', {"a": {"b": "}"}}),
        ("[1, 2]", [1, 2]),
    ],
)
def test_json_is_found_among_words(text: str, value: Any) -> None:
    assert json_value(text) == value


@pytest.mark.parametrize("text", ["no JSON", '{"a": NaN}', '{"a": 1', "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json_value(text)


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "size": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}


def test_json_is_checked_against_its_schema_and_made_into_columns() -> None:
    parse = fields(SCHEMA)
    assert parse('{"city": "Ulm"}') == {"city": "Ulm", "size": None}
    with pytest.raises(ValueError, match=r"size: 'big' is not of type"):
        parse('{"city": "Ulm", "size": "big"}')
    with pytest.raises(ValueError, match="'city' is a required property"):
        parse("{}")
    assert fields({"type": "array", "items": {"type": "integer"}})("[1]") == {"value": [1]}


def test_a_schema_elsewhere_is_not_fetched() -> None:
    with pytest.raises(Exception, match="Unresolvable"):
        fields({"$ref": "http://127.0.0.1:9/schema.json"})(json.dumps({"a": 1}))


def test_named_groups_become_columns() -> None:
    assert groups(r"(?P<hours>\d+) h(?: (?P<minutes>\d+) min)?")(" 3 h ") == {"hours": "3", "minutes": None}
    assert groups(r"\d+")("12") == {"value": "12"}
    assert groups(r".*")("<think>9</think>12") == {"value": "12"}
    assert groups(r"<think>(?P<why>.*)</think>(?P<n>\d+)")("<think>9</think>12") == {"why": "9", "n": "12"}
    with pytest.raises(ValueError, match="does not match"):
        groups(r"\d+")("12 apples")


@pytest.mark.parametrize("depth", [300, 900, 5_000, 50_000])
def test_json_too_deep_for_its_schema_is_no_answer(depth: int) -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        fields({"properties": {"a": {"$ref": "#"}}})('{"a":' * depth + "1" + "}" * depth)
