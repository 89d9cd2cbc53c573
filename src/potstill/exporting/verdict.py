"""Whether what was exported answers as the model in memory does."""

from __future__ import annotations

import math
from collections.abc import Mapping

from potstill.errors import PotstillError
from potstill.exporting.probe import Answers

SAME = 0.005
"""Largest relative difference of perplexities that counts as the same: what arithmetic in other orders makes."""


class NotDeployableError(PotstillError):
    """What was exported does not answer as the model does; says what differed."""


def judge(before: Answers, held: Answers | None, fresh: Answers, rise: float) -> Mapping[str, float]:
    """Return what was measured, for the card and the manifest.

    Args:
        before: of the model in memory, before anything was quantized.
        held: of the model in memory with the very weights that were written, where `fresh` should say the same.
        fresh: of what was written, loaded in a process of its own.
        rise: largest relative change of perplexity from `before`; a fall also shows that it is another model.

    Raises:
        NotDeployableError: something differed by more than that.
    """
    problems = []
    change = fresh.perplexity / before.perplexity - 1
    # first: NaN compares false with every bound below, and would pass as equal
    if not math.isfinite(fresh.perplexity):
        problems.append(f"{fresh.runtime} finds a perplexity of {fresh.perplexity}: its weights or kernels are broken")
    # with the very same weights only the order of sums may differ, so this is a test of the file, not of the precision
    elif held is not None and abs(fresh.perplexity / held.perplexity - 1) > SAME:
        problems.append(
            f"{fresh.runtime} finds a perplexity of {fresh.perplexity:.5g}, and the same weights in memory "
            f"{held.perplexity:.5g}: more than {SAME:.1%} apart, so the file says something else"
        )
    # also a fall: a model that suddenly knows its texts better is another one
    elif abs(change) > rise:
        problems.append(
            f"perplexity goes from {before.perplexity:.5g} to {fresh.perplexity:.5g} in {fresh.runtime}, by more than "
            f"{rise:.1%}: take a higher precision or smaller groups, train for it, or allow it with tolerance="
        )
    for number, (mine, exported) in enumerate(zip(before.tokens, fresh.tokens, strict=False)):
        if mine != exported:
            problems.append(
                f"the exported tokenizer reads probe text {number} as {list(exported)[:12]}... and the model's as "
                f"{list(mine)[:12]}...: answers would be garbage"
            )
    if problems:
        raise NotDeployableError("the export is not deployable: " + "; ".join(problems))
    return {
        "perplexity in memory": before.perplexity,
        "perplexity exported": fresh.perplexity,
        "perplexity ratio": fresh.perplexity / before.perplexity,
        "equal greedy tokens": agreeing(before, fresh),
        "probe tokens": before.scored,
    }


def agreeing(one: Answers, other: Answers) -> float:
    """Return the share of greedily decoded tokens of `one` up to where `other`'s text first differs."""
    same, count = 0, 0
    for mine, others in zip(one.continued, other.continued, strict=True):
        count += len(mine)
        for a, b in zip(mine, others, strict=False):
            if a != b:
                break
            # greedy texts that differ once differ ever after, as each token is read back
            same += 1
    return same / max(count, 1)
