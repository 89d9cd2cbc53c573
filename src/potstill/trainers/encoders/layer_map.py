"""Which layer of a student learns from which layer of its teacher.

Layers are numbered from 0; a pair is (student's layer, teacher's layer), and compares the outputs of both.
"""

from __future__ import annotations

from collections.abc import Sequence

from potstill.errors import BadInput, Problem

Pairs = Sequence[tuple[int, int]]
"""(student's layer, teacher's layer)."""


def uniform(student: int, teacher: int) -> list[tuple[int, int]]:
    """Return the pairs that spread `student` layers evenly over `teacher` layers, last to last.

    The uniform strategy of Jiao et al. 2020, TinyBERT (arXiv 1909.10351), and PKD-Skip of Sun et al. 2019 (arXiv
    1908.09355) with the last layer taken in. Where it doesn't divide, the next layer above is taken.

    >>> uniform(3, 6), uniform(2, 3)
    ([(0, 1), (1, 3), (2, 5)], [(0, 1), (1, 2)])
    """
    # -(-a // b) rounds up
    return [(layer, -(-(layer + 1) * teacher // student) - 1) for layer in range(student)]


def checked(pairs: Pairs, student: int, teacher: int) -> Pairs:
    """Return the `pairs`, or those of `uniform` where there are none.

    Raises:
        BadInput: a pair names a layer that a model doesn't have.
    """
    wrong = [
        f"{pair}: the {who} has {count} layers, numbered 0 to {count - 1}"
        for pair in pairs
        for who, layer, count in (("student", pair[0], student), ("teacher", pair[1], teacher))
        if not 0 <= layer < count
    ]
    if wrong:
        raise BadInput(*(Problem("", "layers", text) for text in wrong))
    return pairs or uniform(student, teacher)
