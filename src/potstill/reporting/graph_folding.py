"""Folding of large graphs: steps that are alike become one box, so that a drawing stays one that people can read.

Steps are folded within layers, and as a last resort layer by layer: between two of them no edge leads back, so that
what is folded still has no circle. Who shows the drawing lists the steps of each box beside it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from potstill.reporting.graph_layout import Node, levels_of

MOST = 60
"""Boxes that a drawing has at most."""


@dataclass(frozen=True)
class _Placed:
    """A step in its layer."""

    node: Node
    level: int


Likeness = Callable[[_Placed], Hashable]
"""What steps that are folded into one box have in common; they lie in one layer, or in layers next to each other."""


def folded(nodes: Sequence[Node], most: int = MOST) -> list[Node]:
    """Return `nodes`, in topological order, or as many boxes at most, of which some hold several (`Node.members`)."""
    if len(nodes) <= most:
        return list(nodes)
    levels = levels_of(nodes)
    placed = [_Placed(node, levels[node.name]) for node in nodes]
    last = max(levels.values()) + 1
    alike: list[Likeness] = [
        lambda one: (one.level, one.node.type, one.node.marked, re.sub(r"\d+", "#", one.node.name)),
        lambda one: (one.level, one.node.type, one.node.marked),
        lambda one: (one.level, one.node.marked),
        lambda one: one.level * most // last,
    ]
    groups: list[list[_Placed]] = []
    for likeness in alike:
        groups = _grouped(placed, likeness)
        if len(groups) <= most:
            break
    return _as_nodes(groups)


def _grouped(placed: Sequence[_Placed], likeness: Likeness) -> list[list[_Placed]]:
    """Return steps that are alike together, in topological order."""
    groups: dict[Hashable, list[_Placed]] = {}
    for one in placed:
        groups.setdefault(likeness(one), []).append(one)
    return sorted(groups.values(), key=lambda group: min(one.level for one in group))


def _as_nodes(groups: Sequence[Sequence[_Placed]]) -> list[Node]:
    """Return a node for each group, whose inputs are the groups that it needs."""
    taken = {one.node.name for group in groups for one in group}
    names = [_name([one.node for one in group], taken) for group in groups]
    group_of = {one.node.name: name for name, group in zip(names, groups, strict=True) for one in group}
    nodes = []
    for name, group in zip(names, groups, strict=True):
        if len(group) == 1:
            [one] = group
            inputs = tuple(group_of[before] for before in one.node.inputs if before in group_of)
            nodes.append(Node(name, one.node.type, tuple(dict.fromkeys(inputs)), one.node.marked, one.node.note))
            continue
        needed = dict.fromkeys(group_of[before] for one in group for before in one.node.inputs if before in group_of)
        types = list(dict.fromkeys(one.node.type for one in group))
        nodes.append(
            Node(
                name,
                types[0] if len(types) == 1 else f"{len(types)} types",
                tuple(other for other in needed if other != name),
                any(one.node.marked for one in group),
                f"{len(group)} steps",
                tuple(one.node.name for one in group),
            )
        )
    return nodes


def _name(nodes: Sequence[Node], taken: set[str]) -> str:
    """Return what a box is called: as its step, or by what the names of its steps begin with; no other is called so."""
    if len(nodes) == 1:
        return nodes[0].name
    letters = itertools.takewhile(
        lambda column: len(set(column)) == 1, zip(*(node.name for node in nodes), strict=False)
    )
    begin = "".join(column[0] for column in letters).rstrip("-_ ([#") or nodes[0].type
    name, number = f"{begin} …", 2
    while name in taken:
        name, number = f"{begin} … {number}", number + 1
    taken.add(name)
    return name
