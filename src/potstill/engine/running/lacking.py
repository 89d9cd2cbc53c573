"""A step that can do without some of its inputs, such as a report, when steps before it have failed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from potstill.engine.context import NOT_MADE
from potstill.engine.graph import edges, nodes_in, replace_nodes, step_of
from potstill.engine.records import Record
from potstill.engine.step import Node, Step


def may_run_without(step: Step, failed: Collection[Step]) -> bool:
    """Return whether a step runs though some of those before it failed: it may lack them, and not all failed."""
    gone = {id(one) for one in failed}
    lacking = {name for name, node in edges(step) if id(step_of(node)) in gone}
    there = any(id(step_of(node)) not in gone for name, node in edges(step) if name in type(step).may_lack)
    return there and lacking <= type(step).may_lack and all(_direct(getattr(step, name)) for name in lacking)


def lacking(record: Record) -> dict[str, str]:
    """Return what stands for the result of a step that failed: which, and why there is none."""
    return {"step": record.name, NOT_MADE: record.error or "it was not run"}


def without_lacking(step: Step, stand_in: Callable[[Node], dict[str, str]]) -> dict[str, Any]:
    """Return the fields that hold steps which failed, by name, with what stands for these."""
    return {name: value for name in type(step).may_lack for value in _replaced(getattr(step, name), stand_in)}


def _replaced(value: object, stand_in: Callable[[Node], dict[str, str]]) -> Iterator[Any]:
    """Yield a field's value with what stands for failed steps, if it holds any."""
    if any(stand_in(node) for node in nodes_in(value)):
        yield replace_nodes(value, lambda node, _: stand_in(node) or node)


def _direct(value: object) -> bool:
    """Return whether a field holds several steps, each by itself."""
    held = list(value.values()) if isinstance(value, Mapping) else value
    return isinstance(held, (list, tuple)) and sum(1 for one in held for _ in nodes_in(one)) <= len(held)
