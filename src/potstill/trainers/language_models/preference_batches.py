"""Pairs of a chosen and a rejected answer to one prompt: tokens, batches, and log-probabilities.

A pair is an `Example` whose targets are the chosen answer's tokens and then the rejected one's; its `top_ids` mark
which of the two a token belongs to, its `top_logprobs` the reference model's log-probability of it.

Shapes: P pairs, S = 2 P texts, chosen and rejected in turn, T input tokens, N target tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potstill.trainers.loop.examples import Example, Examples, collate, target_logits
from potstill.trainers.loop.objective import Losses
from potstill.trainers.loop.schedule import Reading
from potstill.trainers.losses.preference import dpo
from potstill.trainers.losses.token_losses import gathered_log_softmax

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

CHOSEN, REJECTED = 0, 1
"""Which answer of a pair a target belongs to."""


def pair(prompt: Sequence[int], chosen: Sequence[int], rejected: Sequence[int]) -> Example:
    """Return the tokens of a pair, without the reference model's log-probabilities."""
    which = np.repeat([CHOSEN, REJECTED], [len(chosen), len(rejected)]).astype(np.int32)
    return Example([*prompt, *chosen, *rejected], len(prompt), top_ids=which[:, None])


def texts(example: Example) -> tuple[Example, Example]:
    """Return the two texts of a pair, each with its prompt: the chosen one first."""
    assert example.top_ids is not None
    middle = example.prompt + int((example.top_ids[:, 0] == CHOSEN).sum())
    prompt, seen = list(example.ids[: example.prompt]), example.top_logprobs
    split = middle - example.prompt
    return (
        Example([*prompt, *example.ids[example.prompt : middle]], example.prompt, None, _part(seen, slice(0, split))),
        Example([*prompt, *example.ids[middle:]], example.prompt, None, _part(seen, slice(split, None))),
    )


def _part(array: NDArray[np.float32] | None, rows: slice) -> NDArray[np.float32] | None:
    """Return some rows of an array, if there is one."""
    return None if array is None else array[rows]


def longest(example: Example) -> int:
    """Return the length of the longer text of a pair, its prompt included."""
    return max(len(text.ids) for text in texts(example))


def pair_parts(examples: Sequence[Example], budget: int) -> list[dict[str, Tensor]]:
    """Split a batch of pairs into micro-batches of at most `budget` tokens, padding included, of at least one pair."""
    parts: list[list[Example]] = []
    width = 0
    for example in sorted(examples, key=longest, reverse=True):
        # the first pair of a micro-batch holds its longest text, which all are padded to
        if parts and 2 * (len(parts[-1]) + 1) * (width - 1) <= budget:
            parts[-1].append(example)
        else:
            parts.append([example])
            width = longest(example)
    return [collate_pairs(part) for part in parts]


def collate_pairs(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Return pairs as tensors.

    Returns:
        `input_ids` [S, T], `keep` and `select` as for any causal model; `targets` [N] tokens; `text` [N] the text that
        each belongs to; `reference` [N] its log-probability under the reference model, if known; `labels` [P], one for
        each pair, as a pair is what counts.
    """
    both = [text for example in examples for text in texts(example)]
    batch = collate([replace(text, top_logprobs=None) for text in both])
    lengths = torch.tensor([len(text.ids) - text.prompt for text in both])
    batch["targets"] = batch.pop("labels")
    batch["text"] = torch.repeat_interleave(torch.arange(len(both)), lengths)
    # what the loss is divided by is the number of labels: one for each pair, whatever its length
    batch["labels"] = torch.zeros(len(examples), dtype=torch.long)
    if both[0].top_logprobs is not None:
        reference = np.concatenate([text.top_logprobs[:, 0] for text in both if text.top_logprobs is not None])
        batch["reference"] = torch.from_numpy(np.ascontiguousarray(reference))
    return batch


PAIRS = Reading(pair_parts, target_logits)
"""How a causal language model reads pairs."""


def target_logprobs(logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the log-probability [N] of each target from the logits [N, V]."""
    return gathered_log_softmax(logits.float(), batch["targets"].unsqueeze(-1)).squeeze(-1)


@dataclass(frozen=True)
class PreferenceObjective:
    """Direct preference optimization; the batches hold the reference model's log-probabilities."""

    beta: float
    """Strength of the constraint to the reference model."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Losses:
        """Return the loss [P], and the margin, accuracy and rewards of each pair.

        The margin is the difference of the implicit rewards, beta log(student / reference), of both answers (Rafailov
        et al. 2023, section 5.1); accuracy is the share of pairs where it is above 0.
        """
        gained = target_logprobs(logits, batch) - batch["reference"]
        # log(student / reference) of each text, the sum over its tokens; texts are chosen and rejected in turn
        count = 2 * len(batch["labels"])
        ratios = gained.new_zeros(count).index_add(0, batch["text"], gained).view(-1, 2)
        chosen, rejected = ratios.unbind(dim=1)
        rewards = self.beta * ratios.detach()
        margin = rewards[:, CHOSEN] - rewards[:, REJECTED]
        metrics = {
            "margin": margin,
            "accuracy": (margin > 0).float(),
            "chosen_reward": rewards[:, CHOSEN],
            "rejected_reward": rewards[:, REJECTED],
        }
        return Losses({"preference": dpo(chosen, rejected, self.beta)}, metrics)


def with_reference(examples: Examples, model: PretrainedModel, budget: int, *, bf16: bool, folder: Path) -> Examples:
    """Return pairs with the log-probability of each target under `model`, stored in a file in `folder`.

    Computed once, before training, so that no second model is in memory beside the student. Texts are read as in
    training, with the same kernels and precision, so that the first step's margins are 0 but for rounding.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = int(examples.targets[-1])
    logprobs = np.memmap(folder / "reference", np.float32, mode="w+", shape=(count, 1))
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext():
        for numbers in _groups(examples, budget):
            batch = {key: value.to(device) for key, value in collate_pairs([examples[n] for n in numbers]).items()}
            seen = target_logprobs(target_logits(model, batch), batch).float().cpu().numpy()
            where = np.concatenate([np.arange(examples.targets[n], examples.targets[n + 1]) for n in numbers])
            logprobs[where, 0] = seen
    model.train(training)
    logprobs.flush()
    return replace(examples, top_logprobs=logprobs)


def _groups(examples: Examples, budget: int) -> Iterator[list[int]]:
    """Yield the rows in groups of similar length, of at most `budget` tokens, padding included."""
    group: list[int] = []
    width = 0
    for number in np.argsort(-examples.lengths(), kind="stable").tolist():
        wider = max(width, longest(examples[number]))
        if group and 2 * (len(group) + 1) * wider > budget:
            yield group
            group, wider = [], longest(examples[number])
        group.append(number)
        width = wider
    if group:
        yield group
