"""Decode outputs with a model: greedily, by beam search, or the best of several samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Interval

from potstill.engine.step import Estimate, Placement, Rows
from potstill.errors import Problem
from potstill.models.edge import Model
from potstill.steps.generation.search_base import SearchStep, search_of
from potstill.steps.rows.added import REASON, added, answered, earlier
from potstill.steps.rows.prompt_columns import prompt_columns
from potstill.teachers.cache.parse_retry import rendered_rows
from potstill.teachers.cache.search_cache import Prompt, asked, searched
from potstill.teachers.cache.soft_labels import HIDDEN_COLUMNS, TOP_COLUMNS
from potstill.teachers.placement import placed
from potstill.teachers.protocol import is_teacher
from potstill.teachers.search import Hypothesis, Search

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class Decode(SearchStep):
    """Writes an output to each row with a model: greedily, by beam search, or the best of n samples.

    An encoder-decoder or a causal model is run by transformers; a teacher, such as `VLLM(...)`, is asked, for all but
    a beam. New columns: `output`, `finish_reason`, and `score`, the log-probability divided by length^`length_penalty`.
    An `output` that the rows have already becomes `reference`. What is written is journalled, batch by batch.

    >>> rows = LoadRows([{"instruction": "a cat", "output": "eine Katze"}])
    >>> model = RandomSeq2Seq(TrainTokenizer(rows, vocab_size=300), hidden_size=32, layers=1, dropout=0.0)
    >>> learned = HardLabel(rows, student=model, epochs=60, learning_rate=0.01)
    >>> show(Select(Decode(rows, model=learned, method="beam", beams=2), ["output", "reference"]))
    {'output': 'eine Katze', 'reference': 'eine Katze'}
    """

    rows: Rows
    """What is to be answered."""
    _: KW_ONLY
    model: Model
    """Who writes: a step, a local folder, a Hub id, or a teacher."""
    samples: Annotated[int, Ge(1)] = 10
    """Outputs drawn for `best_of`, which takes the best-scored; raising it draws the new ones only."""
    temperature: Annotated[float, Gt(0)] = 1.0
    """Of the drawing; 1 draws from the model's own distribution."""
    keep: Annotated[int, Ge(0)] = 0
    """Outputs a row that the column `hypotheses` lists with their scores, best first; 0 makes no such column."""
    keep_cut: bool = False
    """Whether an output cut at `max_tokens` stays, with the finish reason `length`, where no whole one was found."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows that may be lost."""
    seed: int = 0
    """Of the drawing; the same row with the same seed gets the same outputs."""

    version: ClassVar[int] = 2  # thoughts are no part of an output
    makes: ClassVar[str] = "rows"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"batch_size"})

    def placement(self) -> Placement:
        """Return where the model runs."""
        return placed(self.model, super().placement())

    def check(self) -> Iterable[Problem]:
        """Yield what a teacher can't do."""
        if not is_teacher(self.model):
            return
        yield from getattr(self.model, "check", tuple)()
        name = type(self.model).__name__
        if self.method == "beam":
            yield Problem("", "method", f"{name} has no beam search: give the model itself, or take best_of")
        elif self.method == "best_of" and not getattr(self.model, "gives_top_k", True):
            yield Problem("", "method", f"{name} gives no log-probabilities to rank by: take VLLM, or PseudoLabel")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the variables of the prompt template."""
        return {"rows": prompt_columns(self.prompt)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        if rows is None:
            return None
        renamed = {"reference"} if "output" in rows else set()
        new = {"output", "score"} | renamed | ({"hypotheses"} if self.keep else set())
        # soft labels belong to the old output, so they are dropped with it
        return answered(rows, added(self, rows - {"output", *TOP_COLUMNS, *HIDDEN_COLUMNS}, new))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume outputs of full length."""
        count = rows.get("rows")
        if count is None:
            return Estimate()
        calls = count * self._search().draws
        return Estimate(count, calls, calls * 2 * self.max_tokens)

    def run(self, rows: Dataset, model: ModelSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows in order.

        Raises:
            BadInput: there is no such model, or it can't be loaded.
        """
        search = self._search()
        chats = rendered_rows(self.prompt, rows, context)
        prompts = (Prompt(name, row, chat) for name, row, chat in chats)
        if is_teacher(model):
            decoded = asked(model, prompts, search, self.seed, context)
        else:
            decoded = searched(model, prompts, search, self.seed, self.dtype, self.batch_size, context)
        for done, (prompt, outputs) in enumerate(decoded, 1):
            context.progress(done, len(rows))
            reason = "" if outputs and (self.keep_cut or outputs[0].finish_reason == "stop") else "cut at max_tokens"
            if reason:
                remedy = f"raise max_tokens from {self.max_tokens}"
                context.ledger.lose(prompt.name, "permanent", reason, remedy=remedy)
                continue
            context.ledger.keep()
            yield self._row(prompt.row, outputs)

    def _search(self) -> Search:
        """Return how an output is searched for."""
        return replace(search_of(self), samples=self.samples, temperature=self.temperature)

    def _row(self, row: Mapping[str, Any], outputs: Sequence[Hypothesis]) -> dict[str, Any]:
        """Return a row with its outputs, of which the first is the best."""
        new_row = {name: value for name, value in row.items() if name not in (*TOP_COLUMNS, *HIDDEN_COLUMNS)}
        if "output" in row:
            new_row["reference"] = row["output"]
        best = self._output_columns(outputs[0])
        if self.keep:
            new_row["hypotheses"] = [self._output_columns(output) for output in outputs[: self.keep]]
        previous = {earlier(new_row): new_row[REASON]} if REASON in new_row else {}
        return {**new_row, **previous, **best}

    def _output_columns(self, output: Hypothesis) -> dict[str, Any]:
        """Return an output's columns."""
        score = output.score(self.length_penalty)
        finite_score = score if score > float("-inf") else None
        return {"output": output.text, "finish_reason": output.finish_reason, "score": finite_score}


def row_name(row: Mapping[str, Any], number: int) -> str:
    """Return a row's name in the ledger."""
    return str(row.get("id", number))
