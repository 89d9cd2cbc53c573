"""A ready pipeline, read as text: its purpose, and the questions that it needs answered."""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from potstill.errors import RequestError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

REAL = "  # real:"
"""Behind a line that is for the shipped models: what stands in its place for models of the Hub."""


ASSIGNED = re.compile(r'\s*(?:\w+ = |\w+=|"\w+": )')
"""What stays of a line: a variable, a keyword or a key, to which a value is given."""


@dataclass(frozen=True)
class Question:
    """A constant at the head of a template, which the user answers."""

    name: str
    """Of the constant, in capitals."""
    text: str
    """What is asked: the comment above it."""
    first: int
    """Line on which it starts, from 0."""
    last: int
    """Line after its end."""
    default: ast.expr
    """The answer that stands in the template."""

    @property
    def is_file(self) -> bool:
        """Whether the answer is a file beside the pipeline, as in `HERE / "texts.jsonl"`."""
        return isinstance(self.default, ast.BinOp) and isinstance(self.default.op, ast.Div)

    def shown(self) -> str:
        """Return the default as a user would type it."""
        if self.is_file and isinstance(self.default, ast.BinOp):
            return str(ast.literal_eval(self.default.right))
        try:
            value = ast.literal_eval(self.default)
        except ValueError:
            return ast.unparse(self.default)
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class Template:
    """A ready pipeline."""

    kind: str
    """Its name, which is that of its file."""
    source: str
    """Its text."""

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (ast.get_docstring(ast.parse(self.source)) or "").partition("\n")[0]

    def questions(self) -> list[Question]:
        """Return its questions: the constants in capitals below a comment."""
        lines = self.source.splitlines()
        return [
            Question(node.targets[0].id, lines[node.lineno - 2][2:], node.lineno - 1, node.end_lineno or 0, node.value)
            for node in ast.parse(self.source).body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            if node.targets[0].id.isupper() and lines[node.lineno - 2].startswith("# ")
        ]

    def samples(self, source: str) -> list[Traversable]:
        """Return the sample files that a pipeline with this text reads from beside itself."""
        return [file for file in sorted((_folder() / "samples").iterdir(), key=str) if f'"{file.name}"' in source]


def kinds() -> list[str]:
    """Return the names of all templates."""
    return sorted(file.name.removesuffix(".py") for file in _folder().iterdir() if _is_template(file.name))


def template(kind: str) -> Template:
    """Return a template by its name.

    Raises:
        RequestError: there is none of that name.
    """
    names = kinds()
    name = kind.replace("-", "_")
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise RequestError(f"no ready pipeline {kind!r}: {hint}")
    return Template(name, (_folder() / f"{name}.py").read_text(encoding="utf-8"))


def for_hub_models(source: str) -> str:
    """Return the text of a template with what its lines name for models of the Hub in place of the shipped ones."""
    lines = (_for_hub(line) for line in source.splitlines())
    return "\n".join(line for line in lines if line is not None) + "\n"


def for_shipped_models(source: str) -> str:
    """Return the text of a template as it runs at once, without what stands for other models."""
    return "\n".join(line.partition(REAL)[0] for line in source.splitlines()) + "\n"


def _for_hub(line: str) -> str | None:
    """Return a line for models of the Hub, or None where it goes."""
    code, mark, other = line.partition(REAL)
    if not mark:
        return line
    if not other.strip():
        return None
    value = other.strip()
    if not (assigned := ASSIGNED.match(code)):
        return f"{code[: len(code) - len(code.lstrip())]}{value}"
    comma = "," if code.endswith(",") and not value.endswith(",") else ""
    return f"{assigned[0]}{value}{comma}"


def _is_template(name: str) -> bool:
    """Return whether a file of the folder is a template."""
    return name.endswith(".py") and not name.startswith("_")


def _folder() -> Traversable:
    """Return the folder of the templates."""
    return files("potstill") / "pipelines" / "templates"
