"""An edit of a project that changes its result changes the key; one that can't changes nothing; plain code is taken."""

from __future__ import annotations

import pytest

from mutation.judging import judge

EDITS = 250
"""Projects of each half; each is edited once so that the result changes and once so that it can't."""


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 100_000])
def test_no_edit_of_a_project_is_answered_by_an_old_result(first: int) -> None:
    found = judge(range(first, first + EDITS))
    print(found)
    assert not found.broken, found.broken[0]
    assert not found.stale, found.stale[0]
    assert not found.refused, found.refused[0]
    assert len(found.missed) < found.edits / 100, found.missed[0]
    assert found.edits == EDITS
