"""Stored soft labels as training examples; every sidecar is checked against the student before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from potstill.errors import BadInput
from potstill.teachers.cache.soft_labels import (
    HIDDEN_COLUMNS,
    TOP_COLUMNS,
    Sidecar,
    TokenLabels,
    prompt_digest,
    read_hidden,
    template_digest,
    tokenizer_digest,
)
from potstill.trainers.language_models import vocabulary_check

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.models.protocols import Tokenizer
    from potstill.trainers.loop.examples import Example

Kind = Literal["top", "hidden", ""]


def kind_of(columns: list[str]) -> Kind:
    """Return which soft labels rows with these columns hold, if any."""
    if set(HIDDEN_COLUMNS) <= set(columns):
        return "hidden"
    return "top" if set(TOP_COLUMNS) <= set(columns) else ""


class StoredLabels:
    """Turns rows with soft labels into examples for one student."""

    def __init__(self, tokenizer: Tokenizer, prompt: str, vocabulary_size: int, teacher: str, context: Context) -> None:
        """Read for a student with this `tokenizer`, `vocabulary_size` logits and the template `prompt`.

        `teacher` is the digest that the soft labels must be of; empty takes any.
        """
        self._tokenizer = tokenizer
        self._prompt = prompt
        self._size = vocabulary_size
        self._teacher = teacher
        self._context = context
        self._checked: dict[str, Sidecar] = {}

    @property
    def dtypes(self) -> set[str]:
        """Return the types of the hidden states that were read."""
        return {sidecar.dtype for sidecar in self._checked.values()}

    def example(self, row: Mapping[str, Any]) -> Example | str:
        """Return the tokens of a row's chat and of the answer, with the teacher's distribution at each of these.

        The targets are the tokens that the teacher generated or read, not the text tokenized again, so that they align.

        Raises:
            BadInput: the soft labels are for another tokenizer, template, teacher or vocabulary, or damaged.
        """
        from potstill.models.chat import prompt_ids
        from potstill.prompts import render
        from potstill.trainers.loop.examples import Example

        if not row["teacher_token_ids"]:
            return "no soft labels"
        if row.get("finish_reason") == "length":
            return "the answer was cut at the teacher's token limit"
        sidecar = self._sidecar(row)
        prompt = prompt_ids(self._tokenizer, render(self._prompt, row))
        if sidecar.mode == "hidden":
            targets, hidden = read_hidden(row)
            self._check_ids(row, int(targets.max(initial=0)))
            return Example([*prompt, *targets.tolist()], len(prompt), hidden=hidden)
        labels = TokenLabels.read(row, sidecar.k)
        self._check_ids(row, max(int(labels.token_ids.max(initial=0)), int(labels.top_ids.max(initial=0))))
        ids = [*prompt, *labels.token_ids.tolist()]
        return Example(ids, len(prompt), labels.top_ids, labels.top_logprobs)

    def _check_ids(self, row: Mapping[str, Any], largest: int) -> None:
        """Check that all ids are in the student's vocabulary."""
        if largest >= self._size:
            raise BadInput(
                f"row {row.get('id', '')!r}: its soft labels hold token {largest}, the student knows {self._size}: "
                f"{vocabulary_check.REMEDY}"
            )

    def _sidecar(self, row: Mapping[str, Any]) -> Sidecar:
        """Return the sidecar of a row; one that is new is checked."""
        text = row["teacher_sidecar"]
        if text not in self._checked:
            name = f"row {row.get('id', '')!r}"
            sidecar = Sidecar.parse(text, name)
            problems = [f"{name}: its soft labels {problem}" for problem in self._mismatches(sidecar)]
            if problems:
                raise BadInput(*problems)
            self._warn_of_prompt(sidecar)
            self._checked[text] = sidecar
        return self._checked[text]

    def _mismatches(self, sidecar: Sidecar) -> Iterator[str]:
        """Yield why soft labels with this sidecar can't be used."""
        for name, stored, expected, remedy in (
            ("tokenizer", sidecar.tokenizer, tokenizer_digest(self._tokenizer), vocabulary_check.REMEDY),
            (
                "chat template",
                sidecar.template,
                template_digest(self._tokenizer),
                "teacher and student must read the same prompt tokens: give the student the teacher's chat template, "
                "or label the rows again",
            ),
        ):
            if not stored:
                yield (
                    f"don't say which {name} they were made with, so they can't be checked against the student's: "
                    "label the rows with PseudoLabel(tokenizer=...), the model that the teacher serves"
                )
            elif stored != expected:
                yield f"were made with another {name} ({stored}, the student's is {expected}): {remedy}"
        if self._teacher and sidecar.teacher != self._teacher:
            yield (
                f"are of another teacher ({sidecar.teacher}) than the one given ({self._teacher}): leave teacher= out, "
                "or label the rows with this one"
            )
        for earlier in self._checked.values():
            if (sidecar.k, sidecar.mode == "hidden", sidecar.mode == "hidden" and sidecar.dtype) != (
                earlier.k,
                earlier.mode == "hidden",
                earlier.mode == "hidden" and earlier.dtype,
            ):
                yield (
                    f"hold k={sidecar.k} ({sidecar.mode}, {sidecar.dtype}), those of earlier rows k={earlier.k} "
                    f"({earlier.mode}, {earlier.dtype}): make them all in one way"
                )

    def _warn_of_prompt(self, sidecar: Sidecar) -> None:
        """Warn that the teacher saw another prompt: right where a prompt is to be distilled away, else a mistake."""
        if sidecar.prompt == prompt_digest(self._prompt):
            return
        text = (
            "the soft labels were made with another prompt template than the student is shown: right only where the "
            "student is to work without the teacher's prompt"
        )
        self._context.notes.setdefault("warnings", []).append(text)
        self._context.logger.warning(text)
