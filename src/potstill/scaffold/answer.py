"""Answers to a template's questions, as Python in its text."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping
from pathlib import Path

from potstill.scaffold.template import Question


def answered(source: str, questions: list[Question], answers: Mapping[str, str], folder: Path) -> str:
    """Return the text of a template with its constants set to what the user typed, by the constants' names.

    `folder` is where the pipeline will lie; files are named from there.

    Raises:
        ValueError: naming the question, an answer can't be read.
    """
    lines = source.splitlines()
    for question in reversed(questions):
        if question.name in answers:
            value = _python(question, answers[question.name], folder)
            lines[question.first : question.last] = [f"{question.name} = {value}"]
    return without_unused_imports("\n".join(lines) + "\n")


def without_unused_imports(source: str) -> str:
    """Return a text without the lines that import one name which nothing uses."""
    tree = ast.parse(source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    unused = {
        node.lineno - 1
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.lineno == node.end_lineno
        if not any((alias.asname or alias.name) in used for alias in node.names)
    }
    return "".join(line for number, line in enumerate(source.splitlines(keepends=True)) if number not in unused)


def _python(question: Question, text: str, folder: Path) -> str:
    """Return what the user typed as an expression of the kind that the question's default is."""
    if question.is_file:
        path = text if Path(text).is_absolute() else os.path.relpath(text, folder)
        return f"HERE / {quoted(path)}"
    default = question.default
    if isinstance(default, ast.Tuple):
        words = _words(question.name, text)
        return f"({', '.join(map(quoted, words))}{',' if len(words) == 1 else ''})"
    if isinstance(default, ast.Constant) and isinstance(default.value, (int, float)):
        return _number(question.name, text, type(default.value))
    return quoted(text)


def _words(name: str, text: str) -> list[str]:
    """Return a list of texts that is typed with commas, or as JSON."""
    if text.lstrip().startswith("["):
        try:
            words = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{name} is no JSON list: {error}; got {text!r}") from None
        if not all(isinstance(word, str) for word in words):
            raise ValueError(f"{name} must be a list of texts; got {text!r}")
    else:
        words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ValueError(f"{name} is empty: give texts with commas between, such as a,b,c")
    return list(words)


def _number(name: str, text: str, kind: type[int] | type[float]) -> str:
    """Return a number as Python has it."""
    try:
        return repr(kind(text.replace("_", "")))
    except ValueError:
        raise ValueError(f"{name} must be a {'whole ' if kind is int else ''}number; got {text!r}") from None


def quoted(text: str) -> str:
    """Return a text as a Python literal in double quotes."""
    return json.dumps(text, ensure_ascii=not text.isprintable())
