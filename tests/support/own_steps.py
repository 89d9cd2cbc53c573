"""Steps as a user writes them, which name Potstill's functions and classes in every way that keys have to see.

Their keys hang on this file's code: an edit changes those in `golden_keys.json`.
"""

from __future__ import annotations

import potstill.steps
from potstill import Context, Endpoint, File, Model, Rows, Step
from potstill.prompts import Template
from potstill.steps import PseudoLabel
from potstill.text import ngrams
from potstill.text.labels import prepared

ASKED = Endpoint("http://127.0.0.1:9/v1", "m")


class Marked(Step):
    """Marks rows, with functions of Potstill taken from its modules and by name."""

    rows: Rows
    model: Model | None = None
    vocabulary: File | None = None
    prompt: Template = "answer.jinja"
    makes = "rows"

    def run(self, rows, context: Context, model=None):
        from potstill.text.reasoning import split_reasoning

        context.progress(0, len(rows))
        for row in rows:
            yield {"id": row["id"], "text": ngrams.normal(prepared(split_reasoning(row["text"])[1])), "by": ASKED.label}


class Labelled(PseudoLabel):
    """A built-in step with a parameter more."""

    suffix: str = "!"

    def run(self, rows, context):
        return super().run(rows, context)


class Loading(Step):
    """Builds upon a step by way of its package."""

    kind: object = potstill.steps.LoadRows
    function: object = prepared

    def run(self):
        return [{"text": prepared(str(potstill.steps.Concat))}]


STEPS = (Marked, Labelled, Loading)
