"""An edit of a project that changes its result changes the key; one that can't changes nothing; plain code is taken."""

from __future__ import annotations

import pytest

from mutation.judging import judge

EDITS = 250
"""Projects of each half; each is edited once so that the result changes and once so that it can't."""


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 100_000])
def test_no_edit_of_a_project_is_answered_by_an_old_result(first: int) -> None:
    actual = judge(range(first, first + EDITS))
    print(actual)
    assert not actual.broken, actual.broken[0]
    assert not actual.stale, actual.stale[0]
    assert not actual.refused, actual.refused[0]
    assert len(actual.missed) < actual.edits / 100, actual.missed[0]
    assert actual.edits == EDITS
