"""Texts of models and people as what they are: nothing in them acts on a terminal, a page or Markdown."""

from __future__ import annotations

import re

RANGES = (
    (0x00, 0x08),  # control characters but tabulator and line feed: escape sequences, carriage return
    (0x0B, 0x1F),
    (0x7F, 0x9F),
    (0x061C, 0x061C),  # marks that turn the direction of what follows
    (0x200E, 0x200F),
    (0x202A, 0x202E),
    (0x2066, 0x2069),
    (0x2028, 0x2029),  # line ends of other kinds
    (0xD800, 0xDFFF),  # halves of characters, which can't be written
    (0xFFF9, 0xFFFB),  # annotations
    (0xE0000, 0xE007F),  # invisible tags
)
"""First and last code points of characters that act on what shows them, or that it can't take: the one list."""
ACTING = re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in RANGES)}]")
"""Finds one of them."""
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#|~&!]|:(?=//))")
"""Finds what Markdown acts on; of colons only those of addresses, which it makes links of."""


def written_out(text: str) -> str:
    r"""Return a text in which characters that act are written out, as in `\x1b`."""
    return ACTING.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def of_javascript() -> str:
    r"""Return what finds the same characters in a script, for a regular expression with the flag `u`.

    >>> of_javascript()[:25]
    '[\\u{0}-\\u{8}\\u{b}-\\u{1f}'
    """
    ranges = (rf"\u{{{first:x}}}-\u{{{last:x}}}" for first, last in RANGES)
    return f"[{''.join(ranges)}]"


def plain_text(text: object) -> str:
    r"""Return `text` on one line, with nothing in it that Markdown or HTML would act on.

    >>> plain_text("a|b <i> ![x](http://e)")
    'a\\|b \\<i\\> \\!\\[x\\]\\(http\\://e\\)'
    """
    return _MARKUP.sub(r"\\\1", written_out(" ".join(str(text).split())))
