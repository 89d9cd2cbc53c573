"""How much of a text is repetition.

Rae et al. 2021, "Scaling language models: methods, analysis and insights from training Gopher", appendix A.1.1 and
table A1. Where the paper leaves room: a line or paragraph counts as duplicate from its second occurrence on; an n-gram
counts as repeated only if it occurs more than once, so that a text of two words is no repetition of itself; shares of
n-grams are of the characters in words, each counted once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

Share = tuple[str, float]
"""What is repeated, and how much of the text it is."""


def repeated_parts(text: str) -> Iterator[Share]:
    """Yield the shares of lines and paragraphs that were there before, by number and by characters."""
    for name, pattern in (("line", r"\n"), ("paragraph", r"\n\s*\n")):
        parts = [part.strip() for part in re.split(pattern, text) if part.strip()]
        seen: set[str] = set()
        again = [part for part in parts if part in seen or seen.add(part)]  # type: ignore[func-returns-value]
        yield f"duplicate {name}s", len(again) / max(len(parts), 1)
        yield f"characters in duplicate {name}s", _characters(again) / max(_characters(parts), 1)


def repeated_ngrams(words: Sequence[str], sizes: Iterable[int], *, only_top: bool) -> Iterator[float]:
    """Yield for each n of `sizes` the share of characters in n-grams that occur more than once, or in the top one.

    `sizes` must ascend: where no n words are repeated, no more words are, so the rest is not looked at.
    """
    total = max(_characters(words), 1)
    for n in sizes:
        starts = _repeated(words, n)
        if not starts:
            return
        if only_top:
            most = max(starts, key=lambda gram: (len(starts[gram]), _characters(gram)))
            starts = {most: starts[most]}
        covered = {start + step for places in starts.values() for start in places for step in range(n)}
        yield sum(len(words[place]) for place in covered) / total


def _repeated(words: Sequence[str], n: int) -> dict[tuple[str, ...], list[int]]:
    """Return where each n-gram starts that occurs more than once."""
    grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    if len(set(grams)) == len(grams):
        return {}
    counts = Counter(grams)
    starts: dict[tuple[str, ...], list[int]] = {}
    for start, gram in enumerate(grams):
        if counts[gram] > 1:
            starts.setdefault(gram, []).append(start)
    return starts


def _characters(parts: Iterable[str]) -> int:
    """Return how many characters the parts have together."""
    return sum(map(len, parts))
