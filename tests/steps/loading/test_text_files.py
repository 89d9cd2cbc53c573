"""Texts: a line or a file a row."""

from __future__ import annotations

import gzip
from pathlib import Path

from potstill.steps.loading.text_files import LoadText
from running import problems_of, rows_of


def test_lines_and_files(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_bytes(b"one\r\n  \n two\x0b\n")
    (tmp_path / "2.txt").write_bytes(gzip.compress(b"three"))
    texts = [row["text"] for row in rows_of(LoadText(str(tmp_path / "*.txt")), tmp_path / "store")]
    assert texts == ["one", " two\x0b", "three"]
    whole = LoadText(str(tmp_path / "*.txt"), per="file", column="page")
    assert rows_of(whole, tmp_path / "store") == [{"page": "one\r\n  \n two\x0b\n"}, {"page": "three"}]
    assert (whole.columns({}), whole.estimate({}).rows) == ({"page"}, 2)


def test_what_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"fine\n\xff\xfe\n")
    (tmp_path / "empty.txt").write_bytes(b"\n")
    assert "a.txt, line 2: is not UTF-8" in problems_of(LoadText(tmp_path / "a.txt"))[0]
    assert "no rows in" in problems_of(LoadText(tmp_path / "empty.txt"))[0]
