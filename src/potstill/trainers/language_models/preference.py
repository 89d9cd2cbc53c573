"""Training on preferences: of two answers to a prompt, the better is to become likelier than the worse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt

from potstill.errors import BadInput
from potstill.prompts import render, required_variables
from potstill.trainers.language_models.base import CausalTraining, Prepared, fit, prepare
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource, Tokenizer
    from potstill.trainers.loop.examples import Example, Examples

SLOWER = 0.05
"""Learning rate of preference training as a share of that of other training: it moves a model that can answer already.
At 7 billion parameters that is 6e-7, near the 1e-6 of Rafailov et al. 2023 (appendix B)."""


class Preference(CausalTraining):
    """Train a student to prefer chosen to rejected answers: direct preference optimization (DPO).

    The loss of a pair is -log sigmoid(beta (log-ratio of `chosen` - log-ratio of `rejected`)), where a log-ratio is how
    much likelier the student finds an answer than the reference model does (Rafailov et al. 2023, arXiv 2305.18290,
    equation 7). The reference is the student as it starts; it reads the pairs once, beforehand. Rows hold `chosen` and
    `rejected` and what `prompt` needs, as `JudgeGenerationPairsWithPrompt`, `PairsFromVerdicts` or `PairsFromScores`
    make them; ties (`tie`) and pairs of equal texts are left out. The student should be able to answer already.

    >>> rows = LoadRows([{"instruction": "Name a colour.", "chosen": "Blue.", "rejected": "The sea is wide."}])
    >>> show(Preference(rows, student=student, epochs=1))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 16}
    """

    _: KW_ONLY
    beta: Annotated[float, Gt(0)] = 0.1
    """Strength of the constraint to the reference: the larger, the closer the student stays. 0.1 as in the paper."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns of both answers, and those that the prompt needs."""
        return {"rows": ("chosen", "rejected", *required_variables(self.prompt))}

    def usual_rate(self, parameters: int) -> float:
        """Return the learning rate for a student of this size where none is given."""
        return SLOWER * super().usual_rate(parameters)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {**super().recipe(), "beta": self.beta}

    def figures(self, learned: Mapping[str, float], context: Context) -> Mapping[str, float]:
        """Return the metrics of the training, with margin and accuracy of the pairs at its end."""
        last = (context.notes["curve"] or [{}])[-1]
        named = {"margin": "margin of rewards", "accuracy": "share of pairs in order"}
        return {**learned, **{text: last[name] for name, text in named.items() if name in last}}

    def run(self, rows: Dataset, student: ModelSource, context: Context, *, validation: Dataset | None = None) -> Path:
        """Train the student on `rows` and write its folder."""
        from potstill.trainers.language_models.architecture import ENCODER_DECODER, architecture_of
        from potstill.trainers.language_models.preference_batches import PAIRS, PreferenceObjective, longest

        folder = students.folder_of(student)
        if architecture_of(folder) is ENCODER_DECODER:
            raise BadInput(
                "Preference trains causal models; for an encoder-decoder take HardLabel on the chosen answers"
            )

        def example_of(row: Mapping[str, Any], tokenizer: Tokenizer) -> Example | str:
            return pair_example(row, tokenizer, self.prompt)

        with set_up(self, {"rows": rows, "student": student}, context, validation) as training:
            prepared = prepare(self, rows, folder, training, example_of, length=longest)
            prepared = replace(prepared, examples=self._referenced(prepared, training), reading=PAIRS)
            return fit(self, prepared, PreferenceObjective(self.beta), training)

    def _referenced(self, prepared: Prepared, context: Context) -> Examples:
        """Return the pairs with the reference model's log-probabilities."""
        import torch

        from potstill.trainers.language_models.preference_batches import with_reference
        from potstill.trainers.loop import lora
        from potstill.trainers.loop.session import in_bf16, trains_in_bf16

        adapter, dtype = self.adapter(), torch.bfloat16 if trains_in_bf16() else torch.float32
        # loaded like the student that is trained, 4 bits included, so that it starts from margins of 0
        if adapter is None:
            model = students.load_model(prepared.folder, torch.float32)
        else:
            model = lora.load_base(prepared.folder, adapter, dtype)
        if torch.cuda.is_available() and not self.qlora:
            model = model.cuda()
        examples, budget, bf16 = prepared.examples, self.micro_batch_tokens, in_bf16(self.precision)
        validation = examples.validation
        if validation is not None:
            validation = with_reference(validation, model, budget, bf16=bf16, folder=context.work / "validation")
        read = with_reference(examples, model, budget, bf16=bf16, folder=context.work / "examples")
        return replace(read, validation=validation)


def pair_example(row: Mapping[str, Any], tokenizer: Tokenizer, prompt: str) -> Example | str:
    """Return the tokens of a row's prompt and of both answers with their ends, or why they can't be trained on."""
    from potstill.models.chat import encode
    from potstill.trainers.language_models.preference_batches import pair

    if row.get("tie"):
        return "tie"
    answers = [row.get(name) for name in ("chosen", "rejected")]
    for name, answer in zip(("chosen", "rejected"), answers, strict=True):
        if not isinstance(answer, str) or not answer.strip():
            return f"no {name} answer"
    if answers[0] == answers[1]:
        return "chosen and rejected are equal"
    messages = render(prompt, row)
    (chosen, length), (rejected, _) = (encode(tokenizer, messages, str(answer)) for answer in answers)
    return pair(chosen[:length], chosen[length:], rejected[length:])
