"""Prompt templates: Jinja files whose `system` and `user` blocks turn a row into a chat.

A template is a file of this folder by name (`answer.jinja`), a file of the user's own by path, or the template text
itself. Its text is part of the key of every step that uses it. May import the engine's `keys` and `errors` only.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from potstill.errors import BadInput

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class TemplateText:
    """Annotation mark: the value names a template, and its text (not its name) goes into the key."""

    def identity(self, value: str) -> dict[str, str]:
        """Return what the key holds for the template `value`."""
        return {"template": template_text(value)}


Template = Annotated[str, TemplateText()]
"""A template: name of a file in `potstill/prompts`, path of one's own file, or the text itself."""


def template_text(template: str) -> str:
    """Return the text behind `template`.

    Raises:
        BadInput: it is neither a known name, nor an existing file, nor a template text.
    """
    if "{{" in template or "{%" in template or "\n" in template:
        return template
    for path in (Path(template), FOLDER / template):
        try:
            state = path.stat()
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(state.st_mode):
            return _read(path, (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size))
    known = ", ".join(sorted(path.name for path in FOLDER.glob("*.jinja")))
    raise BadInput(f"no prompt template {template!r}: give a file, a text with {{{{ variables }}}}, or one of {known}")


@lru_cache(maxsize=32)
def _read(path: Path, _state: tuple[int, ...]) -> str:
    """Return the text of a template file: asked for at every row, read again only when the file's state changes."""
    return path.read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def environment() -> SandboxedEnvironment:
    """Return Jinja's sandbox: a template from a stranger can't reach Python's internals."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)


def render(template: str, row: Mapping[str, Any]) -> list[dict[str, str]]:
    """Turn `row` into chat messages: the blocks `system` and `user`, or the whole text as the user's message.

    Raises:
        BadInput: the template uses a variable that the row lacks; names it and lists the known ones.
    """
    from jinja2 import TemplateError

    text = template_text(template)
    try:
        compiled = _compiled(text)
        if not compiled.blocks:
            return [{"role": "user", "content": compiled.render(row).strip()}]
        context = compiled.new_context(dict(row))
        messages = [
            {"role": role, "content": "".join(compiled.blocks[role](context)).strip()}
            for role in ("system", "user")
            if role in compiled.blocks
        ]
    except TemplateError as error:
        raise BadInput(f"prompt template {template[:60]!r}: {error}; the row has {', '.join(sorted(row))}") from error
    return [message for message in messages if message["content"]]


def required_variables(template: str) -> tuple[str, ...]:
    """Return the variables that a template can't do without: those it never tests with `is defined`."""
    from jinja2 import TemplateSyntaxError, meta, nodes

    try:
        tree = environment().parse(template_text(template))
    except TemplateSyntaxError:
        return ()  # the template itself is checked where it is rendered
    optional = {
        test.node.name
        for test in tree.find_all(nodes.Test)
        if test.name == "defined" and isinstance(test.node, nodes.Name)
    }
    return tuple(sorted(meta.find_undeclared_variables(tree) - optional))


@lru_cache(maxsize=32)
def _compiled(text: str) -> Any:  # a jinja2.Template, imported late
    return environment().from_string(text)
