"""Words of a text, as every filter compares and counts them, in any script.

- Characters are compared in one form (NFKC) and whatever their case (Unicode's case folding, without the rules of any
  language, so that Turkish I and dotless i are two letters); superscripts, subscripts and fractions stay what they
  are, because 10² is not 102.
- A word is a run of letters and digits with their marks. Scripts that write no spaces (Chinese, Japanese, Thai, Lao,
  Khmer, Burmese) give a word for each letter with its marks, as Unicode's text segmentation (UAX 29) does without a
  dictionary. Punctuation, an apostrophe too, parts words, as the package `rouge_score` parts them.
- Symbols that mean something belong to the word that they stand at ("c++", "c#", "-5", "+3" in "5 + 3", ".5" in "1.5"),
  so that they make texts differ and English prose keeps the number of its words. Emoji are words of their own.
- A text of nothing but marks is made of these, except for those that end or part sentences, which alone say nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

_PLAIN = re.compile(r"[a-z0-9]+")
_SPECIAL = re.compile(
    r"[-.,:!+=<>|~^$%&@*#/\\]"  # one set first, to which the search jumps
    r"(?:(?<=[+=<>|~^$%&@*#/\\])|(?<=\d[.,:])\d|(?<=[-.!])(?<![^\s(\[{].)[-.!]?\w|(?<=\w-)(?!\w)"
    r"|(?<=\d-) ?\d|(?<=\d -) ?\d|(?<=\w -) \w)"
)
"""What an ASCII text must have for a symbol in it to mean something."""
_QUOTES_AND_DASHES = re.compile(
    "[\N{EN DASH}\N{EM DASH}\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}“”]"
)
"""What isn't ASCII in most English prose; `_word_pattern` takes them as it takes the quotation mark `"`."""
_SENTENCE_MARKS = "?!.,;:'\"\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}“”«»¿¡。、؟،؛।"
_KEPT = "".join(chr(code) for code in (*range(0x2070, 0x20A0), 0xAA, 0xB2, 0xB3, 0xB9, 0xBA, 0xBC, 0xBD, 0xBE))
_KEPT += "".join(map(chr, (*range(0x2150, 0x2160), 0x2189, 0x2122, 0x2120)))
_FOLDED = re.compile(f"[^{_KEPT}]+")
_INVISIBLE = dict.fromkeys((0xAD, 0x200C, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xFE0E, 0xFE0F, *range(0x202A, 0x202F)))
_ONE_FORM = {**_INVISIBLE, 0x200B: " ", 0x2212: "-", 0x2010: "-", 0x2011: "-"}
_ASCII_WORD = re.compile(
    r"(?:(?:[!<>:=]?[+=<>|~^%&]{1,3}=?|\$)[ \t]?(?=[a-z0-9(\[{.$])"
    r"|(?<=[a-z0-9])(?:\*{1,2}|/|(?:[.,:]|-)(?<=\d.)(?=\d)|@)(?=[a-z0-9])"
    r"|(?<=[a-z0-9)\]])[ \t][*/:-][ \t](?=[\d(]|[a-z0-9](?![a-z0-9]))"
    r"|(?<=[\d)\]])[ \t][*/:-][ \t](?=[a-z0-9(\[{.$])"
    r"|(?<![a-z0-9])(?:[-.](?=[\d.])|\.(?=[a-z0-9])|[#@/\\!]{1,2}(?=[a-z0-9])|--?(?=[a-z0-9])))?"
    r"[a-z0-9]+(?:(?:[+#%]{1,3}|-{1,2}|\*{1,2}(?=[ \t]?[)\],;]))(?![a-z0-9#+\-*])|%)?"
    r"|[$%&]|[+=<>|~^]{1,3}(?![^ \t-\r])"  # `\S` of `regex`, which takes no separators for spaces
)
"""What `_word_pattern` matches in an ASCII text, in a sixth of the time."""
SPACELESS = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}"
"""Scripts that write no spaces between words, as a part of a character class of the package `regex`."""


def fold(text: str) -> str:
    """Return `text` in the form in which texts are compared: characters in one form, whatever their case.

    >>> fold("STRASSE") == fold("Straße"), fold("10²") == fold("102")
    (True, False)
    """
    if text.isascii():
        return text.lower()
    plain = _FOLDED.sub(lambda part: unicodedata.normalize("NFKC", part.group()), text.translate(_ONE_FORM)).casefold()
    # folding may take composed characters apart; the dot above is what Turkish İ leaves
    return unicodedata.normalize("NFC", plain.replace("i\N{COMBINING DOT ABOVE}", "i"))


def words_of(value: object) -> list[str]:
    """Return the words of a column's value; a missing one has none.

    >>> words_of("Is 5 - 3.5 more than C++?")
    ['is', '5', '-3', '.5', 'more', 'than', 'c++']
    """
    text = "" if value is None else str(value)
    folded = fold(text)
    words: list[str]
    if folded.isascii() and not _SPECIAL.search(folded):
        words = _PLAIN.findall(folded)
    else:
        plainer = _QUOTES_AND_DASHES.sub('"', folded)
        pattern = _ASCII_WORD if plainer.isascii() else _word_pattern()
        words = ["".join(word.split()) for word in pattern.findall(plainer)]
    return words or [mark for mark in folded if not mark.isspace() and mark not in _SENTENCE_MARKS]


def has_words(text: str) -> bool:
    """Return whether `text` is more than punctuation."""
    return bool(_word_pattern().search(fold(text)))


def chunks_of(text: str) -> list[str]:
    """Return what stands between spaces, and where a script writes none, its words one by one.

    >>> len(chunks_of("The rock-solid lamp")), len(chunks_of("打开厨房的灯"))
    (3, 6)
    """
    parts = text.split()
    if text.isascii():
        return parts
    import regex

    unspaced = regex.compile(f"[{SPACELESS}]")
    return [word for part in parts for word in (words_of(part) if unspaced.search(part) else [part])]


def phrase_pattern(phrase: str) -> str:
    """Return a pattern of the package `regex` that finds a phrase as whole words, whatever its script and symbols.

    In scripts without spaces any place is the edge of a word.
    """
    import regex

    spaced = rf"[\p{{L}}\p{{N}}\p{{M}}_--[{SPACELESS}]]"
    before = r"(?<![\p{L}\p{N}\p{M}_])" if regex.match(spaced, phrase, regex.V1) else ""
    after = r"(?![\p{L}\p{N}\p{M}_])" if regex.search(rf"{spaced}\Z", phrase, regex.V1) else ""
    return f"{before}{regex.escape(phrase)}{after}"


@cache
def _word_pattern() -> Any:
    """Return the pattern of words with their symbols; imported late, because most texts need none."""
    import regex

    letter = rf"[\p{{L}}\p{{N}}--[{SPACELESS}{_KEPT}]]"
    word = rf"(?:{letter}[\p{{M}}\u200d]*)+"
    single = rf"[{SPACELESS}][\p{{M}}\u200d]*"
    pictograph = r"\p{Extended_Pictographic}[\p{EMod}\p{M}]*"
    emoji = rf"(?:\p{{RI}}{{2}}|[0-9#*]\u20e3|{pictograph}(?:\u200d{pictograph})*)[\U000e0020-\U000e007f]*"
    operand = rf"(?={letter}|[{SPACELESS}(\[{{]|\p{{RI}}|[.$])"
    signs = r"[!<>:=]?[+=<>|~^%&]{1,3}=?|[\p{Sm}\p{Sc}--[+=<>|~^$]]|\$"
    operator = (
        rf"(?:{signs})[ \t]?{operand}"  # whatever is before it
        rf"|(?<={letter})(?:\*{{1,2}}|/|[.,:](?=\d)(?<=\d.)|-(?=\d)(?<=\d.)|@)(?={letter})"
        rf"|(?<={letter}|[)\]])[ \t][*/:-][ \t](?=[\d(]|{letter}(?!{letter}))"
        rf"|(?<=\d|[)\]])[ \t][*/:-][ \t]{operand}"
        rf"|(?<![{letter[1:-1]}\p{{M}}*_/\-.])(?:[-.](?=[\d.])|\.(?={letter})|[#@/\\!]{{1,2}}(?={letter})|--?(?={letter}))"
    )
    suffix = r"(?:[+#%]{1,3}|-{1,2}|\*{1,2}(?=[ \t]?[)\],;]))(?![\p{L}\p{N}\p{M}#+\-*])|[%°‰]"
    alone = rf"[\p{{So}}\p{{Sm}}\p{{Sc}}{_KEPT}§%&--[+<>|~^=]]|[+=<>|~^]{{1,3}}(?!\S)"
    return regex.compile(rf"{emoji}|(?:{operator})?(?:{word}|{single})(?:{suffix})?|{alone}", regex.V1)
