"""What tests of endpoints share: a key, and no long waits."""

from __future__ import annotations

import pytest

from odd_server import KEY
from potstill.teachers.openai import lanes


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
