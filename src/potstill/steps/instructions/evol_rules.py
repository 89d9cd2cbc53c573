"""Operations and elimination rules of Evol-Instruct (Xu et al. 2023, "WizardLM", sections 3.2 and 3.3)."""

from __future__ import annotations

import re

from potstill.text.reasoning import after_thoughts
from potstill.text.words import has_words, words_of

OPERATIONS = {
    "constrain": "add one more requirement or condition that the answer must meet.",
    "deepen": "where it asks about a matter, ask for more of its depth and its breadth.",
    "concretize": "replace what is general in it by something more specific.",
    "reason": "if a few simple steps answer it, ask explicitly for reasoning over several steps.",
    "complicate": "give it data to work on, such as a table, a piece of code, a formula or a log.",
    "mutate": "",
}
"""Five operations in depth by what the prompt says of them, and `mutate`, the one in breadth."""
LEAKS = ("original instruction", "given instruction", "new instruction", "rewritten instruction", "harder instruction")
"""Words of the prompt that an evolved instruction must not carry over (section 3.3, rule 4)."""
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by for from has have he i if in is it its me my no not of on or she so that the "
        "their they this to was we were will with you your",
    )
)
"""Words that make no answer by themselves."""
APOLOGY_WORDS = 80
"""Below this many words an answer that is sorry declines (section 3.3, rule 2)."""


def read_evolved(text: str) -> str:
    """Return the instruction in an answer.

    >>> read_evolved('"Name three rivers that cross a border."')
    'Name three rivers that cross a border.'

    Raises:
        ValueError: the answer is empty.
    """
    plain = after_thoughts(text).strip()
    if len(plain) > 2 and plain[0] == plain[-1] == '"' and plain.count('"') == 2:
        plain = plain[1:-1].strip()
    if not has_words(plain):
        raise ValueError("the answer has no words")
    return plain


def instruction_fault(before: str, after: str) -> str:
    """Return why an evolved instruction is eliminated before it is answered, or an empty string (section 3.3, rule 4).

    >>> instruction_fault("Name a river.", "Rewritten instruction: name two rivers.")
    'repeats words of the prompt'
    """
    if " ".join(before.casefold().split()) == " ".join(after.casefold().split()):
        return "unchanged"
    leaked = any(leak in after.casefold() and leak not in before.casefold() for leak in LEAKS)
    return "repeats words of the prompt" if leaked else ""


def answer_fault(answer: str) -> str:
    """Return what an answer says against its instruction, or an empty string (section 3.3, rules 2 and 3).

    >>> answer_fault("Sorry, I can't help with that.")
    'teacher declined'
    """
    words = words_of(answer)
    if not has_words(answer) or all(word in STOP_WORDS for word in words):
        return "answer says nothing"
    return "teacher declined" if "sorry" in words and len(words) < APOLOGY_WORDS else ""
