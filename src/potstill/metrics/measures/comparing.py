"""Two models by a measure of all rows together, such as BLEU: a paired bootstrap."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from potstill.errors import BadInput
from potstill.metrics.measures.measure import CorpusMeasure, Gold, Measure

if TYPE_CHECKING:
    from potstill.metrics.uncertainty.bootstrap import PairedBootstrap


def compare_measure(
    measure: Measure,
    first: Sequence[str],
    second: Sequence[str],
    golds: Sequence[Gold],
    clusters: Sequence[Hashable] | None = None,
    *,
    draws: int = 1_000,
    seed: int = 0,
) -> PairedBootstrap:
    """Return by how much the answers of the first model score higher than those of the second, on the same rows.

    Rows are drawn again for both models together, and the figure of all of them is recomputed: P. Koehn,
    "Statistical significance tests for machine translation evaluation", EMNLP 2004, section 4. Of a measure whose
    figure is a mean, it is the bootstrap of paired means, over the rows that have a score of both models.

    Raises:
        BadInput: there are no rows, not as many of one as of another, or no row has a score of both.

    >>> from potstill.metrics import BLEU
    >>> better, worse = ["the cat sat on the mat"] * 9, ["a cat sat at a mat"] * 9
    >>> compare_measure(BLEU(), better, worse, ["the cat sat on the mat"] * 9).difference.value > 50
    True
    """
    if not len(golds) or len({len(first), len(second), len(golds)}) > 1:
        raise BadInput(
            f"{len(first)} answers of the first model, {len(second)} of the second and {len(golds)} right answers: "
            "give at least one row, and as many of each"
        )
    from potstill.metrics.uncertainty.bootstrap import paired_bootstrap

    if isinstance(measure, CorpusMeasure):
        mine, yours = measure.counts(first, golds), measure.counts(second, golds)
        return paired_bootstrap(mine, yours, measure.figure, clusters, draws=draws, seed=seed)

    def scored(answers: Sequence[str]) -> list[float | None]:
        return [measure.per_row(one, gold, {}) for one, gold in zip(answers, golds, strict=True)]

    pairs = list(zip(scored(first), scored(second), strict=True))
    # a row of which the measure says nothing is no row with a score of 0
    places = [
        number for number, pair in enumerate(pairs) if all(one is not None and math.isfinite(one) for one in pair)
    ]
    if not places:
        raise BadInput(f"{measure.name} gives no row a score of both models: there is nothing to compare")
    mine, yours = ([[float(pairs[place][side] or 0.0), 1.0] for place in places] for side in (0, 1))
    own = None if clusters is None else [clusters[place] for place in places]
    return paired_bootstrap(mine, yours, lambda sums: sums[0] / sums[1], own, draws=draws, seed=seed)
