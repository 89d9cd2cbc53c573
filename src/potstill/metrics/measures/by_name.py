"""Measures by the names of their figures, for settings that are text."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from potstill.errors import BadInput
from potstill.metrics.measures.json_answers import JSONFields, ValidJSON
from potstill.metrics.measures.matching import Contains, ExactMatch
from potstill.metrics.measures.measure import Measure, as_measure
from potstill.metrics.measures.overlap import ROUGE, TokenF1
from potstill.metrics.measures.reading import NumericAnswer
from potstill.metrics.measures.translation import BLEU, TER, ChrF

NAMED: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        ExactMatch(),
        Contains(),
        TokenF1(),
        ROUGE("1"),
        ROUGE("2"),
        ROUGE("L"),
        BLEU(),
        ChrF(),
        TER(),
        NumericAnswer(),
        ValidJSON(),
        JSONFields(),
    )
}
"""The measures that need no options, by name, as they are by default."""
_OWN_OPTIONS = {"label": "Label(choices)", "json_schema": "JSONSchema(schema)", "matches": "Matches(pattern)"}

AnyMeasure = str | Measure | Callable[..., float | bool | None]
"""A measure, its name, or a function of answer and gold."""


def measures_of(wanted: Iterable[AnyMeasure]) -> dict[str, Measure]:
    """Return measures by name; a second one of the same name has its number behind it.

    Raises:
        BadInput: a name that is none, with the nearest one, or something else than a measure; all of them together.

    >>> list(measures_of(["exact_match", "ROUGE-L", len, len]))
    ['exact_match', 'rouge_l', 'len', 'len 2']
    """
    by_name: dict[str, Measure] = {}
    problems = []
    for one in [wanted] if isinstance(wanted, str) else wanted:
        try:
            measure = _named(one) if isinstance(one, str) else as_measure(one)
        except (TypeError, ValueError) as error:
            problems.append(str(error))
            continue
        alike = sum(name == measure.name or name.startswith(f"{measure.name} ") for name in by_name)
        by_name[f"{measure.name} {alike + 1}" if alike else measure.name] = measure
    if problems:
        raise BadInput(*problems)
    return by_name


def _named(name: str) -> Measure:
    """Return the measure of a name, however its case and its separators are written.

    Raises:
        ValueError: there is none.
    """
    plain = {_plain(one): one for one in (*NAMED, *_OWN_OPTIONS)}
    full_name = plain.get(_plain(name), "")
    if full_name in NAMED:
        return NAMED[full_name]
    if full_name:
        raise ValueError(f"the measure {name!r} has options that a name can't hold: write {_OWN_OPTIONS[full_name]}")
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.5)
    hint = f", did you mean {plain[near[0]]!r}?" if near else ";"
    raise ValueError(f"there is no measure {name!r}{hint} known are {', '.join(sorted(NAMED))}")


def _plain(name: str) -> str:
    return "".join(mark for mark in name.lower() if mark.isalnum() or mark == "+")
