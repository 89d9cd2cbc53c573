"""Geometry of the graph: layers from top to bottom, long edges led around boxes, few crossings.

Reference: K. Sugiyama, S. Tagawa and M. Toda, "Methods for visual understanding of hierarchical system structures",
IEEE Transactions on Systems, Man, and Cybernetics 11 (1981): layers, dummy nodes, barycentres.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from potstill.reporting.number_formats import cut
from potstill.reporting.scatter import isotonic

LETTER, SMALL = 8.1, 6.4
"""Width of a letter of a box's two lines, on the safe side for wide fonts."""
LONGEST = 34
"""Letters of a name that are shown; the rest is in the tooltip and in the lineage table."""
BOX, LANE, GAP, BETWEEN, EDGE = 42.0, 6.0, 14.0, 36.0, 4.0
"""Height of a box, width of the lane of a long edge, gap beside each, gap between layers, outer margin."""
PASSES = 12
"""Passes that move the slots sideways; even, so that the last one goes down."""
SWEEPS = 12
"""Orderings tried, alternately from the top and from the bottom."""


@dataclass(frozen=True)
class Node:
    """One step to draw."""

    name: str
    type: str
    inputs: tuple[str, ...]
    marked: bool = False
    """Whether it is one of those that the report is about."""
    note: str = ""
    """What stands behind its type in small letters: how long it took."""
    members: tuple[str, ...] = ()
    """Names of the steps that it stands for, where it is several."""

    @property
    def below(self) -> str:
        """Return the second line of its box."""
        return f"{self.type} · {self.note}" if self.note else self.type


@dataclass(frozen=True)
class Box:
    """One drawn step."""

    node: Node
    text: str
    x: float
    y: float
    width: float
    height: float = BOX


@dataclass(frozen=True)
class Arrow:
    """One drawn edge, or a piece of one: an SVG path of numbers only."""

    path: str
    head: bool


@dataclass(frozen=True)
class Layers:
    """All that the template needs to draw the graph."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float


@dataclass(frozen=True)
class Slot:
    """A place in a layer: a step's, or the lane in which the edges of `name` pass to later layers."""

    name: str
    layer: int
    width: float
    lane: bool = False


Links = Sequence[tuple[Slot, Slot]]
"""Pairs of slots of neighbouring layers."""


def layers(nodes: Sequence[Node]) -> Layers:
    """Place `nodes`, given in topological order; inputs that are not among them are left out."""
    if not nodes:
        return Layers((), (), 0.0, 0.0)
    by_name = {node.name: node for node in nodes}
    level = levels_of(nodes)
    slots = {name: Slot(name, level[name], _width(node)) for name, node in by_name.items()}
    links = _links(by_name, slots)
    rows = _ordered(_rows(slots, links), links)
    middle = _middles(rows, links)
    boxes = tuple(
        Box(by_name[name], cut(name, LONGEST), middle[slot] - slot.width / 2, _top(slot), slot.width)
        for name, slot in slots.items()
    )
    lanes = tuple(
        Arrow(f"M{at:.1f} {_top(slot):.1f}V{_top(slot) + BOX:.1f}", False) for slot, at in middle.items() if slot.lane
    )
    right = max(at + slot.width / 2 for slot, at in middle.items())
    arrows = tuple(_arrow(before, after, middle) for before, after in links)
    return Layers(boxes, lanes + arrows, right + EDGE, EDGE + len(rows) * (BOX + BETWEEN) - BETWEEN + EDGE)


def levels_of(nodes: Sequence[Node]) -> dict[str, int]:
    """Return each step's layer: just below its inputs, and for a source just above where it is first used."""
    by_name = {node.name: node for node in nodes}
    level: dict[str, int] = {}
    for name, node in by_name.items():
        level[name] = max((level[before] + 1 for before in node.inputs if before in level), default=0)
    for name, node in by_name.items():
        users = [level[other.name] for other in by_name.values() if name in other.inputs]
        if users and not any(before in by_name for before in node.inputs):
            level[name] = min(users) - 1
    return level


def _links(by_name: Mapping[str, Node], slots: Mapping[str, Slot]) -> list[tuple[Slot, Slot]]:
    """Return the edges in pieces from layer to layer; all long edges of one step share its lane."""
    pieces: dict[tuple[Slot, Slot], None] = {}
    for name, node in by_name.items():
        for before in dict.fromkeys(wanted for wanted in node.inputs if wanted in by_name):
            at = slots[before]
            for layer in range(at.layer + 1, slots[name].layer):
                pieces[(at, Slot(before, layer, LANE, lane=True))] = None
                at = Slot(before, layer, LANE, lane=True)
            pieces[(at, slots[name])] = None
    return list(pieces)


def _rows(slots: Mapping[str, Slot], links: Links) -> list[list[Slot]]:
    """Return the slots of each layer in the order in which they come up."""
    every = dict.fromkeys([*slots.values(), *(slot for link in links for slot in link)])
    rows: list[list[Slot]] = [[] for _ in range(max(slot.layer for slot in every) + 1)]
    for slot in every:
        rows[slot.layer].append(slot)
    return rows


def _ordered(rows: list[list[Slot]], links: Links) -> list[list[Slot]]:
    """Return the rows in the order with the fewest crossings that the barycentre sweeps find."""
    best, fewest = rows, crossings(rows, links)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        rows = _swept(rows, links, forward)
        count = crossings(rows, links)
        if count < fewest:
            best, fewest = rows, count
    return best


def _swept(rows: list[list[Slot]], links: Links, forward: bool) -> list[list[Slot]]:
    """Sort each row by the mean place of its neighbours in the row before it (or after it)."""
    near = _neighbours(links if forward else [(after, before) for before, after in links])
    ordered = [list(row) for row in rows]
    for number in range(1, len(ordered)) if forward else range(len(ordered) - 2, -1, -1):
        place = {slot: index for index, slot in enumerate(ordered[number - 1 if forward else number + 1])}
        own = {slot: index for index, slot in enumerate(ordered[number])}
        centre = {slot: _mean([place[other] for other in near.get(slot, ())], own[slot]) for slot in own}
        ordered[number].sort(key=lambda slot: (centre[slot], own[slot]))
    return ordered


def crossings(rows: Sequence[Sequence[Slot]], links: Links) -> int:
    """Return how many pairs of links cross."""
    place = {slot: index for row in rows for index, slot in enumerate(row)}
    total = 0
    for number in range(len(rows) - 1):
        here = [(place[a], place[b]) for a, b in links if a.layer == number]
        total += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(here) for c, d in here[:i])
    return total


def _middles(rows: Sequence[Sequence[Slot]], links: Links) -> dict[Slot, float]:
    """Return each slot's horizontal middle: as near to its neighbours' as order and gaps allow.

    Passes go up and down in turn, each towards the neighbours that the pass comes from: a pull from both sides at once
    would draw every long edge as a diagonal. The last pass goes down, so that a chain hangs straight below its start.
    """
    above, below = _neighbours(links), _neighbours([(after, before) for before, after in links])
    offset = {slot: at for row in rows for slot, at in zip(row, _packed(row), strict=True)}
    middle = dict(offset)
    for number in range(PASSES):
        near = above if number % 2 else below
        for row in rows if number % 2 else reversed(rows):
            wanted = [_pulled(slot, near.get(slot, ()), middle) for slot in row]
            shifted = isotonic([at - offset[slot] for slot, at in zip(row, wanted, strict=True)])
            middle |= {slot: at + offset[slot] for slot, at in zip(row, shifted, strict=True)}
    left = min(at - slot.width / 2 for slot, at in middle.items())
    return {slot: at - left + EDGE for slot, at in middle.items()}


def _pulled(slot: Slot, near: Sequence[Slot], middle: Mapping[Slot, float]) -> float:
    """Return where the neighbours pull `slot`: their mean, but a long edge follows its own lane to stay straight."""
    lane = [other for other in near if slot.lane and other.lane]
    return _mean([middle[other] for other in lane or near], middle[slot])


def _packed(row: Iterable[Slot]) -> list[float]:
    """Return the middles of the slots of a row, set side by side with nothing but the gaps."""
    middles, at = [], 0.0
    for slot in row:
        middles.append(at + slot.width / 2)
        at += slot.width + GAP
    return middles


def _neighbours(links: Links) -> dict[Slot, list[Slot]]:
    """Return the slots that each slot's links come from."""
    neighbours: dict[Slot, list[Slot]] = {}
    for before, after in links:
        neighbours.setdefault(after, []).append(before)
    return neighbours


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else float(default)


def _width(node: Node) -> float:
    return 22 + max(LETTER * min(len(node.name), LONGEST), SMALL * len(node.below))


def _top(slot: Slot) -> float:
    return EDGE + slot.layer * (BOX + BETWEEN)


def _arrow(before: Slot, after: Slot, middle: Mapping[Slot, float]) -> Arrow:
    """Return the curve between two slots; only one that ends at a step has a head."""
    x1, x2 = middle[before], middle[after]
    y1, y2 = _top(before) + BOX, _top(after) - (0 if after.lane else 5)
    half = (y1 + y2) / 2
    return Arrow(f"M{x1:.1f} {y1:.1f}C{x1:.1f} {half:.1f} {x2:.1f} {half:.1f} {x2:.1f} {y2:.1f}", not after.lane)
