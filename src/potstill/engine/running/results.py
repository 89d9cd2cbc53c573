"""What a step returned, written into its payload: rows, a folder or metrics."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from potstill.engine.rows import files
from potstill.engine.step import Step
from potstill.engine.store.disk import write_json
from potstill.engine.store.manifests import BESIDE_PAYLOAD
from potstill.errors import BadInput


def write_result(
    step: Step, result: Any, out: Path, arguments: Mapping[str, Any]
) -> tuple[str, int | None, dict[str, int]]:
    """Write a step's result into `out`; returns what it is, its rows, and the rows of each output.

    `arguments` are the inputs that `run` got; they name the columns of a step that made no rows at all.

    Raises:
        BadInput: it is nothing that can be kept.
    """
    if type(step).outputs:
        missing = set(type(step).outputs) ^ set(result if isinstance(result, Mapping) else ())
        if missing:
            raise BadInput(f"{type(step).__name__}.run must return a dict of its outputs {type(step).outputs}")
        counts = {
            name: files.write(result[name], out / "data" / name, known_columns(step, arguments))
            for name in type(step).outputs
        }
        return "rows", sum(counts.values()), counts
    if isinstance(result, (str, Path)):
        if Path(result).absolute() != out.absolute():
            shutil.copytree(result, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*BESIDE_PAYLOAD))
        return step.makes if step.makes in ("model", "report") else "folder", None, {}
    if isinstance(result, Mapping):
        write_json(out / "metrics.json", metrics(result))
        return "metrics", None, {}
    if files.is_rows(result):
        return "rows", files.write(result, out / "data", known_columns(step, arguments)), {}
    raise BadInput(
        f"{type(step).__name__}.run returned a {type(result).__name__}; return rows (a Dataset, a frame, an iterable "
        "of dicts), a folder (context.out) or metrics (a dict)"
    )


def known_columns(step: Step, arguments: Mapping[str, Any]) -> list[str]:
    """Return the columns that a step says it makes of its inputs, as far as it knows: theirs first, then others."""
    inputs = {name: _columns(value) for name, value in _held(arguments)}
    try:
        before = {name: None if columns is None else frozenset(columns) for name, columns in inputs.items()}
        produced = step.columns(before) or ()
    except Exception:  # noqa: BLE001 - what a step can't say before it runs was said by the plan
        return []
    order = {name: None for columns in inputs.values() for name in columns or ()}
    return [*(name for name in order if name in produced), *sorted(set(produced) - order.keys())]


def metrics(result: Mapping[Any, Any]) -> dict[str, Any]:
    """Return metrics as plain JSON: NumPy's and torch's numbers and arrays as Python's, names as texts.

    NaN and infinity have no place in JSON; they are null, so that one empty class does not lose a whole evaluation.

    Raises:
        BadInput: with all values that have no place in JSON, by name.
    """
    wrong: list[str] = []
    plain = _plain(result, "", wrong)
    if wrong:
        raise BadInput(*wrong)
    return dict(plain)


def _held(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield inputs by field, and those of a field that holds several by `field[key]`."""
    for name, value in arguments.items():
        yield name, value
        if isinstance(value, Mapping):
            yield from ((f"{name}[{key}]", item) for key, item in value.items())
        elif isinstance(value, (list, tuple)):
            yield from ((f"{name}[{number}]", item) for number, item in enumerate(value))


def _columns(value: object) -> list[str] | None:
    """Return the columns of an input, those that all have if it is several, or None if it is no rows."""
    if hasattr(value, "column_names"):
        return list(value.column_names)
    items = (
        list(value.values() if isinstance(value, Mapping) else value) if isinstance(value, (dict, list, tuple)) else []
    )
    each = [_columns(item) for item in items]
    named = [set(columns) for columns in each if columns is not None]
    if not named or len(named) < len(each):
        return None
    return [name for name in each[0] or () if all(name in columns for columns in named)]


def _plain(value: object, place: str, wrong: list[str]) -> Any:
    """Return a value as plain JSON; what has no place in it is added to `wrong`."""
    if isinstance(value, (str, bool, type(None))):
        return _text(value, place, wrong) if isinstance(value, str) else value
    if isinstance(value, Mapping):
        return _object(value, place, wrong)
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{place}[{number}]", wrong) for number, item in enumerate(value)]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist") and not hasattr(value, "columns"):  # NumPy, torch
        return _plain(value.tolist(), place, wrong)
    what = f"metric {place} is a {type(value).__name__}, which has no place in metrics ({value!r:.60})"
    rows_too = hasattr(value, "column_names") or hasattr(value, "columns")
    remedy = "return rows alone, several as `outputs`" if rows_too else "give numbers, texts, lists or dicts"
    wrong.append(f"{what}: {remedy}")
    return None


def _object(value: Mapping[Any, Any], place: str, wrong: list[str]) -> dict[str, Any]:
    """Return a dict as plain JSON: whole numbers and truth values as names become texts, which must not clash."""
    result: dict[str, Any] = {}
    for key, item in value.items():
        name = str(key.item() if hasattr(key, "item") else key)
        here = f"{place}.{name}" if place else name
        if not isinstance(key, (str, int, float)) and not hasattr(key, "item"):
            wrong.append(f"metric {here} is named by a {type(key).__name__}: the name of a metric is a text")
        elif name in result:
            wrong.append(f"metric {here} is there twice, as {key!r} and as a text: rename one")
        result[name] = _plain(item, here, wrong)
    return result


def _text(value: str, place: str, wrong: list[str]) -> str:
    """Return a text that can be written."""
    try:
        value.encode()
    except UnicodeEncodeError:
        wrong.append(f"metric {place} holds half a character, which can't be written: {value!r:.60}")
    return str(value)
