"""SQL over rows, and over nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from potstill import RequestError
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.rows.columns import Select
from potstill.steps.rows.sql import SQL
from projects import Project
from running import problems_of, rows_of

ROWS = LoadRows([{"k": "a", "n": 1, "l": [1, 2]}, {"k": "b", "n": 2, "l": []}, {"k": "a", "n": 3, "l": None}])
NAMES = LoadRows([{"k": "a", "name": "Ada"}, {"k": "b", "name": "Bob"}])


def sql(query: str) -> SQL:
    return SQL(query, tables={"rows": ROWS, "names": NAMES})


def test_a_query_over_two_tables(tmp_path: Path) -> None:
    step = sql(
        "WITH s AS (SELECT k, sum(n) AS n, avg(n) AS mean FROM rows GROUP BY k) "
        "SELECT name, n, mean, 0.5 AS half FROM s JOIN names USING (k) ORDER BY name"
    )
    assert rows_of(step, tmp_path) == [
        {"name": "Ada", "n": 4, "mean": 2.0, "half": 0.5},
        {"name": "Bob", "n": 2, "mean": 2.0, "half": 0.5},
    ]


def test_rows_keep_their_order_and_lists_stay_lists(tmp_path: Path) -> None:
    many = LoadRows([{"n": number} for number in range(21_000)])
    actual = rows_of(SQL("SELECT n FROM t WHERE n % 2 = 0", tables={"t": many}), tmp_path)
    assert [row["n"] for row in actual] == list(range(0, 21_000, 2))
    assert rows_of(sql("SELECT l FROM rows"), tmp_path) == [{"l": [1, 2]}, {"l": []}, {"l": None}]
    assert rows_of(sql("SELECT n FROM rows WHERE n > 5"), tmp_path) == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT m FROM rows", '"m" not found'),
        ("SELECT r.m FROM rows r", "m"),
        ("SELECT * FROM row", "row"),
        ("SELECT * FROM '/etc/passwd'", "does not exist"),
        ("SELEC 1", "is no valid SQL"),
        ("COPY rows TO '/tmp/x.csv'", "must be one SELECT, got COPY"),
        ("SELECT 1; SELECT 2", "must be one SELECT, got SELECT, SELECT"),
        ("INSTALL httpfs", "must be one SELECT"),
        ("SET threads = 8", "must be one SELECT"),
        ("SELECT n, random() FROM rows", "random gives another result each time"),
        ("SELECT current_date FROM rows", "current_date gives another"),
    ],
)
def test_what_is_refused_before_anything_runs(query: str, message: str) -> None:
    assert any(message in problem for problem in problems_of(sql(query)))


def test_words_in_texts_are_no_functions() -> None:
    assert problems_of(sql("SELECT 'now()' AS x, n -- random()\nFROM rows")) == []


def test_the_columns_of_the_result_are_known() -> None:
    assert "it has k, total" in problems_of(Select(sql("SELECT k, max(n) AS total FROM rows GROUP BY k"), ["sum"]))[0]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM secret",
        "SELECT k::INT FROM rows",
    ],
)
def test_files_and_variables_are_out_of_reach_and_errors_are_the_users(query: str, tmp_path: Path) -> None:
    secret = LoadRows([{"a": 1}])  # noqa: F841 - a variable that the query must not see
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(RequestError):
        rows_of(sql(query.format(file=tmp_path / "a.csv")), tmp_path / "store")


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("SELECT * FROM rows USING SAMPLE 2", "a sample without REPEATABLE"),
        ("SELECT * FROM rows TABLESAMPLE 50%", "a sample without REPEATABLE"),
        ("SELECT count(*) FROM (SELECT * FROM rows USING SAMPLE 2)", "a sample without REPEATABLE"),
        ("SELECT random/**/()", "random"),
        ('SELECT "random"()', "random"),
        ("SELECT RANDOM ()", "random"),
        ("SELECT [random() FOR x IN [1]]", "random"),
        ("SELECT list_transform([1], lambda x: random())", "random"),
        ("SELECT n FROM rows ORDER BY random()", "random"),
        ("SELECT n FROM rows WHERE n > (SELECT random())", "random"),
        ("SELECT n FROM rows LIMIT (random() * 3)::int", "random"),
        ("WITH a AS (SELECT uuid() u) SELECT * FROM a", "uuid"),
        ("SELECT current_localtimestamp()", "current_localtimestamp"),
        ("SELECT current_date", "current_date"),
        ("SELECT localtime", "localtime"),
        ("SELECT today() - DATE '2020-01-01'", "today"),
        ("SELECT ago(INTERVAL 1 DAY)", "ago"),
        ("SELECT age(TIMESTAMP '2020-01-01')", "age"),
        ("SELECT current_setting('temp_directory')", "current_setting"),
        ("SELECT version()", "version"),
        ("SELECT * FROM duckdb_settings()", "the table duckdb_settings"),
        ("SELECT * FROM information_schema.tables", "the table tables"),
        ("SELECT * FROM duckdb_tables", "the table duckdb_tables"),
    ],
)
def test_what_changes_from_run_to_run_is_refused_wherever_it_stands(query: str, what: str) -> None:
    assert any(
        f"{what}" in problem and "gives another result each time" in problem for problem in problems_of(sql(query))
    )


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM rows USING SAMPLE reservoir(2 ROWS) REPEATABLE (7)",
        "FROM rows",
        "VALUES (1)",
        "SELECT n, 'random()' AS now, 1 AS current_user FROM rows",
        "SELECT md5(intent), strftime(DATE '2020-01-01', '%Y'), age(DATE '2020-01-02', DATE '2020-01-01') FROM rows",
        "SELECT sum(n) OVER (ORDER BY n), row_number() OVER () FROM rows",
        "SELECT r, unnest([1, 2]) FROM range(3) t(r)",
        "SELECT user FROM (SELECT intent AS user FROM rows)",
    ],
)
def test_what_gives_the_same_each_time_is_not_refused(query: str) -> None:
    assert not [problem for problem in problems_of(sql(query)) if "gives another result" in problem]


IN_TOKYO = """
from potstill import Pipeline
from potstill.steps import SQL, LoadRows

query = "SELECT t::TIMESTAMPTZ::VARCHAR AS text, hour(t::TIMESTAMPTZ) AS hour, t::TIMESTAMPTZ AS moment FROM rows"
times = SQL(query, tables={"rows": LoadRows([{"t": "2020-01-01 00:00:00"}])}, name="times")
pipeline = Pipeline("p", outputs={"times": times})
"""


def test_the_zone_of_the_machine_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    project = Project(tmp_path)
    project.write(IN_TOKYO)
    result = project.run("--json")
    assert project.values(result, "times", "text") == ["2020-01-01 00:00:00+00"]
    assert project.values(result, "times", "hour") == [0]
    assert [str(moment) for moment in project.values(result, "times", "moment")] == ["2020-01-01 00:00:00+00:00"]


def test_objects_with_keys_of_their_own_stay_objects(tmp_path: Path) -> None:
    rows = LoadRows([{"n": 1, "o": {"a": 1}}, {"n": 2, "o": {"b": [0.1]}}, {"n": 3, "o": None}])
    result = SQL("SELECT o, n, o->>'a' AS a FROM rows ORDER BY n DESC", tables={"rows": rows})
    assert rows_of(result, tmp_path) == [
        {"o": None, "n": 3, "a": None},
        {"o": {"b": [0.1]}, "n": 2, "a": None},
        {"o": {"a": 1}, "n": 1, "a": "1"},
    ]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("'101'::BIT", "column 'x' holds BIT, which can't be kept: say ::VARCHAR"),
        ("[{'a': '101'::BIT}]", "column 'x' holds BIT"),
        ("'01:02:03+05'::TIMETZ", "column 'x' holds TIME WITH TIME ZONE"),
        ("'12345678901234567.25'::DECIMAL(38,2)", "column 'x' holds 12345678901234567.25, which has more digits"),
        ("'infinity'::DATE", "column 'x' holds times outside of the years 1 to 9999"),
    ],
)
def test_results_that_would_come_out_as_something_else_are_named(expression: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=re.escape(message)):
        rows_of(SQL(f"SELECT {expression} AS x FROM t", tables={"t": LoadRows([{"a": 1}])}), tmp_path)


def test_decimals_of_few_digits_are_numbers(tmp_path: Path) -> None:
    query = "SELECT (a / 8)::DECIMAL(38,10) AS x, sum(0.1) OVER () AS y, array_value(1, 2) AS z FROM t"
    assert rows_of(SQL(query, tables={"t": LoadRows([{"a": 1}, {"a": None}])}), tmp_path) == [
        {"x": 0.125, "y": 0.2, "z": [1, 2]},
        {"x": None, "y": 0.2, "z": [1, 2]},
    ]
