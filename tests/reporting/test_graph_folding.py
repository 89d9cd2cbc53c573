"""Large graphs are folded: every step stays in one box, no circle arises, and small ones stay as they are."""

from __future__ import annotations

import random

import pytest

from potstill.reporting.graph_folding import MOST, folded
from potstill.reporting.graph_layout import Node, layers


def grid(wide, deep):
    """Return a graph of series: in each layer, steps of one name that differ by a number."""
    names = [[f"step {layer}-{number}" for number in range(wide)] for layer in range(deep)]
    return [
        Node(name, f"Type{layer % 3}", (names[layer - 1][number],) if layer else (), layer == deep - 1)
        for layer in range(deep)
        for number, name in enumerate(names[layer])
    ]


def tangle(count, seed):
    """Return a graph without any order in names, types and edges."""
    draw = random.Random(seed)
    names = ["".join(draw.choices("abcdef…", k=5)) + str(number) for number in range(count)]
    return [
        Node(name, draw.choice("ABCDEFGH"), tuple(draw.sample(names[:place], min(place, draw.randrange(4)))))
        for place, name in enumerate(names)
    ]


@pytest.mark.parametrize("nodes", [grid(20, 5), grid(1, 200), grid(150, 1), tangle(70, 1), tangle(300, 2)])
def test_no_step_is_lost_and_no_circle_arises(nodes):
    boxes = folded(nodes)
    assert 1 < len(boxes) <= MOST or len(boxes) == 1
    held = [name for box in boxes for name in box.members or (box.name,)]
    assert sorted(held) == sorted(node.name for node in nodes)
    box_of = {name: box.name for box in boxes for name in box.members or (box.name,)}
    assert len(set(box_of.values())) == len(boxes)
    before: set[str] = set()
    for box in boxes:
        assert set(box.inputs) <= before  # in topological order
        before.add(box.name)
    edges = {(box_of[one], box_of[node.name]) for node in nodes for one in node.inputs} - {(b.name,) * 2 for b in boxes}
    assert {(one, box.name) for box in boxes for one in box.inputs} == edges
    assert len(layers(boxes).boxes) == len(boxes)


def test_series_are_folded_by_their_names_and_what_was_measured_stays_marked():
    boxes = folded(grid(20, 5))
    assert [box.name for box in boxes] == [f"step {layer} …" for layer in range(5)]
    assert [box.note for box in boxes] == ["20 steps"] * 5
    assert [box.marked for box in boxes] == [False] * 4 + [True]


def test_a_small_graph_stays_as_it_is():
    assert folded(grid(12, 5)) == grid(12, 5)
