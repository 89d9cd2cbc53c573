"""Patterns that a user gives are read as Python's own, and stop in time."""

import re
import time

import pytest

from potstill.labelling.vote import answer_in
from potstill.steps.generation.answer_parsers import fields, groups
from potstill.text import patterns
from potstill.text.patterns import SlowPattern, pattern, pattern_problem

SLOW = r"(?:a|aa|a b?a)+b"
ALMOST = "a" * 60 + "!"
ALIKE = [
    r"\d+",
    r"answer is (\d+)",
    r"\\boxed{(\w+)}",
    r"x{e}",
    r"x{i<=2}y",
    r"x{2}",
    r"x{1,2}",
    r"x{,2}",
    r"{}",
    r"[[:alpha:]]",
    r"[][a]",
    r"[^]a]",
    r"[{e}]{2}",
    r"(?i)ß|ss",
    r"(?s).+",
    r"\N{BULLET}\s*(.*)",
    r"(?P<a>x)|(?P<b>y)",
    r"a*",
    r"\bno\b",
    r"(?m)^x",
]
TEXTS = [
    "",
    "x",
    "xx",
    "xe",
    "x{e}",
    "x{i<=2}y",
    "the answer is 42",
    r"\boxed{7}",
    "{}",
    ":]",
    "a]",
    "SS ß",
    "• one\nx no",
    "[a:",
]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each text a tenth of a second."""
    monkeypatch.setattr(patterns, "SECONDS", 0.1)


@pytest.mark.parametrize("text", ALIKE)
@pytest.mark.filterwarnings("ignore:Possible nested set")
def test_a_pattern_means_what_it_means_in_python(text: str) -> None:
    ours, theirs = pattern(text), re.compile(text)
    for tried in TEXTS:
        everywhere = list(theirs.finditer(tried))
        for actual, wanted in (
            (ours.fullmatch(tried), theirs.fullmatch(tried)),
            (ours.search(tried), theirs.search(tried)),
            (ours.last(tried), everywhere[-1] if everywhere else None),
        ):
            assert (actual and (actual.span(), actual.groups())) == (wanted and (wanted.span(), wanted.groups())), tried


def test_what_only_another_engine_reads_is_no_pattern() -> None:
    assert pattern_problem(r"\p{L}+").startswith(r"'\\p{L}+' is no regular expression")
    assert (
        pattern_problem("(")
        == "'(' is no regular expression (missing ), unterminated subpattern at position 0): correct it"
    )
    assert pattern_problem("a|b") == ""


@pytest.mark.parametrize(
    "read",
    [
        lambda text: groups(SLOW)(text),
        lambda text: answer_in(text, SLOW),
        lambda text: fields({"type": "string", "pattern": SLOW})(f'"{text}"'),
        lambda text: fields({"type": "object", "patternProperties": {SLOW: {}}})(f'{{"{text}": 1}}'),
        lambda text: fields({"additionalProperties": False, "patternProperties": {SLOW: {}}})(f'{{"{text}": 1}}'),
    ],
)
@pytest.mark.usefixtures("hurried")
def test_a_pattern_that_takes_too_long_ends_with_its_name_and_the_text(read: object) -> None:
    assert callable(read)
    started = time.process_time()
    with pytest.raises(SlowPattern) as caught:
        read(ALMOST)
    assert time.process_time() - started < 3
    assert f"the pattern {SLOW!r} takes more than 0.1 s on the text '{'a' * 60}" in str(caught.value)


def test_schemas_with_patterns_hold_what_they_say() -> None:
    schema = {
        "properties": {"name": {"pattern": "^[A-Z]"}},
        "patternProperties": {"^n_": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert fields(schema)('{"name": "Ulm", "n_1": 3}') == {"name": "Ulm"}
    for wrong in ('{"name": "ulm"}', '{"n_1": "three"}', '{"other": 1}'):
        with pytest.raises(ValueError, match=r"match|integer|unexpected"):
            fields(schema)(wrong)
    assert fields({**schema, "additionalProperties": {"type": "null"}})('{"other": null}') == {"name": None}
