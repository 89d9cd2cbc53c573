"""Masked language models that learn from a masked language model: plain text, no labels.

15 % of a row's tokens are targets, sampled each time it is read (dynamic masking): of these 80 % are masked, 10 %
become another token and 10 % stay (Devlin et al. 2019, arXiv 1810.04805, section 3.1). Teacher and student read the
same.

Shapes: B rows, T tokens, N targets, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from potstill.errors import BadInput
from potstill.models.loading import config_of, pretrained, quantized_as
from potstill.trainers.encoders.layer_objective import Seen
from potstill.trainers.loop.examples import Example, micro_batches
from potstill.trainers.loop.schedule import Reading
from potstill.trainers.loop.session import trains_in_bf16

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelOutput, PretrainedModel
    from potstill.models.protocols import Tokenizer

SHARE = 0.15
"""Share of a row's tokens that are targets; at least one is."""
MASKED, CHANGED = 0.8, 0.1
"""Of the targets, the share that is masked, and that which becomes another token."""


def example(ids: Sequence[int], special: Sequence[int]) -> Example | str:
    """Return a text's tokens as a row with as many targets as will be sampled, or why it can't be trained on."""
    usual = sum(token not in special for token in ids)
    if not usual:
        return "no text"
    targets = max(1, round(SHARE * usual))
    # placeholders: the number of targets must be known before they are sampled, as the loss is divided by it
    return Example([*ids, *[0] * targets], len(ids))


@dataclass(frozen=True)
class Masking:
    """How the texts of a vocabulary are masked."""

    mask: int
    """The mask token."""
    special: tuple[int, ...]
    """Tokens that are never targets, such as those at the ends."""
    vocabulary: int
    """Number of tokens that replacements are sampled from."""
    padding: int
    """The padding token."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Masking:
        """Return how a tokenizer's texts are masked.

        Raises:
            BadInput: it has no mask token.
        """
        if tokenizer.mask_token_id is None:
            raise BadInput(
                f"the tokenizer of {tokenizer.name_or_path} has no mask token: take a masked language model, or "
                'task="classification"'
            )
        padding = 0 if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        return cls(tokenizer.mask_token_id, tuple(tokenizer.all_special_ids), len(tokenizer), padding)

    def reading(self, wanted: Mapping[str, bool]) -> Reading:
        """Return how a student reads rows, with hidden states or attention maps if `wanted`."""
        return Reading(partial(micro_batches, collated=self.collate), partial(self.read, wanted=wanted))

    def collate(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Return rows as tensors, padded on the right.

        Returns:
            `input_ids` and `attention_mask` [B, T]; `counts` [B] the targets of each row; `labels` [N], zeros
            until the targets are sampled.
        """
        lengths = np.array([example.prompt for example in examples])
        input_ids = np.full((len(examples), lengths.max()), self.padding, dtype=np.int64)
        for row, one in enumerate(examples):
            input_ids[row, : lengths[row]] = one.ids[: one.prompt]
        counts = np.array([len(one.ids) - one.prompt for one in examples])
        batch = {
            "input_ids": input_ids,
            "attention_mask": (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64),
            "counts": counts,
            "labels": np.zeros(counts.sum(), dtype=np.int64),
        }
        return {name: torch.from_numpy(array) for name, array in batch.items()}

    def read(self, model: PretrainedModel, batch: Mapping[str, Tensor], wanted: Mapping[str, bool]) -> Any:
        """Return the forward pass of a model on a micro-batch with sampled targets: a `Seen`."""
        ids, chosen = self.drawn(batch)
        rows, places = chosen.nonzero(as_tuple=True)
        inputs = {"input_ids": ids, "attention_mask": batch["attention_mask"]}
        output = model(**inputs, **wanted)
        # without the rows that pad the output layer, in which teacher and student may differ
        logits = output.logits[rows, places, : self.vocabulary]
        return Seen(inputs, output, logits, batch["input_ids"][chosen], rows, places)

    def drawn(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the model's input tokens [B, T], and which are targets [B, T]."""
        ids = batch["input_ids"]
        usual = batch["attention_mask"].bool() & ~torch.isin(ids, torch.tensor(self.special, device=ids.device))
        # random ranks: the `counts` usual tokens of each row with the highest numbers are targets; others rank last
        order = torch.rand(ids.shape, device=ids.device).masked_fill(~usual, -1.0).argsort(dim=1, descending=True)
        chosen = order.argsort(dim=1) < batch["counts"][:, None]
        fate = torch.rand(ids.shape, device=ids.device)
        others = torch.randint_like(ids, self.vocabulary)
        shown = torch.where(chosen & (fate < MASKED), self.mask, ids)
        changed = chosen & (fate >= MASKED) & (fate < MASKED + CHANGED)
        return torch.where(changed, others, shown), chosen

    def targets(self, output: ModelOutput, seen: Seen) -> Tensor:
        """Return the logits [N, V] of the targets in a teacher's output."""
        logits: Tensor = output.logits[seen.rows, seen.places, : self.vocabulary]
        return logits


def load_student(folder: Path, seed: int, attention: str | None) -> Any:
    """Return the masked language model in `folder`, in float32; a head that it lacks is drawn by `seed`."""
    torch.manual_seed(seed)
    return _load(folder, torch.float32, attention, new_head=True)


def load_teacher(folder: Path, attention: str | None) -> Any:
    """Return the masked language model in `folder`, in evaluation mode and without gradients.

    Raises:
        BadInput: it has no head for it.
    """
    kinds = config_of(folder).architectures or ["nothing"]
    if not any(kind.endswith("ForMaskedLM") for kind in kinds):
        raise BadInput(
            f"the teacher {folder} is a {', '.join(kinds)} and no masked language model: give one that was "
            "saved by AutoModelForMaskedLM"
        )
    dtype = torch.bfloat16 if trains_in_bf16() else torch.float32
    model = _load(folder, dtype, attention).eval().requires_grad_(False)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def _load(folder: Path, dtype: torch.dtype, attention: str | None, new_head: bool = False) -> Any:
    """Return the masked language model in `folder`.

    Raises:
        BadInput: it can't be one, or is quantized.
    """
    from transformers import AutoModelForMaskedLM

    if quantized_as(folder):
        raise BadInput(f"the model {folder} is quantized: take the unquantized one")
    more = {"attn_implementation": attention} if attention else {}
    return pretrained(AutoModelForMaskedLM, folder, "fill masks", {"dtype": dtype, **more}, new_head=new_head)
