"""Rows as token arrays, and arrays as batches: what a trainer reads.

The arrays lie in files of the work folder and are memory-mapped, so that memory doesn't grow with the number of rows.

Shapes: B rows, T input tokens, R positions that some row of the batch predicts from, N target tokens, K kept entries,
H hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

TYPES: dict[str, type[np.generic]] = {
    "tokens": np.int32,
    "top_ids": np.int32,
    "top_logprobs": np.float32,
    "hidden": np.int16,
    "partner_tokens": np.int32,
    "learned": np.bool_,
}
"""Files of the work folder and what they hold."""
Item = TypeVar("Item")
POOL = 8
"""Batches whose rows are sorted by length together: enough to save 90 % of the padding, few enough to stay mixed."""


@dataclass(frozen=True)
class Example:
    """A tokenized row."""

    ids: Sequence[int]
    """Prompt and target tokens."""
    prompt: int
    """How many of them are the prompt's; at least 1."""
    top_ids: NDArray[np.int32] | None = None
    """[T, K] the teacher's most probable tokens at each target."""
    top_logprobs: NDArray[np.float32] | None = None
    """[T, K] their log-probabilities."""
    hidden: NDArray[np.int16] | None = None
    """[T, H] the bits of the teacher's last hidden states, which are float16 or bfloat16: numpy has no bfloat16."""
    partner: Example | None = None
    """The same row in the tokens of a teacher whose vocabulary is another."""
    learned: NDArray[np.bool_] | None = None
    """[T] which of the tokens after the prompt are targets, where not all are: the user's turns are none."""

    def targets(self) -> NDArray[np.int64]:
        """Return [N] the places in `ids` of the tokens that are targets."""
        places = np.arange(self.prompt, len(self.ids))
        return places if self.learned is None else places[self.learned]


@dataclass(frozen=True)
class Examples:
    """All tokenized rows: flat arrays and where each row starts in them."""

    tokens: NDArray[np.int32]
    """Tokens of all rows, one after another."""
    starts: NDArray[np.int64]
    """[rows + 1] where each row starts in `tokens`."""
    targets: NDArray[np.int64]
    """[rows + 1] where each row's targets start in the arrays below."""
    top_ids: NDArray[np.int32] | None
    """[targets, K], or None."""
    top_logprobs: NDArray[np.float32] | None
    """[targets, K], or None."""
    hidden: NDArray[np.int16] | None = None
    """[targets, H], or None."""
    validation: Examples | None = None
    """Rows to evaluate on while these are learned."""
    partners: Examples | None = None
    """The same rows in the tokens of a teacher whose vocabulary is another."""
    learned: NDArray[np.bool_] | None = None
    """[targets] which of them count, or None where all do."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Example:
        """Return one row."""
        ids = self.tokens[self.starts[index] : self.starts[index + 1]]
        first, last = int(self.targets[index]), int(self.targets[index + 1])
        prompt = len(ids) - (last - first)
        top_ids, top_logprobs, hidden, learned = (
            None if array is None else array[first:last]
            for array in (self.top_ids, self.top_logprobs, self.hidden, self.learned)
        )
        partner = None if self.partners is None else self.partners[index]
        # an array is indexed and sliced like a sequence, but is none by its type
        return Example(ids, prompt, top_ids, top_logprobs, hidden, partner, learned)  # type: ignore[arg-type]

    def lengths(self) -> NDArray[np.int64]:
        """Return [rows] the number of tokens of each."""
        return np.diff(self.starts)


def store(examples: Iterable[Example], folder: Path) -> Examples:
    """Write `examples` to files in `folder`, one after another, and return them mapped."""
    folder.mkdir(parents=True, exist_ok=True)
    places, partners = _Places([0], [0]), _Places([0], [0])
    widths = dict.fromkeys(TYPES, 0)
    with ExitStack() as files:
        file = {name: files.enter_context((folder / name).open("wb")) for name in TYPES}
        for example in examples:
            places.add(example)
            arrays = {"tokens": np.asarray(example.ids), "top_ids": example.top_ids}
            arrays |= {"top_logprobs": example.top_logprobs, "hidden": example.hidden, "learned": example.learned}
            if example.partner is not None:
                partners.add(example.partner)
                arrays["partner_tokens"] = np.asarray(example.partner.ids)
            for name, array in arrays.items():
                if array is not None:
                    widths[name] = array.shape[-1]
                    file[name].write(np.ascontiguousarray(array, dtype=TYPES[name]).tobytes())
    flat: dict[str, NDArray[Any]] = {
        # an empty file can't be mapped
        name: np.memmap(folder / name, dtype, mode="r") if (folder / name).stat().st_size else np.zeros(0, dtype)
        for name, dtype in TYPES.items()
    }
    top_ids, top_logprobs, hidden = (
        flat[name].reshape(-1, widths[name]) if widths[name] else None for name in ("top_ids", "top_logprobs", "hidden")
    )
    read_by_partner = widths["partner_tokens"]
    partner_rows = Examples(flat["partner_tokens"], *partners.arrays(), None, None) if read_by_partner else None
    learned = flat["learned"] if widths["learned"] else None
    return Examples(flat["tokens"], *places.arrays(), top_ids, top_logprobs, hidden, None, partner_rows, learned)


@dataclass(frozen=True)
class _Places:
    """Where rows begin, while they are written."""

    starts: list[int]
    """In their tokens."""
    targets: list[int]
    """In what belongs to their targets."""

    def add(self, example: Example) -> None:
        """Note where the row after this one begins."""
        self.starts.append(self.starts[-1] + len(example.ids))
        self.targets.append(self.targets[-1] + len(example.ids) - example.prompt)

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return both as arrays."""
        return np.array(self.starts), np.array(self.targets)


class LengthBatches:
    """Batches of rows of similar length, in an order that depends on seed and epoch only."""

    def __init__(self, lengths: NDArray[np.int64], batch_size: int, seed: int) -> None:
        """Cut rows of these `lengths` into batches."""
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch; a resumed run gets that of the run it continues."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return -(-len(self._lengths) // self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of an epoch as row numbers: rows shuffled, sorted within each pool, batches shuffled."""
        random = np.random.default_rng([self._seed, self._epoch])
        order = random.permutation(len(self._lengths))
        pool = POOL * self._batch_size
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        by_length = np.concatenate([part[np.argsort(self._lengths[part], kind="stable")] for part in pools])
        batches = [by_length[start : start + self._batch_size] for start in range(0, len(order), self._batch_size)]
        for number in random.permutation(len(batches)):
            yield batches[number].tolist()


def micro_batches(examples: Sequence[Example], budget: int, collated: Collate | None = None) -> list[dict[str, Tensor]]:
    """Split a batch into micro-batches of at most `budget` tokens, padding included, of at least one row each.

    `collated` collates the rows of one; the default is `collate`, for causal models.
    """
    parts: list[list[Example]] = []
    for example in sorted(examples, key=lambda example: len(example.ids), reverse=True):
        # the first row of a micro-batch is its longest, which all are padded to; its last token is no input
        if parts and (len(parts[-1]) + 1) * (len(parts[-1][0].ids) - 1) <= budget:
            parts[-1].append(example)
        else:
            parts.append([example])
    return [(collated or collate)(part) for part in parts]


Collate = Callable[[Sequence[Example]], dict[str, Tensor]]
"""Collates the rows of one micro-batch."""


def collate(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Return one micro-batch as tensors.

    Rows are padded on the right, which no earlier position of a causal model attends to: that takes no attention mask,
    and no token id marks padding (it may well be the end-of-turn token). The last token is a target only.

    Returns:
        `input_ids` [B, T]; `keep` [R] the positions for which logits are needed; `select` [B, R] which of those are
        targets' positions; `labels` [N] the targets, row by row, as `select` picks them; with soft labels
        `teacher_ids` and `teacher_logprobs` [N, K], or `teacher_hidden` [N, H].
    """
    length = max(len(example.ids) for example in examples) - 1
    input_ids = np.zeros((len(examples), length), dtype=np.int64)
    for row, example in enumerate(examples):
        input_ids[row, : len(example.ids) - 1] = example.ids[:-1]
    targets = [example.targets() for example in examples]
    # a token is predicted at the position before it
    first = min(int(places[0]) for places in targets) - 1
    keep = np.arange(first, length)
    select = np.zeros((len(examples), len(keep)), dtype=np.bool_)
    for row, places in enumerate(targets):
        select[row, places - 1 - first] = True
    labels = np.concatenate(
        [np.asarray(example.ids, dtype=np.int64)[places] for example, places in zip(examples, targets, strict=True)]
    )
    batch = {"input_ids": input_ids, "keep": keep, "select": select, "labels": labels}
    if examples[0].top_ids is not None:
        batch["teacher_ids"] = np.concatenate([_given(example.top_ids) for example in examples]).astype(np.int64)
        batch["teacher_logprobs"] = np.concatenate([_given(example.top_logprobs) for example in examples])
    if examples[0].hidden is not None:
        batch["teacher_hidden"] = np.concatenate([_given(example.hidden) for example in examples])
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def _given(array: Item | None) -> Item:
    """Return the soft labels of a row that has some, as all rows of a batch do."""
    assert array is not None
    return array


def target_logits(model: PretrainedModel, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the logits [N, V] at the targets' positions; the output layer is computed at few others."""
    # packed rows each start at position 0; without packing the model counts itself
    positions = {"position_ids": batch["position_ids"]} if "position_ids" in batch else {}
    output = model(input_ids=batch["input_ids"], logits_to_keep=batch["keep"], use_cache=False, **positions)
    logits: Tensor = output.logits
    return logits[batch["select"]]
