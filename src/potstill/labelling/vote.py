"""Majority votes over answers (self-consistency: Wang et al. 2023, arXiv 2203.11171, section 2)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from potstill.text.patterns import pattern as compiled_pattern


@dataclass(frozen=True)
class Vote:
    """How a vote went."""

    answer: str
    """The answer with most votes; of several, the one given first."""
    confidence: float
    """Its share of all who were asked, those without an answer included."""
    first: int
    """Number of the first who gave it."""
    counts: tuple[tuple[str, int], ...]
    """Votes by answer, most first."""

    def columns(self) -> dict[str, object]:
        """Return the columns that tell how the vote went."""
        votes = [{"answer": answer, "count": count} for answer, count in self.counts]
        return {"answer": self.answer, "confidence": self.confidence, "votes": votes}


def majority(answers: Sequence[str | None]) -> Vote | None:
    """Return the vote over `answers`, where None is no answer; None if nobody has any.

    >>> majority(["8", "7", None, "7"])
    Vote(answer='7', confidence=0.5, first=1, counts=(('7', 2), ('8', 1)))
    """
    # a counter keeps the order of what it met first, and so does its sorting
    counts = tuple(Counter(answer for answer in answers if answer is not None).most_common())
    if not counts:
        return None
    winner, votes = counts[0]
    return Vote(winner, votes / len(answers), answers.index(winner), counts)


def answer_in(text: str, pattern: str = "") -> str | None:
    r"""Return the answer that `text` gives, in a form in which equal answers are equal texts.

    With a `pattern` (a regular expression) it is the first group of its last match, because answers follow reasoning,
    or nothing; without one the whole text, spelled in one way if it is JSON.

    >>> answer_in("3 and 4 make 7. The answer is 7.", r"answer is (\d+)")
    '7'
    >>> answer_in('{"b": 1, "a": [2]}')
    '{"a":[2],"b":1}'

    Raises:
        SlowPattern: the pattern takes too long on this text.
    """
    if pattern:
        compiled = compiled_pattern(pattern)
        last = compiled.last(text)
        return None if last is None else (last.group(1 if compiled.groups else 0) or "").strip()
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return " ".join(text.split())
