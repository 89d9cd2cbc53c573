"""The objective of a student that learns from its teacher's distributions.

Shapes: N target tokens, n of them in a chunk, V vocabulary, K kept entries a token, H hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from potstill.errors import BadInput
from potstill.models import encoder_decoder
from potstill.models.hidden_states import Head, Projection
from potstill.models.loading import quantized_as, without_weights
from potstill.trainers import losses
from potstill.trainers.language_models import trl_kernel
from potstill.trainers.language_models.chunked_losses import Logits, TargetStates, chunked
from potstill.trainers.language_models.divergence import Divergence
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.objective import Losses
from potstill.trainers.loop.process_group import Group
from potstill.trainers.loop.schedule import Reading
from potstill.trainers.loop.session import trains_in_bf16

if TYPE_CHECKING:
    from potstill.models.protocols import ModelSource

Teacher = Callable[[Mapping[str, Tensor]], Logits]
"""Returns a teacher's logits at the targets of a batch."""


@dataclass(frozen=True)
class SoftObjective:
    """alpha * factor * divergence + (1 - alpha) * cross-entropy, for each token.

    The factor is that of `Divergence.factor`: the squared temperature, for most.
    """

    alpha: float
    """Weight of the teacher's distribution."""
    temperature: float
    """Softens both distributions."""
    divergence: Divergence
    """Divergence of the two."""
    teacher: Teacher | None
    """Returns the teacher's logits; None where the batches hold its top-k log-probabilities."""
    chunk: int
    """Tokens whose logits are in memory at once."""

    def __call__(self, logits: Logits, batch: Mapping[str, Tensor]) -> Losses:
        """Return the parts of the loss from the student's `Logits`."""
        # a teacher without weight is not run
        with torch.no_grad():
            teacher = None if self.teacher is None or not self.alpha else self.teacher(batch)

        def of_chunk(student: Tensor, rows: slice) -> Losses:
            return self._losses(student, teacher, {name: batch[name][rows] for name in STORED if name in batch}, rows)

        if not isinstance(logits, Projection):
            return of_chunk(logits, slice(None))
        if isinstance(teacher, Projection) and self.alpha == 1 and trl_kernel.usable(logits):
            beta = self.divergence.kernel_beta
            if beta is not None:
                return self.fused(logits, teacher, beta)
        return chunked(logits, of_chunk, self.chunk)

    def fused(self, student: Projection, teacher: Projection, beta: float) -> Losses:
        """Return the losses by trl's kernel: for the divergence alone, as cross-entropy would take a second pass."""
        shared = min(student.size, teacher.size)
        apart = trl_kernel.divergence(student.cut(shared), teacher.cut(shared), beta, self.temperature)
        return Losses({"soft": self.divergence.factor(self.temperature) * apart}, {"divergence": apart.detach()})

    def _losses(self, student: Tensor, teacher: Logits | None, stored: Mapping[str, Tensor], rows: slice) -> Losses:
        """Return the losses of some targets from the student's logits [n, V] and the batch's tensors of them."""
        parts: dict[str, Tensor] = {}
        metrics: dict[str, Tensor] = {}
        if self.alpha > 0:
            if teacher is None:
                apart, alike = _from_top(student, stored["teacher_ids"], stored["teacher_logprobs"])
            elif self.divergence.one_vocabulary:
                apart, alike = self._from_logits(student, teacher, rows)
            else:
                apart, alike = self._from_pairs(student, teacher, stored["pair"], rows), None
            parts["soft"] = self.alpha * self.divergence.factor(self.temperature) * apart
            metrics = {"divergence": apart.detach(), **({} if alike is None else {"agreement": alike})}
        if self.alpha < 1:
            parts["hard"] = (1 - self.alpha) * losses.cross_entropy(student, stored["labels"])
        return Losses(parts, metrics)

    def _from_logits(self, student: Tensor, teacher: Logits, rows: slice) -> tuple[Tensor, Tensor]:
        """Return the divergence [n] from a teacher's logits, and whether the same token is most probable."""
        # output layers of one vocabulary may be padded to different sizes: cut before the softmax normalizes over it
        shared = min(student.shape[-1], teacher.shape[-1] if isinstance(teacher, Tensor) else teacher.size)
        with torch.no_grad():
            teacher_logits = teacher[rows, :shared] if isinstance(teacher, Tensor) else teacher.cut(shared).logits(rows)
        divergence = self.divergence(student[:, :shared], teacher_logits, self.temperature)
        return divergence, _agreement(student.detach(), teacher_logits)

    def _from_pairs(self, student: Tensor, teacher: Logits, pair: Tensor, rows: slice) -> Tensor:
        """Return the divergence [n] from logits over another vocabulary; 0 for targets without a pair."""
        with torch.no_grad():
            teacher_logits = teacher[rows] if isinstance(teacher, Tensor) else teacher.logits(rows)
        return torch.where(pair >= 0, self.divergence(student, teacher_logits, self.temperature), 0.0)


STORED = ("labels", "teacher_ids", "teacher_logprobs", "pair")
"""Tensors of a batch with an entry for each target, of which a chunk takes its rows."""


def _from_top(student: Tensor, ids: Tensor, logprobs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the divergence [n] from a teacher's top-k [n, K], and whether the same token is most probable."""
    likeliest = ids.gather(-1, logprobs.argmax(-1, keepdim=True))[:, 0]
    return losses.topk_tail_divergence(student, ids, logprobs), losses.agreement(student.detach(), likeliest)


def _agreement(student: Tensor, teacher: Tensor) -> Tensor:
    """Return 1 for each target where the teacher's highest logit is the student's too, otherwise 0."""
    # argmax would be twelve times slower: PyTorch does not vectorize it on a CPU
    highest = teacher >= teacher.amax(-1, keepdim=True)
    there = torch.where(highest, student[:, : teacher.shape[-1]], -torch.inf).amax(-1)
    return (there >= student.amax(-1)).float()


def live(teacher: ModelSource, reading: Reading, *, split: bool = False) -> Teacher:
    """Return the function of a batch to the logits of the model behind `teacher`, read as the student reads it.

    A teacher that is `split` lies over the processes of the training, as the student then does.
    """
    model, states = load_teacher(teacher, split=split), TargetStates(reading.logits)
    return lambda batch: states(model, batch)


def from_states(folder: Path, dtype: str) -> Teacher:
    """Return the function of a batch to the logits of the model in `folder`, from its hidden states of `dtype`."""
    head = Head.load(folder, dtype)
    return lambda batch: Projection.stored(head, batch["teacher_hidden"])


def load_teacher(teacher: ModelSource, *, split: bool = False) -> Any:
    """Return the teacher's model: in evaluation mode, without gradients, never quantized for speed.

    Where bfloat16 is not the faster type it is in its own type in memory and computes as float32.

    Raises:
        BadInput: its weights are quantized, or it can't be loaded.
    """
    from potstill.trainers.loop.frozen import hold_in_own_type, type_to_load

    folder = students.folder_of(teacher)
    method = quantized_as(folder)
    if method:
        raise BadInput(
            f"the teacher {folder} is quantized ({method}), and a live one is read in 16 bits: take its 16-bit form "
            "or store its soft labels first (PseudoLabel(top_k=...)) with a server that runs it, and learn from those"
        )
    device, group = torch.device("cuda" if torch.cuda.is_available() else "cpu"), Group.current()
    if split and group.size > 1:
        return _split_teacher(folder, group, device)
    in_halves = trains_in_bf16()
    dtype = torch.bfloat16 if in_halves else type_to_load(folder)
    model = encoder_decoder.load(folder, "be a live teacher", {"dtype": dtype}).eval().requires_grad_(False)
    if not in_halves:
        hold_in_own_type(model)
    return model.to(device)


def _split_teacher(folder: Path, group: Group, device: torch.device) -> Any:
    """Return the teacher's model, split among the processes; only the first one reads its weights."""
    from potstill.trainers.loop.fsdp import shard

    dtype = torch.bfloat16 if trains_in_bf16() else torch.float32
    if group.rank:
        model = without_weights(encoder_decoder.model_class(folder), folder, dtype)
    else:
        model = encoder_decoder.load(folder, "be a live teacher", {"dtype": dtype})
    model = model.eval().requires_grad_(False)
    shard(model, group, device)
    return model
