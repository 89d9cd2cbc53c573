"""How many words an answer shares with the right one: token F1 and ROUGE, in any script.

Words are those of `potstill.text.words`: Unicode's segmentation, a letter each where a script writes no spaces. The
package `rouge_score` keeps a to z and digits only, so that identical Cyrillic texts score 0 there; of English prose its
scores are these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from potstill.metrics.measures.measure import Gold, Measure, Row, best
from potstill.text.words import words_of


def f_measure(shared: int, answer_count: int, gold_count: int) -> float:
    """Return the harmonic mean of precision and recall of what is `shared`; 0 where nothing is."""
    return 2 * shared / (answer_count + gold_count) if shared else 0.0


def shared_ngrams(answer_words: Sequence[str], gold_words: Sequence[str], n: int) -> tuple[int, int, int]:
    """Return how many runs of n words two texts share, each as often as both have it, and how many each has."""
    first, second = (
        Counter(zip(*(words[place:] for place in range(n)), strict=False)) for words in (answer_words, gold_words)
    )
    return (first & second).total(), first.total(), second.total()


def common_subsequence(answer_words: Sequence[str], gold_words: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, a bit of one long number for each word of the answer.

    H. Hyyrö, "Bit-parallel LCS-length computation revisited", AWOCA 2004, figure 3.

    >>> common_subsequence("the cat sat on the mat".split(), "the dog sat on a mat".split())
    4
    """
    full = (1 << len(answer_words)) - 1
    places: dict[str, int] = {}
    for place, word in enumerate(answer_words):
        places[word] = places.get(word, 0) | 1 << place
    # a bit turns 0 where the row of the usual table of lengths rises by one
    vector = full
    for word in gold_words:
        match = places.get(word, 0)
        if match:
            both = vector & match
            # V = (V + (V & M)) | (V & ~M), with M the places of the word; as many bits as the answer has words
            vector = ((vector + both) | (vector & ~match)) & full
    # all rises of the last row together are its last entry, the length
    return len(answer_words) - vector.bit_count()


@dataclass(frozen=True)
class TokenF1(Measure):
    """F1 of the words that an answer shares with a right one, each as often as both have it.

    Rajpurkar et al. 2016 (arXiv 1606.05250), section 6.1, with the words of any script and no articles dropped; two
    texts without words are the same, and one of them shares nothing (P. Rajpurkar, R. Jia and P. Liang 2018, arXiv
    1806.03822, appendix).

    >>> round(TokenF1().per_row("in the old town", "the old city", {}), 3)
    0.571
    """

    name: str = "token_f1"
    """What its figure is called."""

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return the F1 with the nearest right answer."""
        return best(_token_f1, answer, gold)


def _token_f1(answer: str, gold: str) -> float:
    answer_words, gold_words = words_of(answer), words_of(gold)
    if not answer_words or not gold_words:
        return float(answer_words == gold_words)
    return f_measure(*shared_ngrams(answer_words, gold_words, 1))


@dataclass(frozen=True)
class ROUGE(Measure):
    """ROUGE: the F1 of the words (`1`), pairs of words (`2`) or the longest common subsequence (`L`) that are shared.

    C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004, sections 2 (N) and 3.1 (L, of the text as
    one sentence), with beta = 1 and without stemming. Of several right answers the best one counts. A text too short
    for a pair of words shares none, with itself neither.

    >>> ROUGE("L").per_row("Кошка сидит на ковре", "Кошка сидит на ковре", {})
    1.0
    """

    kind: Literal["1", "2", "L"] = "L"
    """What is counted."""

    def __post_init__(self) -> None:
        """Refuse other kinds.

        Raises:
            ValueError: it is none of the three.
        """
        if self.kind not in ("1", "2", "L"):
            raise ValueError(f"ROUGE has no kind {self.kind!r}: choose '1', '2' or 'L'")

    @property
    def name(self) -> str:
        """`rouge_1`, `rouge_2` or `rouge_l`."""
        return f"rouge_{self.kind.lower()}"

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return the F1 with the nearest right answer."""
        return best(self._score, answer, gold)

    def _score(self, answer: str, gold: str) -> float:
        answer_words, gold_words = words_of(answer), words_of(gold)
        if self.kind == "L":
            return f_measure(common_subsequence(answer_words, gold_words), len(answer_words), len(gold_words))
        return f_measure(*shared_ngrams(answer_words, gold_words, int(self.kind)))
