"""The plain parser: kind, labels, languages and examples of wishes as people write them."""

from __future__ import annotations

import itertools

import pytest

from potstill.wishes.describe import described, labels_in

LABELS = ("billing", "bug", "other")


@pytest.mark.parametrize("verb", ["Classify", "Sort", "Categorize", "Label", "Please tag"])
@pytest.mark.parametrize("lead", [" as ", " into ", " into one of the categories ", ": ", " as either "])
@pytest.mark.parametrize("last", [" or ", ", or ", " and ", ", and ", ", "])
@pytest.mark.parametrize("end", ["", ".", "!", " "])
def test_labels_are_found_however_the_sentence_lists_them(verb, lead, last, end):
    said = described(f"{verb} support mails{lead}billing, bug{last}other{end}")
    assert (said.labels, said.kind) == (LABELS, "classification")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Say whether a review is positive or negative", ("positive", "negative")),
        ("Decide whether a mail is spam or not.", ("spam", "not spam")),
        ("Tell whether a comment is toxic", ("toxic", "not toxic")),
        ("Classify the user's mails as 'billing, payments' or 'bug'", ("billing, payments", "bug")),
        ("Classify mails as “bug report” or “praise”", ("bug report", "praise")),
        ("Classify mails as billing and payments, bug or other", ("billing and payments", "bug", "other")),
        ("Classify mails as billing (payments, invoices), bug (crashes) or other", LABELS),
        ("Rate the urgency of tickets (low, medium, high)", ("low", "medium", "high")),
        ("Which device is meant?\nLabels: light, coffee maker, none", ("light", "coffee maker", "none")),
        ("Classify tweets as positive or negative in English and German", ("positive", "negative")),
        ("Classify mails written in German as Rechnung or Fehler", ("Rechnung", "Fehler")),
        ("Sort mails. They come from customers. Use the labels: a, b", ("a", "b")),
        ("Classify mails", ()),
        ("Classify news articles by topic, and be quick about it when there is a lot of them to go through", ()),
    ],
)
def test_labels_of_sentences_of_other_forms(text, labels):
    assert labels_in(text) == labels


def test_every_list_of_plain_labels_is_read_back():
    words = ("red", "dark blue", "none of these", "Übriges", "C++", "5 stars")
    for count in (2, 3, 4):
        for labels in itertools.permutations(words, count):
            text = f"Classify paints as {', '.join(labels[:-1])} or {labels[-1]}"
            assert labels_in(text) == labels


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Extract the names and dates from mails", "extraction"),
        ("Translate English to German or French", "translation"),
        ("Write a summary of each mail", "generation"),
        ("Which device is meant?", ""),
        ("Sentiment of reviews", "classification"),
    ],
)
def test_the_kind_of_a_task_is_told_by_its_first_verb(text, kind):
    assert described(text).kind == kind


def test_examples_on_lines_of_their_own_are_no_part_of_the_instruction():
    said = described("Classify mails as bug or other.\n- It crashes -> bug\n'Hello!' => other\nBe strict.")
    assert said.examples == (("It crashes", "bug"), ("Hello!", "other"))
    assert said.instruction == "Classify mails as bug or other.\nBe strict."
    assert described("Classify German and French mails as a or b").languages == ("de", "fr")
