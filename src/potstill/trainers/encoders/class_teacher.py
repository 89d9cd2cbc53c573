"""A classifier as a live teacher: it reads each batch beside the student, in evaluation mode and without gradients.

Shapes: B rows, T tokens, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.models.loading import config_of, pretrained
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.session import trains_in_bf16

if TYPE_CHECKING:
    from torch import Tensor

    from potstill.compression.pretrained import ModelOutput
    from potstill.models.protocols import Tokenizer

SEQUENCE = "ForSequenceClassification"
"""End of the name of an architecture that predicts one class a text."""
PROBE = "Turn ON the lights, s'il vous plaît: 12% (at 6 o'clock)!"
"""Text that tokenizers with different rules split differently, even with one vocabulary."""


@dataclass(frozen=True)
class ClassTeacher:
    """A loaded teacher; classes are those of the student, in the student's order."""

    model: Any
    """A classifier of texts or words, in evaluation mode, without gradients."""
    order: Sequence[int]
    """[C] the teacher's number of each of the student's classes."""
    read: Callable[[Any, Mapping[str, Tensor]], Tensor] | None = None
    """How targets are read where they aren't the rows: returns the logits of a model's targets."""

    def output(self, batch: Mapping[str, Tensor], **wanted: bool) -> Any:
        """Return the model's output for a batch, with hidden states or attention maps if `wanted`."""
        import torch

        with torch.no_grad():
            return self.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **wanted)

    def sorted(self, output: ModelOutput) -> Tensor:
        """Return the logits [B, C] in an output."""
        return self._in_order(output.logits)

    def logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the logits [B, C] of a batch, or those of its targets."""
        import torch

        if self.read is None:
            return self.sorted(self.output(batch))
        with torch.no_grad():
            return self._in_order(self.read(self.model, batch))

    def _in_order(self, logits: Tensor) -> Tensor:
        """Return logits whose columns are the student's classes."""
        import torch

        return logits[:, torch.tensor(self.order, device=logits.device)]


def class_names(folder: Path, kind: str = SEQUENCE) -> list[str]:
    """Return the names of a classifier's classes, in its own order; `kind` ends its architecture's name.

    Raises:
        BadInput: it is no classifier with one label a text.
    """
    config = config_of(folder)
    kinds = config.architectures or ["nothing"]
    if not any(each.endswith(kind) for each in kinds):
        what, maker = ("sequence", "Classifier") if kind == SEQUENCE else ("token", "TokenClassifier")
        raise BadInput(
            f"the teacher {folder} is a {', '.join(kinds)} and no {what} classifier: give a folder that {maker} made"
        )
    if config.problem_type not in (None, "single_label_classification"):
        raise BadInput(f"the teacher {folder} was trained for {config.problem_type}: give one with one label a text")
    return [str(config.id2label[number]) for number in range(config.num_labels)]


def check_tokens(student: Tokenizer, teacher: Tokenizer) -> None:
    """Check that two tokenizers split texts alike, since the teacher reads the student's tokens.

    Raises:
        BadInput: they don't.
    """
    if student.get_vocab() == teacher.get_vocab() and student(PROBE)["input_ids"] == teacher(PROBE)["input_ids"]:
        return
    raise BadInput(
        f"the tokenizers of student ({len(student)} tokens) and teacher ({len(teacher)} tokens) differ, and a live "
        "teacher reads the student's tokens: let ClassProbabilities write the teacher's probabilities into the "
        "rows, where each model reads with its own tokenizer, and leave teacher= out"
    )


def load(
    folder: Path,
    names: Sequence[str],
    attention: str | None = None,
    kind: str = SEQUENCE,
    read: Callable[[Any, Mapping[str, Tensor]], Tensor] | None = None,
) -> ClassTeacher:
    """Return the classifier in `folder` as a teacher of a student with the classes `names`.

    Args:
        folder: of a classifier whose classes are `names` in any order.
        names: the student's classes.
        attention: transformers' name of an implementation; `eager` shows the attention maps.
        kind: end of the name of its architecture.
        read: how targets are read where they aren't the rows.
    """
    import torch
    import transformers

    dtype = torch.bfloat16 if trains_in_bf16() else torch.float32
    options = {"dtype": dtype, **({"attn_implementation": attention} if attention else {})}
    model = pretrained(getattr(transformers, f"AutoModel{kind}"), folder, "classify", options)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = padding_of(students.load_tokenizer(folder))
    place = {name: number for number, name in enumerate(class_names(folder, kind))}
    model = model.eval().requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")
    return ClassTeacher(model, [place[name] for name in names], read)


def padding_of(tokenizer: Tokenizer) -> int:
    """Return a tokenizer's padding token, else its end-of-sequence token."""
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
