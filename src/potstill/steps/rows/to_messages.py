"""Convert conversations of several formats to one list of messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Interval, MinLen

from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import Problem
from potstill.steps.rows.added import added

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context


class ToMessages(Step):
    """Makes each row's conversation a list of `{"role", "content"}`, as `chat.jinja` shows it to models.

    Takes OpenAI's `messages` (also with contents in parts), ShareGPT's `conversations` (`from`, `value`), and JSON of
    both. Other keys of a turn are left out. A row is lost, with the reason, where its conversation is no chat of texts:
    tool calls, images, empty turns, a turn by somebody else, or of weight 0.

    >>> chat = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    >>> show(ToMessages(LoadRows([{"conversations": chat}]), column="conversations"))
    {'messages': [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]}
    """

    rows: Rows
    """Rows with conversations."""
    _: KW_ONLY
    column: Annotated[str, MinLen(1)] = "messages"
    """Where the conversations are; the column is left out of the result, if it isn't the one that is written."""
    system: str = ""
    """Column of a text that is the system turn, for datasets that keep it apart; an empty text or null is none."""
    output: Annotated[str, MinLen(1)] = "messages"
    """Column of the conversations in their new shape."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows that may be lost."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield a problem where one column would be both the conversation and its system turn."""
        if self.system == self.column:
            yield Problem("", "system", f"names the same column as column, {self.column!r}: leave it out")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        return {"rows": (self.column, *((self.system,) if self.system else ()))}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows, the conversations in the place of those that were read.

        Raises:
            BadInput: another column has their name.
        """
        rows = inputs.get("rows")
        return None if rows is None else added(self, rows - {self.column, self.system}, (self.output,))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that all rows stay."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows in order."""
        from potstill.prompts.values import UnfitRow
        from potstill.teachers.cache.parse_retry import row_name

        for number, row in enumerate(rows):
            try:
                turns = self._turns(row)
            except UnfitRow as unfit:
                context.ledger.lose(row_name(row, number), "permanent", unfit.reason)
                continue
            context.ledger.keep()
            rest = {name: value for name, value in row.items() if name not in (self.column, self.system)}
            yield {**rest, self.output: turns}

    def _turns(self, row: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the turns of a row.

        Raises:
            UnfitRow: they are no chat of texts.
        """
        from potstill.prompts.conversation import conversation
        from potstill.prompts.values import UnfitRow

        turns = conversation(row[self.column])
        system = row[self.system] if self.system else None
        if system is None or system == "":
            return turns
        if not isinstance(system, str):
            raise UnfitRow(f"{self.system} is no text")
        if turns[0]["role"] == "system":
            raise UnfitRow(f"a system turn in the conversation beside the column {self.system}")
        return [{"role": "system", "content": system}, *turns]
