"""Pages of rows: filtered, searched and sorted as plain Python would, with names and values that are only that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from potstill import BadInput, Pipeline, Step
from potstill.engine.progress import Silent
from potstill.engine.store.artifacts import Artifact
from potstill.looking import paging
from potstill.looking.paging import Filter, Query, page, whole_row

ODD = 'a "quoted"; DROP <b>'
ROWS = [
    {
        "text": ("" if number == 3 else None if number == 4 else f"Word {number % 10} {'%_' if number == 5 else ''}"),
        "number": number * 37 % 100,
        "half": None if number % 3 else number / 4,
        ODD: f"{number % 4}'; --",
        "tags": [str(number)],
    }
    for number in range(100)
]


class Make(Step):
    def run(self) -> Any:
        return ROWS


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    store = tmp_path_factory.mktemp("store")
    return Pipeline("p", outputs={"made": Make(name="made")}).run(store=store, watcher=Silent())["made"]


def numbers(artifact: Artifact, **query: Any) -> list[int]:
    return [row.number for row in page(artifact, "", Query(limit=200, **query)).rows]


def where(condition: Any) -> list[int]:
    return [number for number, row in enumerate(ROWS) if condition(row)]


@pytest.mark.parametrize(
    ("column", "operator", "value", "condition"),
    [
        ("text", "contains", "WORD 1", lambda row: "word 1" in (row["text"] or "").lower()),
        ("text", "contains", "%_", lambda row: "%_" in (row["text"] or "")),
        ("text", "lacks", "word 1", lambda row: "word 1" not in (row["text"] or "").lower()),
        ("text", "is", "Word 7 ", lambda row: row["text"] == "Word 7 "),
        ("text", "not", "Word 7 ", lambda row: row["text"] != "Word 7 "),
        ("text", "empty", "", lambda row: not row["text"]),
        ("text", "filled", "", lambda row: row["text"]),
        ("number", "less", "10", lambda row: row["number"] < 10),
        ("number", "most", "9.5", lambda row: row["number"] <= 9.5),
        ("number", "more", "90", lambda row: row["number"] > 90),
        ("half", "least", "20", lambda row: row["half"] is not None and row["half"] >= 20),
        ("half", "empty", "", lambda row: row["half"] is None),
        (ODD, "is", "1'; --", lambda row: row[ODD] == "1'; --"),
        ("tags", "contains", "42", lambda row: "42" in row["tags"]),
    ],
)
def test_a_filter_keeps_what_plain_python_keeps(
    artifact: Artifact, column: str, operator: str, value: str, condition: Any
) -> None:
    expected = where(condition)
    assert expected and len(expected) < len(ROWS)
    assert numbers(artifact, filters=[Filter(column, operator, value)]) == expected


def test_a_search_looks_into_every_text_in_any_case_and_takes_no_wildcard(artifact: Artifact) -> None:
    assert numbers(artifact, search="wORD 7") == where(lambda row: "word 7" in (row["text"] or "").lower())
    assert numbers(artifact, search="2'; --") == where(lambda row: row[ODD] == "2'; --")
    assert numbers(artifact, search="W%d") == []
    assert (
        numbers(artifact, search="w.rd") == numbers(artifact, search="(?-i)") == numbers(artifact, search="word|") == []
    )
    assert numbers(artifact, search=" %_") == [5]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("column", ["number", "half", "text", ODD])
def test_pages_of_a_sorted_column_have_every_row_once_in_order_missing_ones_last(
    artifact: Artifact, column: str, descending: bool
) -> None:
    query = Query(sort=column, descending=descending, limit=15)
    pages = [page(artifact, "", replace(query, offset=offset)) for offset in range(0, 100, 15)]
    rows = [row.number for one in pages for row in one.rows]
    expected = sorted(where(lambda row: row[column] is not None), key=lambda number: ROWS[number][column])
    if descending:
        expected.sort(key=lambda number: ROWS[number][column], reverse=True)
    assert rows == expected + where(lambda row: row[column] is None)


def test_a_page_counts_what_matches_and_stays_within_it(artifact: Artifact) -> None:
    shown = page(artifact, "", Query(filters=[Filter("number", "less", "30")], limit=20))
    assert (shown.total, shown.matching, len(shown.rows), shown.offset) == (100, 30, 20, 0)
    last = page(artifact, "", Query(filters=[Filter("number", "less", "30")], limit=20, offset=9_999))
    assert (last.offset, len(last.rows)) == (20, 10)
    assert page(artifact, "", Query(search="nowhere")).matching == 0


def test_all_that_is_wrong_with_a_query_is_named_together(artifact: Artifact) -> None:
    filters = [Filter("numbre", "is", "1"), Filter("number", "is", "many"), Filter("text", "drop", "1")]
    with pytest.raises(BadInput) as raised:
        page(artifact, "", Query(filters=filters, sort="tex"))
    texts = [str(problem) for problem in raised.value.problems]
    assert len(texts) == 4
    assert "did you mean number?" in texts[0]
    assert any("'many' is none" in text for text in texts)
    assert any("'drop'" in text and "contains" in text for text in texts)


def test_a_long_cell_is_cut_and_says_how_much(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "LONGEST", 3)
    first = page(artifact, "", Query(limit=1)).rows[0].cells[0]
    assert (first.text, first.more) == ("Wor", 4)


def test_one_row_is_shown_whole_and_one_that_is_not_there_is_named(artifact: Artifact) -> None:
    columns, row, total = whole_row(artifact, "", 42)
    cells = dict(zip([column.name for column in columns], [cell.text for cell in row.cells], strict=True))
    assert (cells["text"], cells["tags"], total) == ("Word 2 ", "[42]", 100)
    with pytest.raises(BadInput, match="rows 0 to 99"):
        whole_row(artifact, "", 100)


def test_rows_in_several_files_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from potstill.engine.rows import files

    monkeypatch.setattr(files, "GROUP_ROWS", 7)
    monkeypatch.setattr(files, "PART_GROUPS", 2)
    artifact = Pipeline("p", outputs={"made": Make(name="made")}).run(store=tmp_path, watcher=Silent())["made"]
    assert len(artifact.parts()) > 5
    shown = page(artifact, "", Query(offset=40, limit=20))
    assert [row.number for row in shown.rows] == list(range(40, 60))
    assert numbers(artifact, sort="number") == sorted(range(100), key=lambda number: ROWS[number]["number"])
    assert whole_row(artifact, "", 93)[1].cells[4].text == "[93]"


def saved(folder: Path, rows: list[dict[str, Any]]) -> Artifact:
    class Odd(Step):
        def run(self) -> Any:
            return rows

    return Pipeline("p", outputs={"odd": Odd(name="odd")}).run(store=folder, watcher=Silent())["odd"]


def test_a_column_may_be_called_as_the_query_is_written(tmp_path: Path) -> None:
    odd = saved(tmp_path, [{"{rows}": "a", "key": 1}, {"{rows}": "b", "key": 2}])
    assert (
        numbers(odd, filters=[Filter("{rows}", "is", "b")]) == numbers(odd, filters=[Filter("key", "is", "2")]) == [1]
    )
    assert numbers(odd, sort="{rows}", descending=True) == [1, 0]
    assert whole_row(odd, "", 1)[1].cells[0].text == "b"


@pytest.mark.parametrize("name", ["file_index", "File_Row_Number"])
def test_a_column_that_would_name_other_rows_is_refused(tmp_path: Path, name: str) -> None:
    odd = saved(tmp_path, [{name: 0, "x": "a"}, {name: 0, "x": "b"}])
    for look in (lambda: page(odd, "", Query()), lambda: whole_row(odd, "", 1)):
        with pytest.raises(BadInput, match=f"{name}.*`Rename`"):
            look()


def test_values_are_read_as_people_write_them_or_not_at_all(tmp_path: Path) -> None:
    odd = saved(tmp_path, [{"yes": True, "x": 15.0}, {"yes": False, "x": 1500.0}, {"yes": None, "x": 1.5}])
    assert numbers(odd, filters=[Filter("yes", "is", "True")]) == [0]
    assert numbers(odd, filters=[Filter("yes", "not", "False")]) == [0, 2]
    assert numbers(odd, filters=[Filter("x", "is", "1,500")]) == [1]
    assert numbers(odd, filters=[Filter("x", "less", "9" * 400)]) == [0, 1, 2]
    with pytest.raises(BadInput, match="'1,5' is none"):
        numbers(odd, filters=[Filter("x", "is", "1,5")])
