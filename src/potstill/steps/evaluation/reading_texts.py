"""Texts that a language model reads to be measured: as windows of one running text, or document by document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.metrics.answers import row_digest
from potstill.metrics.perplexity import document_windows, measured, of_documents, stream, words_in

if TYPE_CHECKING:
    from potstill.metrics.perplexity import Loss

Window = tuple[list[int], int | None]
"""Tokens that are read, and how many at their end are scored; None is all but the first."""


@dataclass(frozen=True)
class Texts:
    """One test set."""

    windows: list[Window]
    """What is read."""
    rows: list[dict[str, Any]]
    """What is kept of each window of a running text, or of each document: `id`, `input`, `bytes`, `words`."""
    row_of: list[int]
    """The row of each window."""
    size: int
    """Bytes of all texts."""
    words: int
    """Words of all texts."""
    paired_by: str
    """Digest by which results on the same tokens are paired."""
    by_document: bool = False
    """Whether each row is a document."""
    largest: int = field(default=-1)
    """The largest token id."""

    def batches(self, count: int) -> Iterator[list[int]]:
        """Yield the numbers of windows that are read together: those of one width, of which as much is scored."""
        for _, alike in groupby(range(len(self.windows)), key=self._shape):
            numbers = list(alike)
            for start in range(0, len(numbers), count):
                yield numbers[start : start + count]

    def _shape(self, number: int) -> tuple[int, int | None]:
        tokens, scored = self.windows[number]
        return len(tokens), scored

    def loss(self, losses: Sequence[float]) -> Loss:
        """Return what was measured, from the loss of each window."""
        totals, tokens = self._by_row(losses)
        if self.by_document:
            return of_documents(totals, tokens, self.size, self.words)
        return measured(list(zip(totals, tokens, strict=True)), self.size)

    def kept(self, losses: Sequence[float]) -> Iterator[dict[str, Any]]:
        """Yield the rows with the loss and the tokens of each."""
        totals, tokens = self._by_row(losses)
        for row, loss, count in zip(self.rows, totals, tokens, strict=True):
            yield {**row, "completion_tokens": count, "score_loss": loss / count if count else None}

    def _by_row(self, losses: Sequence[float]) -> tuple[list[float], list[int]]:
        """Return the loss of each row, and the tokens that it is of."""
        totals, counts = [0.0] * len(self.rows), [0] * len(self.rows)
        for row, loss, (tokens, scored) in zip(self.row_of, losses, self.windows, strict=True):
            totals[row] += loss
            counts[row] += len(tokens) - 1 if scored is None else scored
        return totals, counts


def running(tokenizer: Any, texts: Sequence[str], separator: str, width: int) -> Texts:
    """Return texts one after another, in windows of `width` tokens that share one."""
    own = stream(tokenizer, texts, separator)
    windows = list(own.windows(width)) if len(own.tokens) > 1 else []
    rows = [{"id": str(number), "input": tokenizer.decode(window)} for number, window in enumerate(windows)]
    digest = row_digest([width, *own.tokens])
    largest = max(own.tokens, default=-1)
    return Texts([(one, None) for one in windows], rows, list(range(len(rows))), own.size, 0, digest, largest=largest)


def documents(tokenizer: Any, texts: Sequence[str], ids: Sequence[str], width: int) -> Texts:
    """Return texts each by itself behind the token that begins a text, in windows that read `width` tokens.

    Special tokens are added as the tokenizer does, unless the text begins with one.

    Raises:
        BadInput: the tokenizer has no token that begins or ends a text.
    """
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if first is None:
        raise BadInput(
            "documents are read behind the token that begins or ends a text, and the tokenizer has neither: name one "
            "in its tokenizer_config.json, or set documents=False"
        )
    mark = tokenizer.decode(first)
    windows: list[Window] = []
    row_of: list[int] = []
    rows: list[dict[str, Any]] = []
    every: list[int] = []
    for number, (text, name) in enumerate(zip(texts, ids, strict=True)):
        special = {"add_special_tokens": False} if mark and text.startswith(mark) else {}
        tokens = list(tokenizer(text, verbose=False, **special)["input_ids"])
        own = list(document_windows(tokens, first, width))
        windows += own
        row_of += [number] * len(own)
        rows.append({"id": name, "input": text, "bytes": len(text.encode()), "words": words_in(text)})
        every += [first, *tokens]
    size, words = sum(int(row["bytes"]) for row in rows), sum(int(row["words"]) for row in rows)
    # windows of one shape are read together
    order = sorted(range(len(windows)), key=lambda place: (-len(windows[place][0]), -(windows[place][1] or 0), place))
    return Texts(
        [windows[place] for place in order],
        rows,
        [row_of[place] for place in order],
        size,
        words,
        row_digest([width, "documents", *every]),
        by_document=True,
        largest=max(every, default=-1),
    )
