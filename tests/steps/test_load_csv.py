"""CSV: cells are texts unless the schema says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill.steps.load_csv import LoadCSV
from running import problems_of, rows_of


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_cells_with_quotes_commas_and_line_breaks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '\ufefftext,n\r\n"a, ""b""\nc",007\r\n\r\nd,\r\n')
    step = LoadCSV(path)
    assert rows_of(step, tmp_path / "store") == [{"text": 'a, "b"\nc', "n": "007"}, {"text": "d", "n": ""}]
    assert (step.columns({}), step.estimate({}).rows) == ({"text", "n"}, 2)


def test_types_and_another_delimiter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "i\tf\tb\ts\n1\t2\tTrue\t\n\t1e-3\tno\tx\n")
    step = LoadCSV(path, delimiter="\t", schema={"i": "int?", "f": float, "b": bool, "s": "str?"})
    assert rows_of(step, tmp_path / "store") == [
        {"i": 1, "f": 2.0, "b": True, "s": None},
        {"i": None, "f": 0.001, "b": False, "s": "x"},
    ]


def test_a_text_longer_than_the_usual_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"text\n{'x' * 200_000}\n")
    assert len(rows_of(LoadCSV(path), tmp_path / "store")[0]["text"]) == 200_000


def test_every_problem_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,n\n"two\nlines",x\na,1,2\nb\nc,\n"cut,3\n')
    found = problems_of(LoadCSV(path, schema={"n": int}))
    for line, part in (
        (2, "field 'n' must be a whole number, got 'x'"),
        (4, "has 3 cells, but the header has 2"),
        (5, "has 1 cells"),
        (6, "field 'n' must be a whole number, got ''"),
        (7, "not valid CSV: unexpected end of data"),
    ):
        assert sum(f"line {line}: " in text and part in text for text in found) == 1, (line, part, found)
    assert len(found) == 5


@pytest.mark.parametrize(
    ("text", "schema", "message"),
    [
        ("a,a\n1,2\n", {}, "line 1: the header names column 'a' 2 times"),
        ("a,b\n1,2\n", {"c": int}, "line 1: no field 'c' (the header has a, b)"),
        ("a,b\n", {}, "no rows"),
        ("a\n1\n", {"a": list}, "a cell holds no list"),
    ],
)
def test_headers_and_schemas_that_do_not_go_together(tmp_path: Path, text: str, schema: dict, message: str) -> None:
    (problem,) = problems_of(LoadCSV(write(tmp_path / "a.csv", text), schema=schema))
    assert message in problem


def test_a_delimiter_that_is_none(tmp_path: Path) -> None:
    assert "must be one character" in problems_of(LoadCSV(write(tmp_path / "a.csv", "a\n1\n"), delimiter=", "))[0]
