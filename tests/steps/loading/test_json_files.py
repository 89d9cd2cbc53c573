"""JSON and JSON Lines of any size: everything wrong is named with file, line and field."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import resource
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, RequestError
from potstill.steps.loading import json_list
from potstill.steps.loading.json_files import LoadJSON
from running import artifact_of, problems_of, rows_of

ROWS = [{"text": "a", "n": 1}, {"text": "b\u2028", "n": 2}]


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_lines_and_lists_plain_and_packed(tmp_path: Path, pack: Any, indent: int | None) -> None:
    listed, lined = tmp_path / "list.json", tmp_path / "lines.jsonl"
    listed.write_bytes(pack(b"\xef\xbb\xbf \n" + json.dumps(ROWS, indent=indent).encode()))
    lined.write_bytes(pack(b"".join(json.dumps(row).encode() + b"\r\n\n" for row in ROWS)))
    assert rows_of(LoadJSON(listed), tmp_path / "store") == ROWS
    assert rows_of(LoadJSON(lined), tmp_path / "store") == ROWS


def test_several_files_and_globs_in_order_of_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "bac":
        write(tmp_path / f"{name}.jsonl", json.dumps({"from": name}))
    assert [row["from"] for row in rows_of(LoadJSON(str(tmp_path / "*.jsonl")), tmp_path / "store")] == ["a", "b", "c"]
    two = LoadJSON([tmp_path / "c.jsonl", tmp_path / "a.jsonl"])
    assert [row["from"] for row in rows_of(two, tmp_path / "store")] == ["c", "a"]
    monkeypatch.chdir(tmp_path)
    assert LoadJSON("[ab].jsonl").estimate({}).rows == 2


def test_the_key_is_the_content_not_the_name(tmp_path: Path) -> None:
    first, second = write(tmp_path / "1.jsonl", '{"a": 1}'), write(tmp_path / "2.jsonl", '{"a": 1}')
    key = artifact_of(LoadJSON(first), tmp_path / "store").key
    assert artifact_of(LoadJSON(second), tmp_path / "store").key == key
    write(second, '{"a": 2}')
    assert artifact_of(LoadJSON(second), tmp_path / "store").key != key


def test_fields_that_come_late_and_types_that_widen(tmp_path: Path) -> None:
    lines = ['{"n": 1, "l": []}'] * 12_000 + ['{"n": 0.5, "new": true, "l": [{"k": "v"}], "o": {"x": 1}}']
    rows = rows_of(LoadJSON(write(tmp_path / "a.jsonl", *lines)), tmp_path / "store")
    assert rows[0] == {"n": 1.0, "l": [], "new": None, "o": None}
    assert rows[-1] == {"n": 0.5, "l": [{"k": "v"}], "new": True, "o": {"x": 1}}


def test_every_problem_of_all_files_is_named(tmp_path: Path) -> None:
    first = write(tmp_path / "1.jsonl", '{"n": 1, "t": "x"}', '{"n": 2', "[1]", '{"t": "y"}', '{"n": "3", "t": "z"}')
    first.write_bytes(first.read_bytes() + b'{"t": "\xff"}\n{"n": 4, "t": 5}\n')
    second = write(tmp_path / "2.json", '[{"n": 1},', ' {"n": null},', ' {"n": }]')
    actual = problems_of(LoadJSON([first, second], schema={"n": int}))
    for path, place, part in (
        (first, "line 2", "not valid JSON: Expecting ',' delimiter"),
        (first, "line 3", "must be an object"),
        (first, "line 4", "no field 'n' (it has t)"),
        (first, "line 5", "field 'n' must be a whole number, got '3'"),
        (first, "line 6", "is not UTF-8: byte 0xff at 8"),
        (first, "line 7", "field 't' is a whole number here and a text in line 1"),
        (second, "item 2 (line 2)", "field 'n' must be a whole number, but is missing"),
        (second, "line 3", "not valid JSON: Expecting value"),
    ):
        assert sum(f"{path}, {place}: " in text and part in text for text in actual) == 1, (place, part, actual)
    assert len(actual) == 8


def test_problems_beyond_twenty_are_counted_and_large_files_are_checked_when_they_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.jsonl", *['{"a": 1}'] * 30, *["x"] * 90)
    assert "70 more" in problems_of(LoadJSON(path))[-1]
    monkeypatch.setattr("potstill.steps.loading.files.SMALL_BYTES", 100)
    step = LoadJSON(path)
    assert problems_of(step) == []
    assert (step.columns({}), step.estimate({}).rows) == (None, None)
    with pytest.raises(RequestError, match=r"line 31: not valid JSON"):
        rows_of(step, tmp_path / "store")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no rows"),
        (b"\n \n", "no rows"),
        (b"[]", "no rows"),
        (b'[{"a": 1}', "line 1: not valid JSON: a comma or ] is missing"),
        (b'[{"a": 1},]', "Expecting value"),
        (b'[{"a": 1}]\n{"a": 2}', "line 2: not valid JSON: the list has ended"),
        (b"[" * 100_000, "too deep"),
        (b"{}", "must be an object with fields"),
        (gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:-20], "cut short or damaged"),
    ],
)
def test_files_without_rows_or_with_an_end_that_is_missing(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    (problem,) = problems_of(LoadJSON(path))
    assert message in problem


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert "no such file" in problems_of(LoadJSON(tmp_path / "none.json"))[0]
    assert "no such file" in problems_of(LoadJSON(str(tmp_path / "*.none")))[0]
    assert "is a folder" in problems_of(LoadJSON(tmp_path))[0]
    assert "names no file" in problems_of(LoadJSON([]))[0]


def test_a_list_on_one_line_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_list, "PART_BYTES", 7)
    rows = [{"n": number, "text": '\u00e9"],' * number} for number in range(40)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert rows_of(LoadJSON(path), tmp_path / "store") == rows


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    peaks = []
    for count in (5_000, 40_000):
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            for number in range(count):
                file.write(json.dumps({"id": number, "text": f"{number} " * 150}) + "\n")
        assert sum(batch.num_rows for batch in LoadJSON(path).run()) == count
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    assert peaks[1] - peaks[0] < path.stat().st_size / 3


def test_a_list_under_a_key(tmp_path: Path) -> None:
    given = {"version": "1", "meta": {"data": [0]}, "data": [{"a": 1}, {"a": 2}], "rest": [1]}
    for indent in (None, 1):
        path = tmp_path / f"{indent}.json"
        path.write_text(json.dumps(given, indent=indent))
        assert rows_of(LoadJSON(path, field="data"), tmp_path / "store") == [{"a": 1}, {"a": 2}]
        assert "no field 'rows' (it has version, meta, data, rest)" in problems_of(LoadJSON(path, field="rows"))[0]
        assert "field 'version' holds no list" in problems_of(LoadJSON(path, field="version"))[0]
        assert "item 1 (line" in problems_of(LoadJSON(path, field="meta.data"))[0]
    (problem,) = problems_of(LoadJSON(tmp_path / "1.json"))
    assert "is one JSON object, not a list of rows: say field=" in problem
    deep = write(tmp_path / "deep.json", '{"a": {"b": [{"x": 1}]}}')
    assert rows_of(LoadJSON(deep, field="a.b"), tmp_path / "store") == [{"x": 1}]


@pytest.mark.parametrize("start", ["{", '{"data": [', '{"data": [{"a": 1},', '{"v": 1,', '{"v":'])
def test_one_object_over_several_lines_is_said_once(start: str, tmp_path: Path) -> None:
    (problem,) = problems_of(LoadJSON(write(tmp_path / "a.json", start, '"x": 1}', "]", "}")))
    assert "is one JSON object" in problem


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 100_000, "not valid JSON: it is nested too deep"),
        ('{"a": ' * 100_000, "not valid JSON: it is nested too deep"),
        ('{"n": %s}' % ("1" * 5000), "not valid JSON: Exceeds the limit"),
        ('{"i": 1%s}' % ("0" * 30), "field 'i' holds a whole number of more than 64 bits"),
        ('{"i": [1%s]}' % ("0" * 30), "field 'i[]' holds a whole number of more than 64 bits"),
        (r'{"m": [{"c": "\ud83d"}]}', "field 'm[].c' holds half a character"),
        (r'{"\ud83d": 1}', "field '\\ud83d'"),
        ('{"a": [1, "x"]}', "field 'a[]' holds a text ('x')"),
    ],
)
def test_odd_values_are_named_by_line_and_field(line: str, message: str, tmp_path: Path) -> None:
    lines = write(tmp_path / "a.jsonl", '{"n": 0.5}', line)
    assert f"line 2: {message}" in problems_of(LoadJSON(lines))[0]
    listed = write(tmp_path / "a.json", '[{"n": 0.5},', f"{line}]")
    assert message in problems_of(LoadJSON(listed))[0]


def test_a_whole_number_that_a_fraction_would_change(tmp_path: Path) -> None:
    lines = write(tmp_path / "a.jsonl", '{"n": 0.5}', '{"n": 1152921504606846977}')
    assert "line 2: field 'n' holds 1152921504606846977, which is changed" in problems_of(LoadJSON(lines))[0]
    far = ['{"n": 1152921504606846977}'] * 2001 + ['{"n": 0.5}']
    with pytest.raises(RequestError, match="field 'n' holds 1152921504606846977, which is changed"):
        artifact_of(LoadJSON(write(tmp_path / "b.jsonl", *far)), tmp_path / "store")


def test_other_encodings_by_their_mark(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-32"):
        (tmp_path / "a.json").write_bytes(json.dumps(ROWS).encode(encoding))
        assert rows_of(LoadJSON(tmp_path / "a.json"), tmp_path / "store") == ROWS
        (tmp_path / "a.json").write_bytes("".join(f"{json.dumps(row)}\n" for row in ROWS).encode(encoding))
        assert rows_of(LoadJSON(tmp_path / "a.json"), tmp_path / "store") == ROWS


def test_tool_arguments_keep_their_own_keys(tmp_path: Path) -> None:
    rows = [{"arguments": {"city": "Ulm"}}, {"arguments": {}}, {"arguments": {"city": "Ulm", "days": 2}}]
    for form in ("\n".join(map(json.dumps, rows)), json.dumps(rows)):
        path = write(tmp_path / "a.json", form)
        result = artifact_of(LoadJSON(path), tmp_path / "store")
        assert result.dataset().to_list() == rows == result.dataset().to_pandas().to_dict("records")


@pytest.mark.parametrize("number", ["1e999", "-1E+400", "0.5e0309"])
def test_a_number_larger_than_any_is_named_and_not_made_infinity(tmp_path: Path, number: str) -> None:
    text = f'{{"a": {{"x": 1e300}}, "n": [{number}]}}'
    for form in (text, f"[{text}]", f'{{"data": [{text}]}}'):
        file = write(tmp_path / "a.json", form)
        (problem,) = problems_of(LoadJSON(file, field="data" if "data" in form else ""))
        assert "line 1" in problem and "is larger than any number that can be kept" in problem


def test_a_missing_file_is_said_once_and_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError) as caught:
        Pipeline("p", {"rows": LoadJSON("none.json")}).run(store=tmp_path / "store")
    assert str(caught.value).endswith(f"no such file: none.json in {tmp_path}, the folder that the command runs in")
    assert str(caught.value).count("no such file") == 1
    assert problems_of(LoadJSON(tmp_path / "none.json"))[0].endswith(f"no such file: {tmp_path / 'none.json'}")


@pytest.mark.parametrize("levels", [60, 500])
def test_objects_that_no_column_holds_for_their_depth_are_named(tmp_path: Path, levels: int) -> None:
    file = write(tmp_path / "deep.jsonl", '{"a":' + '{"x":' * levels + "1" + "}" * levels + "}")
    with pytest.raises(RequestError, match="is nested"):
        rows_of(LoadJSON(file), tmp_path / "store")
