"""A plain parser of wishes: kind, labels, languages and examples in a sentence or two, without any model."""

from __future__ import annotations

import re
from dataclasses import dataclass

KINDS = {
    "classification": r"classif\w*|categori[sz]\w*|sort|label|tag|route|triage|whether|sentiment|detect|recogni[sz]e",
    "extraction": r"extract\w*|pull out|find all|list all|parse",
    "translation": r"translat\w*",
    "generation": r"writ\w+|generat\w*|summari[sz]\w*|rewrit\w*|answer\w*|explain\w*|correct\w*|shorten\w*",
}
"""Words by which the kind of a task is known; the one that comes first in the text counts."""
LANGUAGES = {
    "english": "en",
    "german": "de",
    "french": "fr",
    "spanish": "es",
    "italian": "it",
    "portuguese": "pt",
    "dutch": "nl",
    "polish": "pl",
    "swedish": "sv",
    "danish": "da",
    "czech": "cs",
    "turkish": "tr",
    "russian": "ru",
    "ukrainian": "uk",
    "chinese": "zh",
    "japanese": "ja",
    "korean": "ko",
    "arabic": "ar",
    "hindi": "hi",
}
_LEADS = re.compile(
    r"(?:\b(?:as(?: being)?|into|in|to|by|between|either|is|are|for)\b|[:(])(?: (?:one of|either|these|the))*"
    r"(?: (?:\w+ )?(?:labels?|class(?:es)?|categor(?:y|ies)|groups?))?[:\s]*",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b(?:labels?|class(?:es)?|categor(?:y|ies))\b[^:\n]{0,20}[:=]\s*([^\n]+)", re.IGNORECASE)
_YES_NO = re.compile(r"\bwhether\b.*?\b(?:is|are)\s+(?:an?\s+)?([\w -]{2,30}?)(?:\s+or not)?\s*[.?!]?$", re.IGNORECASE)
_MARKS = "\"'`\u201c\u201d\u2018\u2019\u201e\u00ab\u00bb"
_QUOTED = re.compile(rf"(?<!\w)[{_MARKS}]([^{_MARKS}]{{1,60}})[{_MARKS}](?!\w)")
_LANGUAGE = re.compile(
    rf"\s+(?:written )?in (?:{'|'.join(LANGUAGES)})(?:(?:, | and | or )(?:{'|'.join(LANGUAGES)}))*", re.I
)
_PAIR = re.compile(r"^\s*[-*•]?\s*(?P<input>.+?)\s*(?:->|=>|→|⇒)\s*(?P<output>\S.*?)\s*$")
LONGEST = 40
"""Characters of a label; what is longer is a clause."""


@dataclass(frozen=True)
class Described:
    """What a text says of a task."""

    kind: str
    """Kind of the task, or an empty string where nothing tells."""
    instruction: str
    """What is to be done."""
    labels: tuple[str, ...]
    """Labels, if there are any."""
    languages: tuple[str, ...]
    """Codes of the languages that are named."""
    examples: tuple[tuple[str, str], ...]
    """Pairs of a text and its label that stand in the text, as `text -> label` on lines of their own."""


def described(text: str) -> Described:
    """Return what a text says of a task.

    >>> described("Classify support mails as billing, bug or other").labels
    ('billing', 'bug', 'other')
    """
    lines = text.strip().splitlines()
    pairs = [match for line in lines[1:] if (match := _PAIR.match(line))]
    instruction = "\n".join(line for line in lines if line not in {match.string for match in pairs}).strip()
    labels = labels_in(instruction)
    return Described(
        kind=_kind(instruction, labels),
        instruction=instruction,
        labels=labels,
        languages=tuple(dict.fromkeys(code for name, code in LANGUAGES.items() if _has_word(name, instruction))),
        examples=tuple((match["input"].strip("\"' "), match["output"].strip("\"' .")) for match in pairs),
    )


def labels_in(text: str) -> tuple[str, ...]:
    """Return the labels that a description lists, or none.

    >>> labels_in("Sort reviews into positive and negative."), labels_in("Say whether a mail is spam.")
    (('positive', 'negative'), ('spam', 'not spam'))
    """
    quoted = tuple(dict.fromkeys(_QUOTED.findall(text)))
    if len(quoted) > 1:
        return quoted
    if named := _NAMED.search(text):
        return _listed(named[1])
    text = _LANGUAGE.sub("", text)
    # what stands in brackets behind a label explains it; only where nothing else is a list, they hold the labels
    return _in_sentences(re.sub(r"\s*\([^()]*\)", "", text)) or _in_sentences(text)


def _in_sentences(text: str) -> tuple[str, ...]:
    """Return the labels that a sentence of a text lists."""
    for sentence in re.split(r"(?<=[.!?])\s+|\n", text):
        # the last word that leads to a list of short items is the one that leads to the labels
        for lead in reversed(list(_LEADS.finditer(sentence))):
            labels = _listed(sentence[lead.end() :])
            if len(labels) > 1:
                return labels
        if yes := _YES_NO.search(sentence):
            return (yes[1].strip(), f"not {yes[1].strip()}")
    return ()


def _listed(text: str) -> tuple[str, ...]:
    """Return the items of a list with commas, `or` and `and`; none where it is a clause."""
    text = text.strip().rstrip(".?!)")
    # in "a and b, c or d" the word `and` belongs to a label
    between = (
        r"\s*[,;/|]\s*(?:or\s+|and\s+)?|\s+or\s+"
        if re.search(r"\bor\b", text)
        else r"\s*[,;/|]\s*(?:and\s+)?|\s+and\s+"
    )
    items = [
        re.sub(r"^(?:(?:an?|the|either|not sure|as)\s+)", "", item.strip(" \"'`")) for item in re.split(between, text)
    ]
    items = [item for item in items if item]
    if len(items) == 2 and items[1].lower() == "not":
        items[1] = f"not {items[0]}"
    fits = all(len(item) <= LONGEST and len(item.split()) <= 4 for item in items)
    return tuple(dict.fromkeys(items)) if fits and len(items) > 1 else ()


def _kind(text: str, labels: tuple[str, ...]) -> str:
    """Return the kind of a task by the first word that tells; a list of labels tells too."""
    found = {
        kind: match.start() for kind, words in KINDS.items() if (match := re.search(rf"\b(?:{words})\b", text, re.I))
    }
    first = min(found, key=lambda kind: found[kind]) if found else ""
    return first or ("classification" if labels else "")


def _has_word(name: str, text: str) -> bool:
    """Return whether a text has a word, in any case."""
    return re.search(rf"\b{name}\b", text, re.IGNORECASE) is not None
