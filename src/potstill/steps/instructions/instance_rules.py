"""Parsing and filtering of task instances (Wang et al. 2023, "Self-Instruct", section 2.2 and the paper's code)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from potstill.steps.generation.list_parsers import parse_records
from potstill.text.reasoning import after_thoughts


@dataclass(frozen=True)
class Instance:
    """An input, empty where the task needs none, and its output."""

    input: str
    output: str


def read_instances(text: str) -> list[Instance]:
    r"""Return the instances in an answer of `Input:` and `Output:` lines, in either order.

    >>> read_instances("Output: yes\nInput: a cat\nOutput: no\nInput: a car")
    [Instance(input='a cat', output='yes'), Instance(input='a car', output='no')]

    Raises:
        ValueError: there is none.
    """
    records = parse_records(after_thoughts(text), ("input", "output", "label"))
    instances = [
        Instance(without_none(record.get("input", "")), record.get("output", record.get("label", "")))
        for record in records
    ]
    if not instances:
        raise ValueError("no lines that start with Input: or Output:")
    return instances


def without_none(text: str) -> str:
    """Return `text`, or an empty string where it says that there is nothing.

    >>> without_none("(none)")
    ''
    """
    return "" if text.strip(" .()[]<>").lower() in ("none", "n/a", "no input", "noinput") else text


def objection(instance: Instance, *, needs_input: bool) -> str:
    """Return why an instance is not wanted, or an empty string.

    >>> objection(Instance("a", "a"), needs_input=False)
    'output repeats the input'
    """
    if not instance.output:
        return "empty output"
    if instance.input == instance.output:
        return "output repeats the input"
    # a colon at the end announces a list that was cut off or never written
    if instance.input.endswith(":") or instance.output.endswith(":"):
        return "ends with a colon"
    return "no input" if needs_input and not instance.input else ""


def contradicts(instances: Iterable[Instance]) -> bool:
    """Return whether the same input, if there is one, has different outputs: then none of them can be trusted.

    >>> contradicts([Instance("a", "1"), Instance("a", "2")])
    True
    """
    outputs: defaultdict[str, set[str]] = defaultdict(set)
    for instance in instances:
        if instance.input:
            outputs[instance.input].add(instance.output)
    return any(len(different) > 1 for different in outputs.values())
