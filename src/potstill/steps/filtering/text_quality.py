"""Text quality filters: length, language, repetition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Interval

from potstill.engine.step import Placement
from potstill.errors import BadInput, MissingExtra, Problem
from potstill.models.edge import Model
from potstill.steps.filtering.filter import SCAN, Objection, keep_rows, scan
from potstill.steps.rows.base import TextFilterStep
from potstill.text.ngrams import plain
from potstill.text.repetition import repeated_ngrams, repeated_parts
from potstill.text.words import chunks_of

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class LengthFilter(TextFilterStep):
    """Keeps the rows whose text is neither too short nor too long.

    A missing text has length 0.

    >>> rows = LoadRows([{"instruction": "Stop"}, {"instruction": "Open all of the blinds"}])
    >>> show(LengthFilter(rows, at_least=3))
    {'instruction': 'Open all of the blinds'}
    """

    _: KW_ONLY
    unit: Literal["character", "word", "token"] = "word"
    """What is counted; words are what stands between spaces, or each letter of a script that
    writes none; tokens are those of `tokenizer`."""
    at_least: Annotated[int, Ge(0)] = 1
    """Shortest text that stays; 1, since an empty one teaches nothing."""
    at_most: Annotated[int, Ge(0)] | None = None
    """Longest text that stays; None sets no limit."""
    tokenizer: Model | None = None
    """The model whose tokens are counted, without special ones: a folder, a Hub id, a teacher or a step."""

    version: ClassVar[int] = 2  # letters of scripts without spaces are words
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("transformers",)

    def placement(self) -> Placement:
        """Return the process of the run if no tokenizer is loaded, else one of the step's own."""
        return Placement(heavy=False) if self.tokenizer is None else super().placement()

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong between two parameters."""
        if self.at_most is not None and self.at_least > self.at_most:
            yield Problem("", "at_least", f"must not exceed at_most={self.at_most}, got {self.at_least}")
        if (self.unit == "token") != (self.tokenizer is not None):
            what = "needs a tokenizer" if self.tokenizer is None else "counts no tokens, so the tokenizer is not used"
            yield Problem("", "unit", f"{self.unit!r} {what}: give both unit='token' and tokenizer, or none of them")

    def run(self, rows: Dataset, tokenizer: ModelSource | None, context: Context) -> Dataset:
        """Return the rows that stay."""
        count = measure(self.unit, tokenizer)
        tables = rows.select_columns([self.column]).with_format("arrow").iter(batch_size=SCAN)
        texts = ([plain(text) for text in table[self.column].to_pylist()] for table in tables)
        return keep_rows(rows, context, (self._objection(length) for batch in texts for length in count(batch)))

    def _objection(self, length: int) -> Objection | None:
        """Return what is wrong with a text of this length."""
        if length < self.at_least:
            return Objection(f"shorter than {self._length_text(self.at_least)}", self._length_text(length))
        if self.at_most is not None and length > self.at_most:
            return Objection(f"longer than {self._length_text(self.at_most)}", self._length_text(length))
        return None

    def _length_text(self, length: int) -> str:
        return f"{length} {self.unit}{'' if length == 1 else 's'}"


def measure(
    unit: Literal["character", "word", "token"], tokenizer: ModelSource | None = None
) -> Callable[[list[str]], list[int]]:
    """Return a function that measures texts; for tokens, `tokenizer` is the model whose tokens are counted."""
    if unit == "character":
        return lambda texts: [len(text) for text in texts]
    if unit == "word":
        return lambda texts: [len(chunks_of(text)) for text in texts]
    from transformers import AutoTokenizer

    from potstill.models.identity import folder_of

    assert tokenizer is not None  # `check` makes sure
    cut = AutoTokenizer.from_pretrained(folder_of(tokenizer))
    return lambda texts: [len(ids) for ids in cut(texts, add_special_tokens=False, verbose=False)["input_ids"]]


class LanguageFilter(TextFilterStep):
    """Keeps the rows whose text is in one of some languages, as the identifier of `py3langid` names them.

    Lui and Baldwin 2012, "langid.py: an off-the-shelf language identification tool". Texts of a few words are often
    mistaken; rows whose probability is too low go as uncertain.

    >>> rows = LoadRows([{"instruction": "Open all of the blinds, please."},
    ...                  {"instruction": "Bitte öffne alle Fenster."}])
    >>> show(LanguageFilter(rows, languages=("de",)))
    {'instruction': 'Bitte öffne alle Fenster.'}
    """

    _: KW_ONLY
    languages: tuple[str, ...]
    """Languages that stay, by their ISO 639 codes."""
    min_confidence: Annotated[float, Interval(ge=0, le=1)] = 0.2
    """Probability that the language must have. At 0.2 about 2 in 100 English texts of five words go as uncertain and 2
    for another language; at 0.5 it would be 20, of texts of twelve words 1."""

    def check(self) -> Iterable[Problem]:
        """Yield a problem if no language is named."""
        if not self.languages:
            yield Problem("", "languages", "names no language: give at least one, as in ('en',)")

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Return the rows that stay.

        Raises:
            BadInput: the identifier does not know a language.
            MissingExtra: it is not installed.
        """
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError as error:
            raise MissingExtra("the language filter", "py3langid", "data") from error
        # the package's own functions give unnormalized scores, which are no confidence
        identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        supported = sorted(identifier.labels)
        unknown = sorted(set(self.languages) - set(supported))
        if unknown:
            what = f"{', '.join(unknown)} is not known: take ISO 639 codes out of {', '.join(supported)}"
            raise BadInput(Problem("", "languages", what))
        texts = (plain(row[self.column]) for row in scan(rows, [self.column]))
        return keep_rows(rows, context, (self._objection(*identifier.classify(text)) for text in texts))

    def _objection(self, language: str, confidence: float) -> Objection | None:
        """Return what is wrong with a text in this language."""
        detected = f"{language}, probability {confidence:.2f}"
        if confidence < self.min_confidence:
            return Objection("in no certain language", detected)
        return None if language in self.languages else Objection(f"not in {' or '.join(self.languages)}", detected)


class RepetitionFilter(TextFilterStep):
    """Drops rows whose text is largely repetition: lines, paragraphs or n-grams that come again and again.

    Rae et al. 2021, "Scaling language models: methods, analysis and insights from training Gopher", table A1, whose
    limits are the defaults; they were set for web pages. What exactly is counted is said in `potstill.text.repetition`.

    >>> rows = LoadRows([{"output": "Open the blinds, then lock the door."}, {"output": "no no no no no no no"}])
    >>> show(RepetitionFilter(rows))
    {'output': 'Open the blinds, then lock the door.'}
    """

    _: KW_ONLY
    column: str = "output"
    """Column that is read."""
    lines: Annotated[float, Interval(ge=0, le=1)] = 0.3
    """Largest share of lines that were there before."""
    paragraphs: Annotated[float, Interval(ge=0, le=1)] = 0.3
    """Largest share of paragraphs that were there before."""
    line_characters: Annotated[float, Interval(ge=0, le=1)] = 0.2
    """Largest share of characters in such lines."""
    paragraph_characters: Annotated[float, Interval(ge=0, le=1)] = 0.2
    """Largest share of characters in such paragraphs."""
    top_ngrams: tuple[float, ...] = (0.2, 0.18, 0.16)
    """Largest share of characters in the most frequent n-gram, for n from 2."""
    duplicate_ngrams: tuple[float, ...] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.1)
    """Largest share of characters in n-grams that occur more than once, for n from 5."""

    version: ClassVar[int] = 2  # letters of scripts without spaces are words

    def check(self) -> Iterable[Problem]:
        """Yield the limits that are no shares."""
        for field in ("top_ngrams", "duplicate_ngrams"):
            wrong = [limit for limit in getattr(self, field) if not 0 <= limit <= 1]
            if wrong:
                yield Problem("", field, f"must be shares of 0 to 1, got {', '.join(map(str, wrong))}")

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Return the rows that stay."""
        return keep_rows(rows, context, (self._objection(plain(row[self.column])) for row in scan(rows, [self.column])))

    def _objection(self, text: str) -> Objection | None:
        """Return the first share of the text that is too large."""
        for what, share, limit in self._shares(text):
            if share > limit:
                return Objection(what, f"{share:.3f} of the text, more than {limit:g}")
        return None

    def _shares(self, text: str) -> Iterator[tuple[str, float, float]]:
        """Yield what is repeated, how much of the text it is, and the limit."""
        if "\n" in text:
            parts = (self.lines, self.line_characters, self.paragraphs, self.paragraph_characters)
            for (what, share), limit in zip(repeated_parts(text), parts, strict=True):
                yield what, share, limit
        words = chunks_of(text)
        for first, limits, what in (
            (2, self.top_ngrams, "characters in the top {n}-gram"),
            (5, self.duplicate_ngrams, "characters in duplicate {n}-grams"),
        ):
            shares = repeated_ngrams(words, range(first, first + len(limits)), only_top=first == 2)
            for n, (share, limit) in enumerate(zip(shares, limits, strict=False), first):
                yield what.format(n=n), share, limit
