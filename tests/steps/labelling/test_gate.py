"""Gate: rows pass if enough labels are right; else what is mixed up is named and nothing behind it runs."""

from __future__ import annotations

import pytest

import scripted
from potstill.errors import BadInput, PotstillError
from potstill.steps.labelling.gate import Gate


def passed(tmp_path, pairs, **fields):
    """Send rows with these pairs of right label and label through a gate."""
    rows = [{"gold": gold, "label": label} for gold, label in pairs]
    return scripted.run(Gate(None, **fields), tmp_path, rows=rows)[0]


@pytest.mark.parametrize(("right", "passes"), [(7, False), (8, True), (10, True)])
def test_the_share_that_is_wanted_is_enough_and_no_less(tmp_path, right, passes):
    pairs = [(str(number % 5), str(number % 5) if number < right else "x") for number in range(10)]
    if passes:
        assert passed(tmp_path, pairs, least=0.8) == [{"gold": gold, "label": label} for gold, label in pairs]
    else:
        with pytest.raises(PotstillError, match="7 of 10 rows rightly, and 80% are wanted"):
            passed(tmp_path, pairs, least=0.8)


def test_the_labels_that_are_mixed_up_are_named_the_most_frequent_first(tmp_path):
    pairs = [("bug", "billing")] * 3 + [("other", "bug")] + [("bug", "bug")] * 2
    with pytest.raises(PotstillError, match=r"'bug' called 'billing' \(3\), 'other' called 'bug' \(1\)"):
        passed(tmp_path, pairs)


def test_saying_always_the_same_is_not_enough_however_frequent_it_is(tmp_path):
    pairs = [("a", "a")] * 9 + [("b", "a")]
    with pytest.raises(PotstillError, match="always saying 'a' does as well"):
        passed(tmp_path, pairs, least=0.5)
    assert len(passed(tmp_path, [("a", "a")] * 3)) == 3


def test_no_rows_and_a_column_held_against_itself_are_refused(tmp_path):
    with pytest.raises(BadInput, match="no rows to judge by"):
        passed(tmp_path, [])
    assert [problem.field for problem in Gate(None, gold="label").check()] == ["gold"]
