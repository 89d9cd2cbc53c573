"""Values as the report shows them."""

from __future__ import annotations

from pathlib import Path

import potstill
from potstill.reporting.number_formats import plain


def test_a_path_does_not_say_where_potstill_or_the_working_directory_lies(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    package = Path(potstill.__file__).parent

    assert plain(str(package / "data" / "home" / "teacher")) == "potstill/data/home/teacher"
    assert plain({"files": [str(tmp_path / "seeds.jsonl")]}) == '{"files": ["seeds.jsonl"]}'


def test_a_long_value_is_cut():
    assert plain("x" * 20, longest=10) == "x" * 9 + "…"
