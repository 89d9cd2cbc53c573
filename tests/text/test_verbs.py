"""Verb and object by rules: what they get right, and that they say nothing where they know nothing."""

from __future__ import annotations

import pytest

from potstill.text.verbs import verb_and_object


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write a short story about a dog.", ("write", "story")),
        ("Please give me three good reasons for it", ("give", "reason")),
        ("Can you suggest some names?", ("suggest", "name")),
        ("I'd like you to translate the given sentence into German", ("translate", "sentence")),
        ("Your task is to classify each review.", ("classify", "review")),
        ("In this task, you need to find the CSS code associated with that color.", ("find", "code")),
        ("If it rains, close the windows", ("close", "window")),
        ("Turn on the lamp in the kitchen", ("turn", "lamp")),
        ("Give the user a list of books", ("give", "list")),
        ("Create a table listing all games", ("create", "table")),
        ("Describe the company's policies", ("describe", "policy")),
        ("You get a text. Summarize the text!", ("summarize", "text")),
        ("Explain why the sky is blue.", ("explain", "")),
        ("What is the capital of France?", None),
        ("", None),
        ("写一首诗", None),
    ],
)
def test_what_is_asked_for(text: str, expected: tuple[str, str] | None) -> None:
    assert verb_and_object(text) == expected
