"""Measures that read something out of an answer first: a number, or which of several labels it says."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import ClassVar

from potstill.metrics.measures.measure import Gold, Measure, Row, best, golds_of, with_options
from potstill.text.choice import ChoiceReader

_SPACES = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}"
_MINUS = dict.fromkeys((0x2212, 0x2010, 0x2011, 0xFE63, 0xFF0D), "-")
# a sign counts only where it is no dash between two numbers, as in 10-5
_NUMBER = re.compile(
    rf"(?:(?<![\w.)])-)?[$€£¥]?(?<![\d.])(?:\d{{1,3}}(?:[,_{_SPACES}]\d{{3}})+(?![\d,_])|\d+)?(?:\.\d+|(?<=\d))"
    rf"(?:[eE][+-]?\d{{1,3}}(?![\w.]))?"
)
_FINAL = re.compile(r"####\s*(.+)|\\boxed\{([^{}]{1,200})\}")


def last_number(text: str) -> Decimal | None:
    r"""Return the number that a worked answer ends with; None if it has none.

    What stands behind the last `####`, or in the last `\boxed{}`, is meant if there is a number; otherwise it is the
    last number of the text. Thousands are parted by commas, underscores or narrow spaces; the decimal mark is a full
    stop, in digits of any script.

    K. Cobbe et al., "Training verifiers to solve math word problems" (2021, arXiv 2110.14168), section 2, for `####`.

    >>> last_number("2 + 2 = 4, so 1,004 in all."), last_number("It is 7.\n#### -1,234.50")
    (Decimal('1004'), Decimal('-1234.50'))
    """
    # before NFKC, which makes plain spaces of narrow ones: "1 000" would be two numbers
    plain = unicodedata.normalize("NFKC", re.sub(rf"(?<=\d)[{_SPACES}](?=\d{{3}})", "_", text).translate(_MINUS))
    final = [match[1] or match[2] for match in _FINAL.finditer(plain)]
    for place in (*final[-1:], plain):
        numbers = _NUMBER.findall(place)
        if numbers:
            # behind #### the answer comes first, and words may follow; in prose the last number is the answer
            return _decimal(numbers[0] if place is not plain else numbers[-1])
    return None


def _decimal(digits: str) -> Decimal | None:
    try:
        return Decimal(re.sub(r"[$€£¥,_]", "", digits))
    except InvalidOperation:
        return None


@dataclass(frozen=True)
class NumericAnswer(Measure):
    r"""Whether the number that an answer ends with is the right one, as in GSM8K.

    >>> NumericAnswer().per_row("He pays 3 * 24 = $72.00 in all.", "48 + 24 = 72\n#### 72", {})
    1.0
    """

    is_share: ClassVar[bool] = True

    tolerance: float = 0.0
    """How far off it may be, as a share of the right number."""

    @property
    def name(self) -> str:
        """`numeric_answer`, with the tolerance."""
        return with_options("numeric_answer", self)

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return 1 if the number is right, 0 if it is another one or there is none.

        Raises:
            ValueError: a right answer holds no number.
        """
        return best(self._same, answer, gold)

    def _same(self, answer: str, gold: str) -> bool:
        answered, expected = last_number(answer), last_number(gold)
        if expected is None:
            raise ValueError(f"the right answer holds no number: {gold!r:.80}")
        # by its text: Decimal(0.1) is a little more than 0.1
        return answered is not None and abs(answered - expected) <= Decimal(str(self.tolerance)) * abs(expected)


@dataclass(frozen=True)
class Label(Measure):
    """Whether an answer in words says the right label, read by the rules by which labels are made.

    An answer that says none for certain is wrong. See `potstill.text.choice`.

    >>> Label(("yes", "no")).per_row("**No**, because it rhymes.", "no", {})
    1.0
    """

    is_share: ClassVar[bool] = True

    choices: tuple[str, ...]
    """The labels."""

    @property
    def name(self) -> str:
        """`label`."""
        return "label"

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return 1 if the answer says a right label, else 0.

        Raises:
            ValueError: a right answer is no label.
        """
        unknown = [one for one in golds_of(gold) if one not in self.choices]
        if unknown:
            raise ValueError(f"the right answer {unknown[0]!r:.80} is no label: one of {', '.join(self.choices)}")
        try:
            return float(_reader(self.choices).read(answer) in golds_of(gold))
        except ValueError:
            return 0.0


@lru_cache(maxsize=32)
def _reader(choices: tuple[str, ...]) -> ChoiceReader:
    return ChoiceReader(tuple(choices))
