"""Prompt templates: Jinja files whose `system`, `messages` and `user` blocks turn a row into a chat.

A template is a file of this folder by name (`answer.jinja`), a file of the user's own by path, or the template text
itself. Its text is part of the key of every step that uses it. May import the engine's `keys` and `errors` only.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from potstill.errors import BadInput

if TYPE_CHECKING:
    from jinja2 import Template as Compiled

    from potstill.prompts.values import RowEnvironment, UnfitRow

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class TemplateText:
    """Annotation mark: the value names a template, and its text (not its name) goes into the key."""

    def identity(self, value: str) -> dict[str, str]:
        """Return what the key holds for the template `value`."""
        return {"template": template_text(value)}

    def fixed(self, value: str) -> FixedTemplate:
        """Return the template `value` with the text that it has now."""
        return FixedTemplate(value, template_text(value))


class FixedTemplate(str):
    """The name of a template that keeps the text which the step's key was made from, also when the file changes."""

    text: str

    def __new__(cls, name: str, text: str) -> FixedTemplate:
        """Keep the `text` of the template `name`."""
        template = super().__new__(cls, name)
        template.text = text
        return template

    def __reduce__(self) -> tuple[type[FixedTemplate], tuple[str, str]]:
        """Return what a copy in another process is made from."""
        return FixedTemplate, (str(self), self.text)


Template = Annotated[str, TemplateText()]
"""A template: name of a file in `potstill/prompts`, path of one's own file, or the text itself."""


def template_text(template: str) -> str:
    """Return the text behind `template`.

    Raises:
        BadInput: it is neither a known name, nor an existing file, nor a template text.
    """
    if isinstance(template, FixedTemplate):
        return template.text
    if "{{" in template or "{%" in template or "\n" in template:
        return template
    for path in (Path(template), FOLDER / template):
        try:
            state = path.stat()
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(state.st_mode):
            return _read(path, (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size))
    names = ", ".join(sorted(path.name for path in FOLDER.glob("*.jinja")))
    raise BadInput(f"no prompt template {template!r}: give a file, a text with {{{{ variables }}}}, or one of {names}")


@lru_cache(maxsize=32)
def _read(path: Path, _state: tuple[int, ...]) -> str:
    """Return the text of a template file: asked for at every row, read again only when the file's state changes."""
    return path.read_text(encoding="utf-8")


Chat = list[dict[str, str]]
"""What a teacher is asked: `[{"role": "system" | "user" | "assistant", "content": text}, ...]`."""
BLOCKS = ("system", "messages", "user")
"""What a template may give of a chat, in the order of the chat."""
REMEDY = "drop such rows before, or say in the template what stands for nothing: {{ x | default('') }}, {% if x %}"
"""What the ledger says of a row that can't be put into a prompt."""


@lru_cache(maxsize=1)
def environment() -> RowEnvironment:
    """Return the sandbox that templates are read and rendered in."""
    from potstill.prompts.values import new_environment

    return new_environment()


def render(template: str, row: Mapping[str, Any]) -> Chat:
    """Turn `row` into what a teacher is asked: the template's blocks, or its whole text as the user's message.

    The block `messages` gives a conversation, between what `system` and `user` give. The answer that a conversation
    ends with is left out, unless the user has something to say after it.

    Raises:
        UnfitRow: a value of the row can't be put into a prompt, such as a null.
        BadInput: the template is wrong, or uses a variable that the row lacks; names it and lists the known ones.
    """
    return answered(template, row)[0]


def rendered(template: str, row: Mapping[str, Any]) -> Chat | UnfitRow:
    """Return what `render` does; a row that can't be put into a prompt gives the reason instead of raising it."""
    from potstill.prompts.values import UnfitRow

    try:
        return render(template, row)
    except UnfitRow as unfit:
        return unfit


def answered(template: str, row: Mapping[str, Any]) -> tuple[Chat, str | None]:
    """Return what is asked, as `render` does, and the answer that the row's conversation ends with, if any."""
    from potstill.prompts.conversation import conversation

    parts = _blocks(template, row)
    chat = [{"role": "system", "content": parts["system"]}] if parts.get("system") else []
    answer = None
    if "messages" in parts:
        turns = conversation(parts["messages"])
        if chat and turns[0]["role"] == "system":
            chat[0]["content"] += f"\n\n{turns.pop(0)['content']}"
        chat += turns
        if not parts.get("user") and chat[-1]["role"] == "assistant":
            answer = chat.pop()["content"]
    if parts.get("user") or parts.keys() == {"user"}:
        chat.append({"role": "user", "content": parts["user"]})
    return chat, answer


def answer_of(template: str, row: Mapping[str, Any]) -> str | None:
    """Return the answer that a row holds: its `output`, or else the last turn of its conversation; None without one.

    Raises:
        UnfitRow: a value of the row can't be put into a prompt.
    """
    output = row.get("output")
    if isinstance(output, str) or not takes_conversations(template):
        return output if isinstance(output, str) else None
    return answered(template, row)[1]


def exchange(template: str, row: Mapping[str, Any]) -> tuple[Chat, str] | None:
    """Return what is asked and the answer that the row holds; None where one of them is missing or doesn't fit."""
    chat = rendered(template, row)
    answer = answer_of(template, row) if isinstance(chat, list) else None
    return (chat, answer) if isinstance(chat, list) and answer else None


def answer_columns(template: str) -> tuple[str, ...]:
    """Return the columns that rows must have besides the template's to hold an answer."""
    return () if takes_conversations(template) else ("output",)


def _blocks(template: str, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each block of a template for `row`; without blocks, all of it is the user's."""
    from jinja2 import TemplateError

    from potstill.prompts.values import UnfitRow, shown

    text = template_text(template)
    try:
        compiled, names = _compiled(text)
        values = {name: shown(row[name], name) for name in names if name in row}
        if not compiled.blocks:
            return {"user": compiled.render(values).strip()}
        context = compiled.new_context(values)
        return {name: "".join(compiled.blocks[name](context)).strip() for name in BLOCKS if name in compiled.blocks}
    except TemplateError as error:
        raise BadInput(f"prompt template {template[:60]!r}: {error}; the row has {', '.join(sorted(row))}") from error
    except BadInput:
        raise
    except Exception as error:  # what a value makes of an expression: other rows have other values
        raise UnfitRow(f"the template fails on the row: {type(error).__name__}: {error}") from error


def required_variables(template: str) -> tuple[str, ...]:
    """Return the variables that a template can't do without: those without `is defined` or `default`."""
    from jinja2 import TemplateSyntaxError, meta, nodes

    try:
        tree = environment().parse(template_text(template))
    except TemplateSyntaxError:
        return ()  # the template itself is checked where it is rendered
    tested = [test.node for test in tree.find_all(nodes.Test) if test.name == "defined"]
    replaced = [use.node for use in tree.find_all(nodes.Filter) if use.name in ("default", "d")]
    optional = {node.name for node in [*tested, *replaced] if isinstance(node, nodes.Name)}
    return tuple(sorted(meta.find_undeclared_variables(tree) - optional))


def takes_conversations(template: str) -> bool:
    """Return whether a template has the block `messages`, so that a row may hold its answer as the last turn."""
    from jinja2 import TemplateError

    try:
        return "messages" in _compiled(template_text(template))[0].blocks
    except TemplateError:
        return False


def conversation_hint(template: str, columns: Collection[str]) -> str:
    """Return how rows with these columns are shown, where they hold conversations and lack what the template needs."""
    if takes_conversations(template) or not set(required_variables(template)) - set(columns):
        return ""
    if "messages" in columns:
        return 'the rows hold conversations in messages: take prompt="chat.jinja"'
    if "conversations" in columns:
        return 'the rows hold conversations: take ToMessages(rows, column="conversations"), then prompt="chat.jinja"'
    return ""


@lru_cache(maxsize=32)
def _compiled(text: str) -> tuple[Compiled, frozenset[str]]:
    """Return a template, ready to render, and the names that it may look up in a row."""
    from jinja2 import meta

    templates = environment()
    names = meta.find_undeclared_variables(templates.parse(text))
    return templates.from_string(text), frozenset(names | templates.globals.keys())
