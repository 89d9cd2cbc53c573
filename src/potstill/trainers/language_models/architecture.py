"""What differs between causal models and encoder-decoders: tokenization of a row, and the forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.models import chat, encoder_decoder
from potstill.models.identity import folder_of
from potstill.models.loading import config_of
from potstill.trainers.language_models import seq2seq_batches
from potstill.trainers.loop.schedule import CAUSAL, Reading

if TYPE_CHECKING:
    from potstill.models.card import Task
    from potstill.models.chat import Messages
    from potstill.models.protocols import ModelSource
    from potstill.trainers.loop.examples import Example


@dataclass(frozen=True)
class Architecture:
    """A causal model or an encoder-decoder, as trainers treat it."""

    name: str
    """For messages."""
    check_tokenizer: Callable[[Any], None]
    """Raises BadInput if a tokenizer can't encode rows for such a model."""
    encode: Callable[[Any, Messages, str], tuple[list[int], int]]
    """Returns the tokens of a prompt and its answer, and how many are the prompt's."""
    span: Callable[[Example], int]
    """Returns how many of the model's positions a row takes."""
    reading: Callable[[Any], Reading]
    """Returns how the model with a given config reads rows."""
    task: Task
    """What the model does, as the Hub calls it."""
    adapters: str
    """The same, as peft calls it."""

    def reading_of(self, folder: Path) -> Reading:
        """Return how the model in `folder` reads rows."""
        return self.reading(config_of(folder))


CAUSAL_MODEL = Architecture(
    "a causal model",
    chat.check_tokenizer,
    chat.encode,
    lambda example: len(example.ids),
    lambda config: CAUSAL,
    "text-generation",
    "CAUSAL_LM",
)
"""Continues a chat."""
ENCODER_DECODER = Architecture(
    "an encoder-decoder",
    encoder_decoder.check_tokenizer,
    encoder_decoder.encode,
    lambda example: max(example.prompt, len(example.ids) - example.prompt),
    seq2seq_batches.reading,
    "text2text-generation",
    "SEQ_2_SEQ_LM",
)
"""Reads a text with its encoder and writes another with its decoder."""


def architecture_of(folder: str | Path) -> Architecture:
    """Return the architecture of the model in `folder`."""
    return ENCODER_DECODER if encoder_decoder.is_encoder_decoder(folder) else CAUSAL_MODEL


def check_alike(student: Path, teacher: ModelSource | None, kind: str) -> None:
    """Check that a teacher can be compared with the student token by token.

    Args:
        student: the student's folder.
        teacher: its teacher, if there is one.
        kind: which soft labels the rows hold; empty where the teacher itself reads the student's tokens.

    Raises:
        BadInput: only one of them is an encoder-decoder, or their decoders start with different tokens.
    """
    student_kind = architecture_of(student)
    if kind and student_kind is ENCODER_DECODER:
        raise BadInput(
            "the student is an encoder-decoder, and the rows hold soft labels, which causal models make: leave the "
            "teacher_* columns out and give teacher=, an encoder-decoder of the same vocabulary"
        )
    if kind or teacher is None:
        return
    teacher_kind = architecture_of(folder_of(teacher))
    if teacher_kind is not student_kind:
        raise BadInput(
            f"the teacher is {teacher_kind.name} and the student {student_kind.name}: they read different tokens, so "
            "the student can learn from what the teacher writes only: SequenceLevel"
        )
    starts = [_start(folder) for folder in (folder_of(teacher), student)]
    if student_kind is ENCODER_DECODER and starts[0] != starts[1]:
        raise BadInput(
            f"the teacher's decoder starts with token {starts[0]}, the student's with {starts[1]}: set "
            "decoder_start_token_id in the student's config.json to the teacher's"
        )


def _start(folder: Path) -> int | None:
    """Return the token that a decoder reads first."""
    return getattr(config_of(folder), "decoder_start_token_id", None)
