"""Which JSON a response means: the whole of it, or the last that fits, and never a thought or a broken part."""

import json
from itertools import product

import pytest

from growth import assert_linear
from potstill.steps.generation.answer_parsers import fields
from potstill.text.json_values import json_values

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
RIGHT, DRAFT = '{"city": "Berlin"}', '{"city": "Ulm"}'


def city(text):
    return fields(CITY)(text)["city"]


BEFORE = [
    "",
    "Here it is:\n",
    "Sure! ",
    f"First idea: {DRAFT}. No.\n",
    f"```json\n{DRAFT}\n```\nBetter:\n",
    "[1] says:\n",
]
THOUGHTS = ["", f"<think>{DRAFT}?</think>\n", f"Perhaps {DRAFT}\n</think>\n\n", f"[THINK]```json\n{DRAFT}\n```[/THINK]"]
AROUND = ["%s", "```json\n%s\n```", "```\n%s```", "~~~json\n%s\n~~~", "```JSON\r\n%s\r\n```"]
AFTER = ["", "\nDone.", " {is that} all?", '\n[1] {"source": "an atlas"}', " [x]"]


@pytest.mark.parametrize("thoughts", THOUGHTS)
def test_the_last_value_that_fits_is_meant(thoughts):
    for before, around, after in product(BEFORE, AROUND, AFTER):
        text = thoughts + before + around % RIGHT + after
        assert city(text) == "Berlin", text


@pytest.mark.parametrize(
    "aside",
    [
        *(" // not %s", " /* %s */", " <!-- %s -->", " (instead of %s)", ", not %s", " rather than %s", " # %s"),
        *("\nA wrong answer would be %s.", "\nMy first thought was %s.", "\nThe input: %s", "\nDraft: %s", " nicht %s"),
    ],
)
def test_a_value_that_is_set_aside_is_meant_only_where_no_other_fits(aside):
    assert city(RIGHT + aside % DRAFT) == "Berlin"
    assert city("So:" + aside % RIGHT) == "Berlin"


@pytest.mark.parametrize(
    "before",
    ["# Answer\n", "Wrong! Better: ", "That is not right, so: ", "Not quite. ", "// corrected\n", "Not Ulm but "],
)
def test_words_about_the_draft_do_not_set_the_answer_aside(before):
    assert city(f"{DRAFT}\n{before}{RIGHT}") == "Berlin"


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{RIGHT}",
        f"<think>{RIGHT}</think>",
        f"<think>{RIGHT}</think>I can't say.",
        f'{DRAFT} No, rather {{"city": "Ber',
        f'{{"draft": {DRAFT}, "city": NaN}}',
        f'{{"draft": {DRAFT}, "city": "Ulm", "size": 1e999}}',
        f'So: {{"draft": {DRAFT}, "city": "Ulm", "size": -1e999}}.',
        f'{{"cities": [{DRAFT}, {{"city": 3',
        f'```json\n{{"cities": [{DRAFT}, ]\n```',
        "no JSON",
        "",
        "[" * 100_000,
    ],
)
def test_thoughts_drafts_and_broken_values_are_no_answer(text):
    with pytest.raises(ValueError, match=r"."):
        city(text)


@pytest.mark.parametrize(
    "value",
    [3, -1.5, "Berlin", True, None, [], {}, "<think>no</think>", {"tag": "</think>"}, {"a": "```json\n{}\n```"}],
)
def test_a_text_that_is_json_as_a_whole_is_that_value(value):
    for around in ("%s", " \n%s\n", "\ufeff%s", "<think>{}</think>%s", "```json\n%s\n```"):
        assert list(json_values(around % json.dumps(value))) == [value]


@pytest.mark.parametrize("part", [" ", "[", "{", "]", '{"a":', '["', '"', "[1,", "{}", "```\n", '[{"a": "\\"', "[NaN,"])
def test_time_is_linear(part):
    assert_linear(lambda size: read_all(part * (size // len(part))))


def read_all(text):
    """Read a text alone and before a value."""
    for tail in ("", '{"city": "Ulm"}'):
        try:
            list(json_values(text + tail))
        except ValueError:
            continue
