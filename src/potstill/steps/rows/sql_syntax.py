"""Detect non-deterministic SQL queries by the engine's function catalogue and the query's syntax tree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol

PURE_TABLES = frozenset({"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"})
"""Functions in the place of a table that depend on their arguments alone; all others read the engine or the machine."""
CLOCK_TYPES = ("DATE", "TIME")
"""Prefixes of the types that clock functions return."""


class Connection(Protocol):
    """`duckdb.DuckDBPyConnection`, as far as it is used here."""

    def __hash__(self) -> int:
        """Return a hash of the connection's identity."""

    def execute(self, query: str, parameters: object = None) -> Any:
        """Run a query, and return what gives its rows."""


def changing(connection: Connection, query: str) -> list[str]:
    """Return what is non-deterministic in a query, in words; empty if it always gives the same result.

    Every part of a query counts, wherever it stands: functions by their stability, macros by what they are made of,
    samples without a seed, the clock's values without brackets, and tables that the engine fills itself.
    """
    reasons: dict[str, None] = {}
    for node in _nodes(_tree(connection, query)):
        for reason in _reasons(connection, node):
            reasons[reason] = None
    return list(reasons)


def _reasons(connection: Connection, node: dict[str, Any]) -> Iterator[str]:
    """Yield what is non-deterministic in one node of the syntax tree."""
    kind = node.get("class") or node.get("type")
    if node.get("error") is True:
        yield f"what can't be looked into ({node.get('error_message')})"
    elif kind == "FUNCTION" and "function_name" in node:
        name = str(node["function_name"]).lower()
        if _is_changing(connection, name) or (name == "age" and len(node["arguments"]) == 1):  # the age by now
            yield name
    elif kind == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name", "")).lower()
        if name not in PURE_TABLES:
            yield f"the table {name}()"
    elif kind == "COLUMN_REF" and len(node["column_names"]) == 1 and _is_clock(connection, node["column_names"][0]):
        yield str(node["column_names"][0]).lower()
    elif kind == "BASE_TABLE" and _is_engines(connection, node["schema_name"], node["table_name"]):
        yield f"the table {node['table_name']}"
    sample = node.get("sample")
    if isinstance(sample, dict) and not sample.get("repeatable"):
        yield "a sample without REPEATABLE (seed)"


def _tree(connection: Connection, query: str) -> Any:
    """Return the syntax tree of a query."""
    return json.loads(connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()[0])


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    """Yield every node of a syntax tree; a loop, as expressions may be deep."""
    stack = [tree]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack += value.values()
        elif isinstance(value, list):
            stack += value


def _is_changing(connection: Connection, name: str) -> bool:
    """Return whether a function, or a macro by what it is made of, can give another result for the same arguments."""
    if name in _FLUID:
        return True
    stabilities, macros = _functions(connection).get(name, (frozenset(), frozenset()))
    if stabilities - {"CONSISTENT"}:
        return True
    return any(changing(connection, f"SELECT {macro}") for macro in macros)


def _is_clock(connection: Connection, name: str) -> bool:
    """Return whether a bare word, such as `current_date`, is a value of the clock where no column has the name."""
    try:
        # described without any table: a name that still has a type is not a column
        kind = str(connection.execute(f'DESCRIBE SELECT "{name.replace(chr(34), chr(34) * 2)}"').fetchone()[1])
    except Exception:  # noqa: BLE001 - the engine's errors: it is a column's name
        return False
    return kind.startswith(CLOCK_TYPES)


def _is_engines(connection: Connection, schema: str, name: str) -> bool:
    """Return whether a table is one that the engine fills with what it knows of itself."""
    query = "SELECT count(*) FROM duckdb_views() WHERE internal AND view_name = ? AND (? = '' OR schema_name = ?)"
    return bool(connection.execute(query, [name.lower(), schema.lower(), schema.lower()]).fetchone()[0])


@lru_cache(maxsize=1)
def _functions(connection: Connection) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Return the stabilities of each function's forms, and the definitions of those that are macros, by name."""
    listed = connection.execute(
        "SELECT lower(function_name), list(DISTINCT CASE WHEN len(parameters) = 0 AND (return_type LIKE 'DATE%' OR "
        "return_type LIKE 'TIME%') THEN 'CLOCK' ELSE stability END) FILTER (stability IS NOT NULL), "
        "list(DISTINCT macro_definition) FILTER (macro_definition IS NOT NULL AND function_type = 'macro') "
        "FROM duckdb_functions() GROUP BY ALL"
    ).fetchall()
    return {name: (frozenset(kinds or ()), frozenset(macros or ())) for name, kinds, macros in listed}


_FLUID = frozenset({"version", "current_user", "session_user", "user"})
"""Functions that the engine calls stable, but of one version or user only."""
