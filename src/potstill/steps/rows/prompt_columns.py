"""Columns and variables that a prompt template needs, checked before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from potstill.errors import Problem
from potstill.prompts import environment, required_variables, template_text

if TYPE_CHECKING:
    from jinja2 import nodes


def prompt_columns(template: str, given: Collection[str] = ()) -> tuple[str, ...]:
    """Return the columns that rows must have for `template`, apart from what the step itself gives."""
    return tuple(name for name in required_variables(template) if name not in given)


def prompt_problems(
    template: str, *, allowed: Collection[str] | None = None, wanted: Collection[str] = ()
) -> Iterator[Problem]:
    """Yield what is wrong with a `prompt` field: its syntax, variables beyond `allowed`, or `wanted` ones it lacks.

    `allowed` is None where rows give further variables: those are checked against the rows' columns.
    """
    from jinja2 import TemplateSyntaxError

    try:
        used = all_variables(template)
    except TemplateSyntaxError as error:
        yield Problem("", "prompt", f"the template has a mistake in line {error.lineno}: {error.message}")
        return
    undefined = sorted(set(required_variables(template)) - set(allowed)) if allowed is not None else []
    if undefined:
        has = ", ".join(sorted(allowed or ())) or "none"
        yield Problem("", "prompt", f"the template uses {', '.join(undefined)}, which nothing gives; known are: {has}")
    unused = sorted(set(wanted) - used)
    if unused:
        yield Problem("", "prompt", f"the template never uses {', '.join(unused)}: put {{{{ {unused[0]} }}}} into it")


def all_variables(template: str) -> frozenset[str]:
    """Return every variable of a template, also those it can do without."""
    from jinja2 import meta

    return frozenset(meta.find_undeclared_variables(environment().parse(template_text(template))))


def item_fields(template: str, items: str) -> tuple[str, ...]:
    """Return the fields that a template can't do without of each item of the list `items` that it goes through.

    >>> item_fields("{% for e in examples %}{{ e.question }} {{ e['answer'] }}{% endfor %}", "examples")
    ('answer', 'question')
    """
    from jinja2 import TemplateSyntaxError, nodes

    try:
        tree = environment().parse(template_text(template))
    except TemplateSyntaxError:
        return ()  # `prompt_problems` reports it
    fields: set[str] = set()
    for loop in tree.find_all(nodes.For):
        over, item = loop.iter, loop.target
        if isinstance(over, nodes.Name) and over.name == items and isinstance(item, nodes.Name):
            # a field that the template tests with `is defined` may be missing
            optional = {_field(test.node, item.name) for test in loop.find_all(nodes.Test) if test.name == "defined"}
            read = {_field(node, item.name) for node in loop.find_all((nodes.Getattr, nodes.Getitem))}
            fields |= {name for name in read - optional if name}
    return tuple(sorted(fields))


def _field(node: nodes.Node, item: str) -> str:
    """Return the name of the field of `item` that a node reads, or an empty string."""
    from jinja2 import nodes

    if not isinstance(node, (nodes.Getattr, nodes.Getitem)) or not isinstance(node.node, nodes.Name):
        return ""
    if node.node.name != item:
        return ""
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else ""
