"""What a judge's grades and preferences say, with what is known of the judge beside it: order, length, gold, people.

L. Zheng et al., "Judging LLM-as-a-judge with MT-bench and chatbot arena" (2023, arXiv 2306.05685), sections 3.3
and 3.4: judges favour a place, long answers, and themselves.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Better = Literal["first", "second", "tie"]
"""Which of two answers is preferred."""
POINTS: Mapping[str, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
"""What a preference counts for the first of two."""
FEWEST = 2
"""Human labels below which nothing is estimated."""


@dataclass(frozen=True)
class Pair:
    """A pair of answers that a judge saw in both orders."""

    better: Better
    """What it said both times; a tie where it contradicted itself."""
    agreed: bool
    """Whether it said the same both times."""
    lengths: tuple[int, int]
    """Characters of both answers."""
    right: tuple[bool, bool] | None = None
    """Whether each is the right answer, where there is one."""
    human: Better | None = None
    """What a person said."""


def grade_figures(
    grades: Sequence[float],
    *,
    right: Sequence[bool | None] = (),
    human: Sequence[float | None] = (),
    lengths: Sequence[int] = (),
    clusters: Sequence[Hashable] | None = None,
) -> dict[str, Any]:
    """Return the mean grade with its 95 % interval, and how far the judge can be trusted.

    Args:
        grades: The judge's grades.
        right: Whether each answer is the right one. `gold_auc` is how often a right answer has the higher grade of a
            right and a wrong one, ties counting half: 0.5 is a judge that can't tell.
        human: What people said of some rows, drawn at random from all; None for the others. `human_estimate` is what
            they would say of all (`prediction_powered`).
        lengths: Characters of each answer, whose rank correlation with the grades is `length_correlation`.
        clusters: What each row comes from; rows of one source count as alike.

    >>> round(grade_figures([5, 4, 1, 2], right=[True, True, False, False])["gold_auc"], 2)
    1.0
    """
    figures = _mean("grade", grades, clusters)
    figures |= {"gold_auc": _auc(grades, right), "length_correlation": _ranks(grades, lengths)}
    pairs = [(float(one), grade) for one, grade in zip(human, grades, strict=False) if one is not None]
    others = [grade for one, grade in zip(human, grades, strict=False) if one is None]
    return figures | _of_people(
        pairs, others, "human_correlation", _ranks([b for _, b in pairs], [a for a, _ in pairs])
    )


def pair_figures(pairs: Sequence[Pair], clusters: Sequence[Hashable] | None = None) -> dict[str, Any]:
    """Return how often the first of two is preferred, a tie counting half, with its interval over questions.

    Beside it: the share of ties and of contradictions, how often the longer answer wins and by how many characters the
    first is longer, how often the judge prefers the right one where just one is right, and what people would say.

    >>> pairs = [Pair("first", True, (3, 9)), Pair("tie", False, (4, 4))]
    >>> figures = pair_figures(pairs)
    >>> figures["win_rate"], figures["ties"], figures["contradicted"]
    (0.75, 0.5, 0.5)
    """
    points = [POINTS[pair.better] for pair in pairs]
    longer = [
        POINTS[pair.better] if pair.lengths[0] > pair.lengths[1] else 1 - POINTS[pair.better]
        for pair in pairs
        if pair.lengths[0] != pair.lengths[1]
    ]
    labelled = [
        POINTS[pair.better] if pair.right[0] else 1 - POINTS[pair.better]
        for pair in pairs
        if pair.right is not None and pair.right[0] != pair.right[1]
    ]
    people = [(POINTS[pair.human], POINTS[pair.better]) for pair in pairs if pair.human is not None]
    others = [POINTS[pair.better] for pair in pairs if pair.human is None]
    same = [float(a == b) for a, b in people]
    return {
        **_mean("win_rate", points, clusters, bounds=(0.0, 1.0)),
        "wins": sum(pair.better == "first" for pair in pairs) / len(pairs),
        "ties": sum(pair.better == "tie" for pair in pairs) / len(pairs),
        "losses": sum(pair.better == "second" for pair in pairs) / len(pairs),
        "contradicted": sum(not pair.agreed for pair in pairs) / len(pairs),
        "longer_wins": _average(longer),
        "longer_by": sum(pair.lengths[0] - pair.lengths[1] for pair in pairs) / len(pairs),
        "gold_agreement": _average(labelled),
        "gold_pairs": len(labelled),
        **_of_people(people, others, "human_agreement", _average(same), bounds=(0.0, 1.0)),
    }


def _of_people(
    pairs: Sequence[tuple[float, float]],
    others: Sequence[float],
    name: str,
    agreement: float | None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> dict[str, Any]:
    """Return what people say, sharpened by the judge where it labelled more rows; nothing where nobody was asked."""
    if not pairs:
        return {}
    figures: dict[str, Any] = {"human_labels": len(pairs), name: agreement}
    if len(pairs) < FEWEST or not others:
        return figures
    from potstill.metrics.uncertainty.prediction_powered import prediction_powered

    estimate = prediction_powered([human for human, _ in pairs], [judge for _, judge in pairs], others)
    return figures | {
        "human_estimate": min(bounds[1], max(bounds[0], estimate.mean.value)),
        "human_estimate_low": max(bounds[0], estimate.mean.low),
        "human_estimate_high": min(bounds[1], estimate.mean.high),
        "judge_trust": estimate.trust,
        "human_labels_as_good_as": estimate.as_good_as if math.isfinite(estimate.as_good_as) else None,
    }


def _mean(
    name: str,
    scores: Sequence[float],
    clusters: Sequence[Hashable] | None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> dict[str, float | None]:
    """Return a mean with the ends of its interval, which stay within what a score can be; None where it has none."""
    from potstill.metrics.uncertainty.means import mean_interval

    mean = mean_interval(scores, clusters)
    ends = {f"{name}_low": max(bounds[0], mean.low), f"{name}_high": min(bounds[1], mean.high)}
    varies = mean.low < mean.high and math.isfinite(mean.low)
    return {name: mean.value, **({end: value if varies else None for end, value in ends.items()})}


def _average(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _auc(scores: Sequence[float], right: Sequence[bool | None]) -> float | None:
    """Return the share of pairs of a right and a wrong answer in which the right one scores higher, ties half."""
    good = [score for score, one in zip(scores, right, strict=False) if one is True]
    bad = [score for score, one in zip(scores, right, strict=False) if one is False]
    if not good or not bad:
        return None
    wins = math.fsum((one > other) + (one == other) / 2 for one in good for other in bad)
    return wins / (len(good) * len(bad))


def _ranks(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's correlation of two rows of numbers; None of fewer than three, or where one is constant."""
    if len(first) < 3 or len(first) != len(second) or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    import numpy as np

    return float(np.corrcoef(_mean_ranks(first), _mean_ranks(second))[0, 1])


def _mean_ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the rank of each value, equal ones at their mean."""
    import numpy as np

    _, places, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: NDArray[np.float64] = (ends - (counts - 1) / 2)[places]
    return means
