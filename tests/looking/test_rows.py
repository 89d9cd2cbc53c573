"""Rows are shown as a table that fits and can't act on the terminal, whole with `--json`, and chosen by a condition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, RequestError, Step
from potstill.cli import main
from potstill.engine.progress import Silent
from potstill.looking.row_table import _wide, table
from potstill.looking.rows import Excerpt, _matching, excerpt

HOSTILE = "\x1b[2J\u202eevil\r\x7f<script>"


class Make(Step):
    def run(self) -> Any:
        yield from ({"n": n, "text": f"row {n}", "cell": {"a": [n, None]}, "share": n / 3} for n in range(30))


class Parts(Step):
    outputs = ("train", "test")

    def run(self) -> Any:
        return {"train": [{"n": 1}, {"n": 2}], "test": [{"n": 3}]}


class Odd(Step):
    def run(self) -> Any:
        return [
            {"text": HOSTILE, "x": float("nan")},
            {"text": "a" * 1_000_000, "x": 1.5},
            {"text": "日本語\n", "x": 1.0},
        ]


class Evaluate(Step):
    def run(self, context: Any) -> Any:
        import pyarrow as pa
        from pyarrow import parquet

        context.out.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.table({"answer": ["yes", "no"]}), context.out / "rows.parquet")
        return {"accuracy": 0.5}


class Figures(Step):
    def run(self) -> Any:
        return {"accuracy": 0.5}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    folder = tmp_path_factory.mktemp("store")
    parts = Parts(name="parts")
    steps = {"made": Make(name="made"), "odd": Odd(name="odd"), "score": Evaluate(name="score")}
    run = Pipeline("p", outputs={**steps, "train": parts.train, "figures": Figures(name="figures")}).run(
        store=folder, watcher=Silent()
    )
    return str(folder), {name: artifact.key for name, artifact in run.steps.items()}


def test_the_first_rows_come_whole_and_in_order(store: tuple[str, dict[str, str]]) -> None:
    actual = excerpt(store[0], store[1]["made"][:12], 3)
    assert [row["n"] for row in actual.rows] == [0, 1, 2]
    assert (actual.total, actual.matching, actual.name) == (30, None, "made")
    assert list(actual.columns) == ["n", "text", "cell", "share"]
    assert len(excerpt(store[0], store[1]["made"], 1000).rows) == 30


def test_a_condition_chooses_rows_and_counts_all_that_meet_it(store: tuple[str, dict[str, str]]) -> None:
    actual = excerpt(store[0], store[1]["made"], 2, "n >= 10 AND text LIKE 'row %'")
    assert [row["n"] for row in actual.rows] == [10, 11]
    assert (actual.total, actual.matching) == (30, 20)
    assert excerpt(store[0], store[1]["made"], 2, "n < 0").rows == []


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("textt = 'a'", "the columns are n (int64), text ("),
        ("n >", "syntax error"),
        ("n = 1; SELECT 2", "modifiers"),
        ("n IN (SELECT column0 FROM read_csv('/etc/passwd'))", "disabled by configuration"),
        ("n IN (SELECT n FROM '/etc/hosts.parquet')", "disabled by configuration"),
        ("length(getenv('HOME')) > 0", "getenv"),
    ],
)
def test_a_condition_that_cant_be_used_is_refused(store: tuple[str, dict[str, str]], where: str, message: str) -> None:
    with pytest.raises(RequestError, match="--where") as caught:
        excerpt(store[0], store[1]["made"], 2, where)
    assert message in str(caught.value)


def test_outputs_are_named(store: tuple[str, dict[str, str]]) -> None:
    assert [row["n"] for row in excerpt(store[0], store[1]["parts"], 9, output="test").rows] == [3]
    with pytest.raises(RequestError, match=r"--output train\|test"):
        excerpt(store[0], store[1]["parts"], 9)
    with pytest.raises(RequestError, match="did you mean train"):
        excerpt(store[0], store[1]["parts"], 9, output="trian")


def test_an_evaluation_shows_its_rows_and_other_figures_have_none(store: tuple[str, dict[str, str]]) -> None:
    assert [row["answer"] for row in excerpt(store[0], store[1]["score"], 9).rows] == ["yes", "no"]
    with pytest.raises(RequestError, match="keeps no rows"):
        excerpt(store[0], store[1]["figures"], 9)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_none_acts_on_it(store: tuple[str, dict[str, str]], width: int) -> None:
    for name in ("made", "odd"):
        lines = table(excerpt(store[0], store[1][name], 9), width).split("\n")
        body = [line for line in lines if not line.startswith(("9 of", "3 of", "columns that"))]
        assert max(map(_wide, body)) <= width
        assert not set("".join(lines)) & set("\x1b\u202e\r\x7f\0")
    assert "…+" in table(excerpt(store[0], store[1]["odd"], 9), width)


def test_a_cut_cell_says_how_much_was_cut() -> None:
    text = table(Excerpt("", "", "", {"t": "string"}, 1, None, [{"t": "ab" * 500_000}]), 40)
    line = text.split("\n")[2]
    shown, _, more = line.partition("…+")
    assert len(shown) + int(more.replace(",", "")) == 1_000_000
    wide = table(Excerpt("", "", "", {f"c{n}": "" for n in range(9)}, 1, None, [{}]), 40)
    assert "columns that don't fit (--json has them): c3, c4" in wide


def test_the_command_prints_a_table_or_json(
    store: tuple[str, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", store[1]["odd"], "--rows", "2", "--store", store[0], "--json"]) == 0
    actual = json.loads(capsys.readouterr().out)
    assert [row["text"] for row in actual["rows"]] == [HOSTILE, "a" * 1_000_000]
    assert [row["x"] for row in actual["rows"]] == [None, 1.5]
    assert main(["show", store[1]["odd"], "--where", "x = 1.5", "--store", store[0]]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 rows that meet the condition, of 3 in all" in out
    assert main(["show", store[1]["made"][:8] + "zz", "--rows", "2", "--store", store[0]]) == 2
    assert f"did you mean {store[1]['made']}?" in capsys.readouterr().err
    assert main(["show", "figres", "--rows", "2", "--store", store[0]]) == 2
    assert f"did you mean {store[1]['figures']}, the step 'figures'?" in capsys.readouterr().err


def test_a_missing_duckdb_names_the_pip_line(
    store: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(RequestError, match=r'pip install "potstill\[data\]"'):
        excerpt(store[0], store[1]["made"], 2, "n = 1")


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "nested"])
@pytest.mark.parametrize("nan_at", [(), (1,), (0, 4), (0, 1, 2, 3, 4)])
def test_conditions_hold_for_nan_too(tmp_path: Path, kind: str, nan_at: tuple[int, ...]) -> None:
    """A file names the least and the largest value of a column without NaN, and no row may be chosen by these alone."""
    import pyarrow as pa
    from pyarrow import parquet

    numbers = [float("nan") if place in nan_at else float(place) for place in range(5)]
    column = pa.array([{"x": number} for number in numbers]) if kind == "nested" else pa.array(numbers).cast(kind)
    parquet.write_table(pa.table({"n": range(5), "f": column}), tmp_path / "a.parquet")
    name = "f.x" if kind == "nested" else "f"
    whole = {
        f"isnan({name})": lambda place: place in nan_at,
        f"not isnan({name})": lambda place: place not in nan_at,
        # in SQL as DuckDB reads it, NaN is more than any number
        f"{name} > 100": lambda place: place in nan_at,
        f"{name} <= 2": lambda place: place not in nan_at and place <= 2,
        f"{name} = 3": lambda place: place not in nan_at and place == 3,
    }
    for condition, holds in whole.items():
        matching, rows = _matching([tmp_path / "a.parquet"], condition, 9, {})
        expected = [place for place in range(5) if holds(place)]
        assert (matching, [row["n"] for row in rows]) == (len(expected), expected), condition
