"""What `mkdocs.yml` adds to the site: the command line's page, links to the source, docstrings as Markdown.

A hook of mkdocs (`on_page_markdown`, `on_post_page`) and an extension of griffe, which reads docstrings without
importing the package.
"""

from __future__ import annotations

import argparse
import functools
import logging
import re
from collections.abc import Iterator
from typing import Any

from griffe import Attribute, Class, ExprSubscript, Extension, Object

COMMANDS = "<!-- commands -->"
"""Where a page gets the help of every command."""
SOURCE = re.compile(r"\[`(\w+)`\]\(\.\./src/(potstill/[\w/]+)\.py\)")
"""A link to the file in which a name is defined, as it works in a repository browser."""
LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\ssrc=[\"']?(?:https?:)?//|<link\b[^>]*stylesheet[^>]*//")
"""What a browser would fetch from another host."""
BASES = ("potstill.engine.step.Step", "potstill.recipes.students.Course")
"""Bases whose subclasses become dataclasses by themselves, with a constructor that only running code knows."""
USERS_ROOMS = ("potstill.steps", "potstill.trainers", "potstill.teachers")
"""Rooms whose classes are used through their fields alone."""

_log = logging.getLogger("mkdocs.hooks.docs_site")  # its warnings end `mkdocs build --strict`


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with the commands' help, and with links to the reference in place of links to source files."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands_help())
    return SOURCE.sub(lambda link: f"[`{link[1]}`][{link[2].replace('/', '.')}.{link[1]}]", markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Return the page as it is; warn where it would load something from another host."""
    for actual in LOADED.findall(output):
        _log.warning("%s loads something from elsewhere: %s", page.file.src_uri, actual)
    return output


def commands_help() -> str:
    """Return the help of every command of `potstill` as Markdown."""
    from potstill.cli import _parser

    parser = _parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    parts = [_command_help("potstill", parser)]
    parts += [_command_help(f"potstill {name}", command) for name, command in commands.choices.items()]
    return "\n\n".join(parts)


def _command_help(name: str, parser: argparse.ArgumentParser) -> str:
    """Return a section on one command: what it does, its usage, its arguments and options."""
    parser.formatter_class = functools.partial(argparse.HelpFormatter, width=100)
    usage = parser.format_usage().removeprefix("usage: ").strip()
    rows = "\n".join(f"| {shown} | {text} |" for shown, text in _arguments(parser))
    return f"## {name}\n\n{parser.description}\n\n```text\n{usage}\n```\n\n| argument | does |\n|---|---|\n{rows}"


def _arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield each argument and option of a command, and what it does."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        choices = f"{{{','.join(action.choices)}}}" if action.choices else ""
        value = "" if action.nargs == 0 else str(action.metavar or choices or action.dest)
        shown = " or ".join(f"`{f'{option} {value}'.strip()}`" for option in action.option_strings) or f"`{value}`"
        yield shown, action.help or ""


class Docstrings(Extension):
    """Shows what users of a class need: its fields, and its example as code."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Put the examples of a docstring into code blocks, which Markdown would take for quotations."""
        if obj.docstring is not None and ">>> " in obj.docstring.value:
            obj.docstring.value = fenced(obj.docstring.value)

    def on_attribute_instance(self, *, attr: Attribute, **_: Any) -> None:
        """Show parameters that are no attributes, which griffe leaves out, as the others."""
        if isinstance(attr.annotation, ExprSubscript) and str(attr.annotation.left) == "InitVar":
            attr.annotation = attr.annotation.slice
            attr.value = None if str(attr.value) == "field()" else attr.value

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Leave out what a step, trainer or teacher answers to the engine: its methods and class variables."""
        if cls.path.startswith(USERS_ROOMS):
            for name, member in list(cls.members.items()):
                if member.is_function or "property" in member.labels or "ClassVar" in str(_annotation(member)):
                    cls.del_member(name)
        if cls.path in BASES and "__init__" in cls.members:
            cls.del_member("__init__")


def _annotation(member: Any) -> Any:
    """Return the annotation of an attribute; None of anything else."""
    return None if member.is_alias else getattr(member, "annotation", None)


def fenced(text: str) -> str:
    """Return a docstring with its examples in code blocks."""
    lines: list[str] = []
    indent: int | None = None  # that of the example, inside one
    for line in [*text.splitlines(), ""]:
        if indent is None and line.lstrip().startswith(">>> "):
            indent = len(line) - len(line.lstrip())
            lines.append("```pycon")
        elif indent is not None and not line.strip():
            indent = None
            lines.append("```")
        lines.append(line[indent or 0 :])
    return "\n".join(lines).rstrip("\n")
