"""Values as the report shows them."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

import potstill
from potstill.reporting.number_formats import plain


def test_a_path_does_not_say_where_potstill_or_the_working_directory_lies(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    package = Path(potstill.__file__).parent

    assert plain(str(package / "data" / "home" / "teacher")) == "potstill/data/home/teacher"
    assert plain({"files": [str(tmp_path / "seeds.jsonl")]}) == '{"files": ["seeds.jsonl"]}'


def test_a_long_value_is_cut():
    assert plain("x" * 20, longest=10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/home/ada/secret project/seeds.jsonl", "seeds.jsonl"),
        (["/srv/ada/a.csv", "b.csv"], '["a.csv", "b.csv"]'),
        ({"model": "/srv/ada/models/base", "n": 1}, '{"model": "base", "n": 1}'),
        (PurePath("/srv/ada/x"), "x"),
        ("https://me:secret@host/v1", "https://host/v1"),
        ("and/or", "and/or"),
        ("Say /yes/ or /no/.\nNothing else.", "Say /yes/ or /no/.\nNothing else."),
    ],
)
def test_a_parameter_is_shown_without_whose_folder_it_lies_in(value, shown):
    assert "ada" not in plain(value) and "me:secret" not in plain(value)
    assert plain(value) == shown
