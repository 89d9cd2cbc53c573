"""Geometry of the graph: layers from left to right, long edges led around boxes, few crossings.

Reference: K. Sugiyama, S. Tagawa and M. Toda, "Methods for visual understanding of hierarchical system structures",
IEEE Transactions on Systems, Man, and Cybernetics 11 (1981): layers, dummy nodes, barycentres.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from potstill.reporting.formats import cut
from potstill.reporting.scatter import isotonic

LETTER, SMALL = 7.3, 6.3
"""Mean width of a letter of a box's two lines."""
LONGEST = 34
"""Letters of a name that are shown; the rest is in the tooltip and in the lineage table."""
BOX, LANE, GAP, ACROSS, EDGE = 42.0, 6.0, 12.0, 40.0, 4.0
"""Height of a box and of the lane of a long edge, gap below each, gap between layers, outer margin."""
SWEEPS = 12
"""Orderings tried, alternately from the left and from the right."""


@dataclass(frozen=True)
class Node:
    """One step to draw."""

    name: str
    type: str
    inputs: tuple[str, ...]
    marked: bool = False
    """Whether it is one of those that the report is about."""


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
    lane: bool = False

    @property
    def height(self) -> float:
        """Return the height that it takes."""
        return LANE if self.lane else BOX


Links = Sequence[tuple[Slot, Slot]]
"""Pairs of slots of neighbouring layers."""


def layers(nodes: Sequence[Node]) -> Layers:
    """Place `nodes`, given in topological order; inputs that are not among them are left out."""
    if not nodes:
        return Layers((), (), 0.0, 0.0)
    known = {node.name: node for node in nodes}
    level = _levels(known)
    links = _links(known, level)
    rows = _ordered(_slots(known, level, links), links)
    middle = _middles(rows, links)
    width = [max([_width(known[slot.name]) for slot in row if not slot.lane], default=0.0) for row in rows]
    left = [EDGE + sum(width[:number]) + ACROSS * number for number in range(len(rows))]
    boxes = tuple(
        Box(
            node,
            cut(node.name, LONGEST),
            left[level[name]],
            middle[Slot(name, level[name])] - BOX / 2,
            width[level[name]],
        )
        for name, node in known.items()
    )
    arrows = tuple(_arrow(before, after, left, width, middle) for before, after in links)
    lanes = tuple(
        Arrow(f"M{left[slot.layer]:.1f} {at:.1f}H{left[slot.layer] + width[slot.layer]:.1f}", False)
        for slot, at in middle.items()
        if slot.lane
    )
    bottom = max(at + slot.height / 2 for slot, at in middle.items())
    return Layers(boxes, arrows + lanes, left[-1] + width[-1] + EDGE, bottom + EDGE)


def _levels(known: Mapping[str, Node]) -> dict[str, int]:
    """Return each step's layer: just right of its inputs, and for a source just left of where it is first used."""
    level: dict[str, int] = {}
    for name, node in known.items():
        level[name] = max((level[before] + 1 for before in node.inputs if before in level), default=0)
    for name, node in known.items():
        users = [level[other.name] for other in known.values() if name in other.inputs]
        if users and not any(before in known for before in node.inputs):
            level[name] = min(users) - 1
    return level


def _links(known: Mapping[str, Node], level: Mapping[str, int]) -> list[tuple[Slot, Slot]]:
    """Return the edges in pieces from layer to layer; all long edges of one step share its lane."""
    made: dict[tuple[Slot, Slot], None] = {}
    for node in known.values():
        for before in dict.fromkeys(name for name in node.inputs if name in known):
            at = Slot(before, level[before])
            for layer in range(level[before] + 1, level[node.name]):
                made[(at, Slot(before, layer, lane=True))] = None
                at = Slot(before, layer, lane=True)
            made[(at, Slot(node.name, level[node.name]))] = None
    return list(made)


def _slots(known: Mapping[str, Node], level: Mapping[str, int], links: Links) -> list[list[Slot]]:
    """Return the slots of each layer in the order in which they come up."""
    every = [*(Slot(name, level[name]) for name in known), *(slot for link in links for slot in link if slot.lane)]
    rows: list[list[Slot]] = [[] for _ in range(max(level.values()) + 1)]
    for slot in dict.fromkeys(every):
        rows[slot.layer].append(slot)
    return rows


def _ordered(rows: list[list[Slot]], links: Links) -> list[list[Slot]]:
    """Return the rows in the order with the fewest crossings that the barycentre sweeps find."""
    best, fewest = rows, crossings(rows, links)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        rows = _swept(rows, links, forward)
        found = crossings(rows, links)
        if found < fewest:
            best, fewest = rows, found
    return best


def _swept(rows: list[list[Slot]], links: Links, forward: bool) -> list[list[Slot]]:
    """Sort each row by the mean place of its neighbours in the row before it (or after it)."""
    near = _neighbours(links if forward else [(after, before) for before, after in links])
    made = [list(row) for row in rows]
    for number in range(1, len(made)) if forward else range(len(made) - 2, -1, -1):
        place = {slot: index for index, slot in enumerate(made[number - 1 if forward else number + 1])}
        own = {slot: index for index, slot in enumerate(made[number])}
        centre = {slot: _mean([place[other] for other in near.get(slot, ())], own[slot]) for slot in own}
        made[number].sort(key=lambda slot: (centre[slot], own[slot]))
    return made


def crossings(rows: Sequence[Sequence[Slot]], links: Links) -> int:
    """Return how many pairs of links cross."""
    place = {slot: index for row in rows for index, slot in enumerate(row)}
    total = 0
    for number in range(len(rows) - 1):
        here = [(place[a], place[b]) for a, b in links if a.layer == number]
        total += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(here) for c, d in here[:i])
    return total


def _middles(rows: Sequence[Sequence[Slot]], links: Links) -> dict[Slot, float]:
    """Return each slot's vertical middle: as near to its neighbours as order and gaps allow."""
    near = _neighbours([*links, *((after, before) for before, after in links)])
    offset = {slot: at for row in rows for slot, at in zip(row, _stacked(row), strict=True)}
    middle = dict(offset)
    for _ in range(2 * SWEEPS):
        for row in rows:
            wanted = [_mean([middle[other] for other in near.get(slot, ())], middle[slot]) for slot in row]
            shifted = isotonic([at - offset[slot] for slot, at in zip(row, wanted, strict=True)])
            middle |= {slot: at + offset[slot] for slot, at in zip(row, shifted, strict=True)}
    top = min(at - slot.height / 2 for slot, at in middle.items())
    return {slot: at - top + EDGE for slot, at in middle.items()}


def _stacked(row: Iterable[Slot]) -> list[float]:
    """Return the middles of the slots of a row, stacked without more than the gaps."""
    made, at = [], 0.0
    for slot in row:
        made.append(at + slot.height / 2)
        at += slot.height + GAP
    return made


def _neighbours(links: Links) -> dict[Slot, list[Slot]]:
    """Return the slots that each slot's links come from."""
    found: dict[Slot, list[Slot]] = {}
    for before, after in links:
        found.setdefault(after, []).append(before)
    return found


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else float(default)


def _width(node: Node) -> float:
    return 22 + max(LETTER * min(len(node.name), LONGEST), SMALL * len(node.type))


def _arrow(
    before: Slot, after: Slot, left: Sequence[float], width: Sequence[float], middle: Mapping[Slot, float]
) -> Arrow:
    """Return the curve between two slots; only one that ends at a step has a head."""
    x1, x2 = left[before.layer] + width[before.layer], left[after.layer]
    y1, y2 = middle[before], middle[after]
    end = x2 - (0 if after.lane else 5)
    half = (x1 + end) / 2
    return Arrow(f"M{x1:.1f} {y1:.1f}C{half:.1f} {y1:.1f} {half:.1f} {y2:.1f} {end:.1f} {y2:.1f}", not after.lane)
