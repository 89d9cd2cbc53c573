"""CSV: cells are texts unless the schema says otherwise."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from potstill.steps.loading import files
from potstill.steps.loading.csv_files import LoadCSV
from potstill.steps.rows.columns import Select
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
    actual = problems_of(LoadCSV(path, schema={"n": int}))
    for line, part in (
        (2, "field 'n' must be a whole number, got 'x'"),
        (4, "has 3 cells, but the header has 2"),
        (5, "has 1 cells"),
        (6, "field 'n' must be a whole number, got ''"),
        (7, "not valid CSV: unexpected end of data"),
    ):
        assert sum(f"line {line}: " in text and part in text for text in actual) == 1, (line, part, actual)
    assert len(actual) == 5


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


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-16-be", "utf-32", "shift_jis", "gb18030"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    text = "日本,b\n語,1\n" if encoding in ("shift_jis", "gb18030") else "größe,b\nü,1\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    (head, _), (cell, _) = (line.split(",") for line in text.split())
    assert rows_of(LoadCSV(tmp_path / "a.csv", encoding=encoding), tmp_path / "store") == [{head: cell, "b": "1"}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_the_mark_at_the_beginning_names_the_encoding(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes('größe,b\n"ü\nü",1\n'.encode(encoding))
    assert rows_of(LoadCSV(tmp_path / "a.csv"), tmp_path / "store") == [{"größe": "ü\nü", "b": "1"}]


def test_what_is_not_in_the_encoding_is_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("a\nb\nü\n".encode("latin-1"))
    (problem,) = problems_of(LoadCSV(tmp_path / "a.csv"))
    assert "a.csv, line 3: is not UTF-8: byte 0xfc at 1: say encoding= (such as latin-1" in problem
    assert "no encoding is called 'latin1x'" in problems_of(LoadCSV(tmp_path / "a.csv", encoding="latin1x"))[0]
    (tmp_path / "a.csv").write_bytes("a\nb\n".encode("utf-16") + b"\x00")
    assert "is not utf-16-le" in problems_of(LoadCSV(tmp_path / "a.csv"))[0]
    for name in ("utf-16", "utf-32"):
        (tmp_path / "a.csv").write_bytes("a\nb\n".encode(f"{name}-le"))
        assert (
            f"say the order of its bytes, as in encoding='{name}-le'"
            in (problems_of(LoadCSV(tmp_path / "a.csv", encoding=name))[0])
        )
        assert rows_of(LoadCSV(tmp_path / "a.csv", encoding=f"{name}-le"), tmp_path / "store") == [{"a": "b"}]


def test_a_column_that_may_be_missing_is_known_beforehand(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\nx\n")
    step = LoadCSV(tmp_path / "a.csv", schema={"a": str, "n": "int?"})
    assert rows_of(Select(step, ["a", "n"]), tmp_path / "store") == [{"a": "x", "n": None}]


NUMBERS = ["1_000", "١٢", "1,5", "0x1f", "one", "1e999", "nan", "Infinity", "1" * 5000, "", "- 1", "1e"]


@pytest.mark.parametrize("cell", NUMBERS)
def test_numbers_are_what_files_write_not_what_python_reads(cell: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'n,x\n"{cell}",y\n', encoding="utf-8")
    for kind in (int, float):
        (problem,) = problems_of(LoadCSV(tmp_path / "a.csv", schema={"n": kind}))
        assert "line 2: field 'n' must be a" in problem


def test_numbers_that_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("i,f\n+1,1\n -2 ,.5\n007,-1.e3\n", encoding="utf-8")
    rows = rows_of(LoadCSV(tmp_path / "a.csv", schema={"i": int, "f": float}), tmp_path / "store")
    assert rows == [{"i": 1, "f": 1.0}, {"i": -2, "f": 0.5}, {"i": 7, "f": -1000.0}]
    (tmp_path / "b.csv").write_text("f\nnan\n-inf\n", encoding="utf-8")
    asked = LoadCSV(tmp_path / "b.csv", schema={"f": float}, special_numbers=True)
    assert [str(row["f"]) for row in rows_of(asked, tmp_path / "store")] == ["nan", "-inf"]


def test_a_line_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_BYTES", 1000)
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"a\nshort\n" + b"x" * 100_000))
    assert "line 3: is longer than" in problems_of(LoadCSV(tmp_path / "a.csv"))[0]
    monkeypatch.setattr(files, "SMALL_UNPACKED", 1000)
    assert problems_of(LoadCSV(tmp_path / "a.csv")) == []  # it is read when it runs
