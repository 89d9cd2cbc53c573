"""Where a text names labels: as a whole, or as whole words among others.

A label found is replaced by one character that no text has, so that what stands around it can be read without regard to
what labels look like ("U.S." has full stops, "no" is a negation).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from potstill.text.negation import NEGATION

if TYPE_CHECKING:
    import re

CERTAIN, UNCERTAIN = 0xF0000, 0x100000
"""First of the characters that stand for labels, and for what may be a label or another word that looks like it."""
NAMED, ANY = "[\U000f0000-\U000ffffd]", "[\U000f0000-\U000ffffd\U00100000-\U0010fffd]"
"""Patterns of one such character."""
MARKS = "*_`\"'“”\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}«»„「」『』【】()[]{}<>"
"""What may stand around a label."""
_ENDS = ".,;:!。"
_LAYERS = 40
"""Characters that may stand around a label."""
_LETTERS = "AEIOUYaeiouy"
"""Labels of one letter that are words of some language."""
_SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_INVISIBLE = dict.fromkeys([0xFE0E, 0xFE0F, 0x200B, 0x2060, 0xFEFF, 0xAD])
_SET_OFF = r"[*_`\"'”\N{RIGHT SINGLE QUOTATION MARK}»)\]]*\s*(?:[.,;:!)\n—。]|$)"
_AFTER_LETTER = rf"{_SET_OFF}|\s+(?:is|was|wins|seems|and|or|than|over|because|since)\b"


def prepared(text: str) -> str:
    """Return `text` with each character in one form (NFKC), and without invisible ones."""
    return unicodedata.normalize("NFKC", text.translate(_INVISIBLE))


def peeled(text: str) -> Iterator[str]:
    """Yield `text`, then without more and more of the quotes, brackets, emphasis and full stops around it.

    >>> list(peeled('**"yes".**'))[-1]
    'yes'
    """
    plain = text.strip()
    yield plain
    for _ in range(_LAYERS):
        start = plain[:1] in tuple(MARKS)
        end = plain[-1:] in tuple(MARKS + _ENDS)
        if not start and not end:
            return
        plain = plain[start : len(plain) - end].strip()
        yield plain


@dataclass(frozen=True)
class Labels:
    """Labels that an answer may be."""

    names: tuple[str, ...]
    """The labels, each a text of its own."""

    def whole(self, text: str) -> str | None:
        """Return the label that `text` is, as it is spelled or else whatever its case and separators; or None."""
        forms = [form for form in peeled(prepared(text)) if form]
        keys: tuple[Callable[[str], str], ...] = (str, str.casefold, _spelling)
        for key in keys:
            for form in forms:
                matching = [name for name in self.names if key(prepared(name)) == key(form)]
                if matching:
                    return matching[0] if len(matching) == 1 else None
        return None

    def marked(self, text: str) -> str:
        """Return a prepared text in which every label is one character; `name_of` says which."""
        return str(self._pattern.sub(self._mark, text))

    def name_of(self, character: str) -> str:
        """Return the label that a character stands for."""
        code = ord(character)
        return self.names[code - (UNCERTAIN if code >= UNCERTAIN else CERTAIN)]

    @cached_property
    def _pattern(self) -> Any:
        import regex

        longest_first = sorted(filter(None, map(prepared, self.names)), key=len, reverse=True)
        return regex.compile("|".join(map(_as_words, longest_first)) or r"(?!)", regex.IGNORECASE)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Return the number of each label by its spellings, the exact one first."""
        numbers: dict[str, int] = {}
        for key in (str, str.casefold, _spelling):
            for number, name in enumerate(self.names):
                numbers.setdefault(key(prepared(name)), number)
        return numbers

    def _mark(self, match: re.Match[str]) -> str:
        """Return the character of a label found."""
        spelled = match.group()
        keys = (spelled, spelled.casefold(), _spelling(spelled))
        number = next((self._numbers[key] for key in keys if key in self._numbers), None)
        if number is None:
            return str(spelled)
        return chr((UNCERTAIN if _is_uncertain(match.string, *match.span()) else CERTAIN) + number)


def _spelling(text: str) -> str:
    """Return what two spellings of a label have in common."""
    import regex

    *_, bare = ("", *peeled(text.casefold()))
    return str(regex.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", bare or text.casefold()))


def _as_words(label: str) -> str:
    """Return the pattern of a label as whole words; short ones in capitals must be in capitals."""
    import regex

    pattern = r"[\s_-]+".join(map(regex.escape, regex.split(r"(?<=\w)[\s_-]+(?=\w)", label)))
    if len(label) == 1 or (len(label) <= 3 and label.isupper()):
        pattern = f"(?-i:{pattern})"
    before = r"(?<![\p{L}\p{N}\p{M}])" if regex.match(rf"[\p{{L}}\p{{N}}--[{_SPACELESS}]]", label, regex.V1) else ""
    last = rf"(?r)[\p{{L}}\p{{N}}\p{{M}}--[{_SPACELESS}]]"
    after = r"(?![\p{L}\p{N}\p{M}])" if regex.match(last, label, regex.V1) else r"(?![\p{M}\p{EMod}\u200d])"
    return before + pattern + after


def _is_uncertain(text: str, start: int, end: int) -> bool:
    """Return whether what looks like a label may be another word, or part of one."""
    import regex

    label, before, after = text[start:end], text[max(0, start - 2) : start], text[end : end + 2]
    if before[-1:] in tuple("/&+@$#\\%~^") or after[:1] in tuple("/&+@$#%~^"):
        return True
    joins = "-'.,·:\N{RIGHT SINGLE QUOTATION MARK}"
    if before[-1:] in tuple(joins[:-2]) and (before[:-1].isalnum() or (before[-1] == "-" and label[0].isdigit())):
        return True
    if after[:1] in tuple(joins) and after[1:].isalnum():
        return True
    if NEGATION.fullmatch(label):
        return not regex.compile(_SET_OFF).match(text, end)
    return label in _LETTERS and not regex.compile(_AFTER_LETTER).match(text, end)
