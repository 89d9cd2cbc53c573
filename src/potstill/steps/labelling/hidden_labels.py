"""Exact soft labels: the teacher's last hidden states at every token of a given answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from potstill.engine.step import Estimate, Placement
from potstill.errors import Problem
from potstill.models.preload import MODEL
from potstill.prompts import render
from potstill.steps.labelling.score import TOKENS, without_soft_labels
from potstill.steps.labelling.scoring_base import GivenTextStep, given_text
from potstill.teachers.cache.parse_retry import rendered_rows
from potstill.teachers.cache.response_cache import as_teacher
from potstill.teachers.cache.soft_labels import HIDDEN_COLUMNS, TOP_COLUMNS, Sidecar, hidden_columns, sidecar_of
from potstill.teachers.placement import placed

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

WIDTH = 4096
"""Hidden size that estimates assume where the model isn't at hand: that of most models of 7 to 9 billion parameters."""


class HiddenLabels(GivenTextStep):
    """Has the teacher read the given answers, and keeps its last hidden states: its distributions, whole and exact.

    `SoftLabel(teacher=...)` rebuilds the logits with the teacher's output layer alone, which it loads without the rest
    of the teacher; unlike top-k soft labels they can be softened by a temperature. They take 2 bytes a token for each
    hidden unit: less than `SoftLabels(top_k=...)` only for small teachers. The first ones are checked to give
    the logits that the teacher gave. transformers runs it, also where it is given as `VLLM(...)`; its own system prompt
    is put before every chat, as when it answers.

    >>> rows = LoadRows([{"instruction": "Hi", "output": "Hello"}])
    >>> show(HiddenLabels(rows, teacher=student))
    {'instruction': 'Hi', 'output': 'Hello', 'teacher_token_ids': b'..., 'teacher_hidden': b'...}
    """

    def placement(self) -> Placement:
        """Return a process of the step's own: transformers loads the model there for any kind of teacher."""
        return Placement(heavy=True, preload=MODEL)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher."""
        if not placed(self.teacher, self.placement()).heavy:
            text = f"{type(self.teacher).__name__} is no model that can be loaded here: give a folder or a Hub id"
            yield Problem("", "teacher", text)

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the soft labels."""
        rows = inputs.get("rows")
        return None if rows is None else (rows - set(TOP_COLUMNS)) | set(HIDDEN_COLUMNS)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of `TOKENS` tokens and `WIDTH` hidden units."""
        count = rows.get("rows")
        return Estimate() if count is None else Estimate(count, disk=count * TOKENS * (2 * WIDTH + 4))

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows in order; one that is finished is kept in the journal.

        Raises:
            BadInput: the teacher's logits can't be rebuilt.
        """
        import torch

        torch.set_num_threads(max(1, context.threads))
        reader = _Reader(as_teacher(teacher), self.prompt, self.column)
        return context.each((row for _, row, _ in rendered_rows(self.prompt, rows, context)), reader.labelled)


class _Reader:
    """The loaded teacher."""

    def __init__(self, teacher: Any, prompt: str, column: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from potstill.models.hidden_states import Head
        from potstill.models.loading import pretrained

        name, commit = str(teacher.model), teacher.identity()["model"].get("commit")
        model: Any = pretrained(AutoModelForCausalLM, name, "give hidden states", {"revision": commit, "dtype": "auto"})
        self._tokenizer = AutoTokenizer.from_pretrained(name, revision=commit)
        # most CPUs compute slowly in half precision, and a model that was saved in it loses nothing in float32
        self._dtype = "bfloat16" if model.dtype == torch.bfloat16 and torch.cuda.is_available() else "float16"
        model = model.to("cuda") if torch.cuda.is_available() else model.float()
        self._model = model.eval()
        self._head = Head.of(self._model, self._dtype)
        self._system = getattr(teacher, "system", "")
        self._prompt, self._column, self._checked = prompt, column, False
        sidecar = sidecar_of(teacher, prompt=prompt, k=0, mode="hidden")
        self._sidecar: Sidecar = replace(sidecar, dtype=self._dtype, engine=_engine())

    def labelled(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the row with its soft labels."""
        import numpy as np

        from potstill.models import hidden_states
        from potstill.models.chat import encode
        from potstill.teachers.protocol import with_system

        answer = given_text(row, self._prompt, self._column)
        # a cut answer has no end token, whose state would be stored for it
        if answer is None or row.get("finish_reason") == "length":
            return None
        ids, prompt = encode(self._tokenizer, with_system(self._system, render(self._prompt, row)), answer)
        states, logits = hidden_states.capture(self._model, ids, prompt)
        bits = hidden_states.bits_of(states, self._dtype)
        # only once: what a model does after its output layer doesn't depend on the row
        if not self._checked:
            hidden_states.check_rebuilt(self._head, bits, logits)
            self._checked = True
        targets = np.array(ids[prompt:])
        own = logits.log_softmax(dim=-1).cpu().numpy()[np.arange(len(targets)), targets]
        return {**without_soft_labels(row), **hidden_columns(targets, own, bits.numpy(), self._sidecar)}


def _engine() -> str:
    """Return what computes the states."""
    from importlib.metadata import version

    return f"transformers {version('transformers')}"
