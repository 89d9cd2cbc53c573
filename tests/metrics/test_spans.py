"""Spans are those of conlleval, and what is found of them is counted whole."""

import doctest
from itertools import pairwise, product

import pytest

from potstill.metrics import spans as tagging
from potstill.metrics.spans import Span, span_scores, spans
from potstill.models import word_tokens


def conlleval(tags):
    """Return the spans by the two questions that the script asks between each word and the next."""
    result, begun = [], 0
    split = [("O", "") if tag == "O" else tuple(tag.split("-")) for tag in ("O", *tags, "O")]
    for place, ((before, old), (now, new)) in enumerate(pairwise(split)):
        changed = old != new
        ends = before in "ES" or (before in "BI" and now in "BSO") or (before != "O" and changed)
        starts = now in "BS" or (before in "ESO" and now in "EI") or (now != "O" and changed)
        if ends:
            result.append(Span(begun, place, old))
        if starts:
            begun = place
    return result


def test_spans_are_those_of_conlleval_for_every_sequence_of_four_labels():
    labels = ("O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "S-Y")
    for tags in product(labels, repeat=4):
        assert spans(tags) == conlleval(tags), tags


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-X I-X O B-X", [(0, 2, "X"), (3, 4, "X")]),
        ("B-X B-X I-X", [(0, 1, "X"), (1, 3, "X")]),
        # no B before an I, and another type in the middle: lenient, as the script is
        ("O I-X I-X", [(1, 3, "X")]),
        ("B-X I-Y I-Y", [(0, 1, "X"), (1, 3, "Y")]),
        ("B-Y-1 I-Y-1", [(0, 2, "Y-1")]),
        # a last word and an only one by letters of their own
        ("B-X I-X E-X S-X S-X", [(0, 3, "X"), (3, 4, "X"), (4, 5, "X")]),
        ("B-X L-X U-X I-X", [(0, 2, "X"), (2, 3, "X"), (3, 4, "X")]),
        ("B I O B", [(0, 2, "_"), (3, 4, "_")]),
        # plain types
        ("DEVICE DEVICE ROOM O ROOM", [(0, 2, "DEVICE"), (2, 3, "ROOM"), (4, 5, "ROOM")]),
    ],
)
def test_spans_of_cases_made_by_hand(tags, expected):
    assert spans(tags.split()) == [Span(*one) for one in expected]


def test_a_span_counts_when_both_ends_and_the_type_are_right():
    expected = [["B-X", "I-X", "O", "B-Y", "O"], ["B-X", "O", "B-X"]]
    predicted = [["B-X", "O", "O", "B-Y", "B-Z"], ["B-Y", "O", "I-X"]]
    scores = span_scores(expected, predicted)
    # of 4 spans expected and 5 named, (3, 4, Y) and (2, 3, X) are right
    assert (scores.total.n, scores.total.precision, scores.total.recall) == (4, 2 / 5, 2 / 4)
    assert scores.total.f1 == pytest.approx(2 * 0.4 * 0.5 / (0.4 + 0.5))
    assert [(one.label, one.n, one.precision, one.recall) for one in scores.types] == [
        ("X", 3, 1 / 2, 1 / 3),
        ("Y", 1, 1 / 2, 1.0),
        ("Z", 0, 0.0, 0.0),
    ]


def test_texts_are_apart_and_nothing_to_find_is_no_success():
    apart = span_scores([["I-X"], ["I-X"]], [["I-X"], ["I-X"]])
    assert apart.total.n == 2 and apart.total.f1 == 1
    nothing = span_scores([["O", "O"]], [["O", "O"]]).total
    assert (nothing.n, nothing.precision, nothing.recall, nothing.f1) == (0, 0, 0, 0)


def test_the_examples_in_the_docstrings():
    assert not doctest.testmod(tagging).failed and not doctest.testmod(word_tokens).failed
