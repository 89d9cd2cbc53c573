"""`transformers.Trainer` with batches, loss normalization and metrics of our own, which stops at NaN or infinity."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainerState

from potstill.errors import BadInput, PotstillError
from potstill.trainers.loop import failure_messages
from potstill.trainers.loop.checkpoints import STATE, is_finished, last_checkpoint, step_of
from potstill.trainers.loop.examples import Example, Examples, LengthBatches
from potstill.trainers.loop.objective import Losses, Tally
from potstill.trainers.loop.student_model import evaluating

if TYPE_CHECKING:
    from logging import Logger

    from transformers import TrainingArguments

    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.process_group import Group
    from potstill.trainers.loop.schedule import Reading, Schedule


Part = dict[str, Tensor]
"""A micro-batch: rows that are computed at once."""


class Numbered(torch.utils.data.Dataset[tuple[int, Example]]):
    """Rows with their numbers, by which a failing batch is named."""

    def __init__(self, examples: Examples) -> None:
        """Number `examples`."""
        self._examples = examples

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._examples)

    def __getitem__(self, index: int) -> tuple[int, Example]:
        """Return a row's number and the row."""
        return index, self._examples[index]


class StudentTrainer(Trainer):  # type: ignore[misc] # transformers is not typed
    """Trains on the sum of the targets' losses, divided by their number in the whole batch.

    A batch is computed in micro-batches of a token budget, shared among the processes. Their gradients add up, so the
    split can't change the result: a mean of the micro-batches' means, as many trainers take, gives tokens in short ones
    more weight.
    """

    spares = False
    """Whether batches hold a spare micro-batch, for processes that must compute as many as the others."""

    def __init__(
        self,
        model: nn.Module,
        arguments: TrainingArguments,
        examples: Examples,
        objective: Objective,
        schedule: Schedule,
        reading: Reading,
        group: Group,
        ids: Path,
    ) -> None:
        """Prepare to train `model` in `group` on `examples`, whose ids lie in the folder `ids`."""
        super().__init__(model=model, args=arguments, train_dataset=examples)
        self.remove_callback(PrinterCallback)
        self.group = group
        self.tokens_seen = 0
        self._objective = objective
        self._reading = reading
        self._schedule = schedule
        self._ids = ids
        self._tally = Tally()
        self._logged = (time.perf_counter(), 0)
        self._rows: Sequence[int] = ()
        self._loss = torch.zeros(())

    def complete(self, total: int, logger: Logger) -> None:
        """Train up to step `total`, from the newest checkpoint if there is one."""
        folder = Path(self.args.output_dir)
        # process 0 alone looks and cleans up, so that all resume from the same one
        checkpoint = self.group.gather(last_checkpoint(folder) if not self.group.rank else None)[0]
        if checkpoint is not None and is_finished(checkpoint, total, self._schedule.patience):
            # Trainer.train would take one step more when the last epoch is fractional
            self.restore(checkpoint)
            self.state = TrainerState.load_from_json(str(checkpoint / STATE))
        else:
            if checkpoint is not None:
                logger.info("resuming from step %d of %d", step_of(checkpoint), total)
            self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    def restore(self, folder: Path) -> None:
        """Load the weights in `folder`, a checkpoint or those of `save_model`, into the model."""
        self._load_from_checkpoint(str(folder))

    def get_train_dataloader(self) -> Any:
        """Return the batches, each its rows' numbers and a list of this process's micro-batches."""
        schedule, examples = self._schedule, self.train_dataset

        def parts(batch: Sequence[tuple[int, Example]]) -> dict[str, Any]:
            rows = [example for _, example in batch]
            return {"rows": [number for number, _ in batch], **self._parts(self.group.share(rows), rows)}

        sampler = LengthBatches(examples.lengths(), schedule.batch_size, schedule.seed)
        loader = torch.utils.data.DataLoader(Numbered(examples), batch_sampler=sampler, collate_fn=parts)
        return self.accelerator.prepare(loader)

    def _parts(self, rows: Sequence[Example], batch: Sequence[Example]) -> dict[str, Any]:
        """Return the micro-batches of this process's `rows`, and a spare one of the whole `batch` if that is needed."""
        split, budget = self._reading.parts, self._schedule.budget
        shortest = min(batch, key=lambda example: len(example.ids))
        return {"parts": split(rows, budget) if rows else [], "spare": split([shortest], budget) if self.spares else []}

    def even(self, parts: Sequence[Part], spare: Sequence[Part]) -> list[tuple[Part, int]]:
        """Return the micro-batches to compute with the weight of each."""
        return [(part, 1) for part in parts]

    def add_gradients(self) -> None:
        """Add up the gradients of the processes."""
        self.group.add_gradients(self.model)

    def finish(self) -> None:
        """Bring the model into the state that it is used in after training."""

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> int:
        """Return the number of targets of a batch, in all processes, and count its tokens.

        Raises:
            BadInput: there is none.
        """
        # the Trainer counts `labels` of a flat batch; ours are lists of micro-batches, shared among the processes
        parts = [part for batch in batch_samples for part in batch["parts"]]
        targets = sum(len(part["labels"]) for part in parts)
        tokens = sum(part["input_ids"].numel() for part in parts)
        if self.group.size > 1:
            counts = self.group.total(torch.tensor([targets, tokens], device=device))
            targets, tokens = int(counts[0]), int(counts[1])
        self.tokens_seen += tokens
        if batch_samples and not targets:
            rows = failure_messages.named(batch_samples[0]["rows"], self._ids)
            raise BadInput(f"a batch of {rows} holds nothing to learn: leave these rows out")
        return targets

    def training_step(
        self, model: nn.Module, inputs: Mapping[str, Any], num_items_in_batch: int | None = None
    ) -> Tensor:
        """Accumulate the gradients of one batch over its micro-batches and the processes; return its loss."""
        assert num_items_in_batch  # what `_get_num_items_in_batch` has counted
        model.train()
        self._rows = inputs["rows"]
        if self.group.size > 1:
            # dropout differs between processes, and that of a step does not depend on where a run was resumed
            step = self._schedule.seed * 1_000_003 + self.state.global_step
            torch.manual_seed((step * self.group.size + self.group.rank) % 2**63)
        total = torch.zeros((), device=self.args.device)
        for part, weight in self.even(inputs["parts"], inputs["spare"]):
            batch = self._prepare_inputs(part)
            losses = Losses.of(self._objective(self._reading.logits(model, batch), batch))
            each = losses.total()
            if weight:
                self._tally.add(each, losses)
            # the number of targets of the whole batch, not of this micro-batch: gradients add up to the batch's mean
            loss = each.sum() * weight / num_items_in_batch
            self.accelerator.backward(loss)
            total += loss.detach()
        self.add_gradients()
        self._loss = self.group.total(total)
        return self._loss

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """Clip the gradient and return its norm; a step with a loss or norm that is not finite is not taken.

        Raises:
            PotstillError: the loss or the norm is NaN or infinite.
        """
        norm = super()._clip_grad_norm(model)
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # a DTensor under FSDP
        # one transfer from the GPU for both: a sum with NaN or infinity is not finite either
        if not math.isfinite(float(norm + self._loss)):
            loss, step = float(self._loss), self.state.global_step + 1
            what, value = ("gradient", float(norm)) if math.isfinite(loss) else ("loss", loss)
            checkpoint = last_checkpoint(Path(self.args.output_dir)) if not self.group.rank else None
            rows = failure_messages.named(self._rows, self._ids)
            raise PotstillError(failure_messages.not_finite(what, value, step, rows, self._schedule, checkpoint))
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the parts of the loss, the metrics of the objective, speed and memory beside the loss."""
        if "loss" in logs:
            logs |= self._more_logs()
        super().log(logs, start_time)

    def _more_logs(self) -> dict[str, float]:
        """Return what is logged beside the loss, of the steps since the last time."""
        means = self._tally.means(self.group)
        (before, seen), now = self._logged, time.perf_counter()
        self._logged = now, self.tokens_seen
        return {
            **{name: value for name, value in means.items() if name != "loss"},
            "tokens_per_second": round((self.tokens_seen - seen) / max(now - before, 1e-9), 1),
            "peak_memory_bytes": peak_memory(),
        }

    def mean_loss(self, examples: Examples) -> dict[str, float]:
        """Return the mean loss and metrics over the targets of `examples`, computed as in training.

        The random generators are left as they were, so that evaluations do not change the training.
        """
        tally, rows = Tally(), self._schedule.batch_size
        # sorted by length, so that micro-batches hold little padding
        order = examples.lengths().argsort(kind="stable").tolist()
        chunks = [order[start : start + rows] for start in range(0, len(order), rows)]
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices), torch.no_grad(), evaluating(self.model):
            torch.manual_seed(self._schedule.seed)
            for start in range(0, len(chunks), self.group.size):
                # at the end some processes have no chunk, but under FSDP must compute a spare one with the others
                numbers = chain.from_iterable(self.group.share(chunks[start : start + self.group.size]))
                split = self._parts([examples[number] for number in numbers], [examples[chunks[start][0]]])
                for part, weight in self.even(split["parts"], split["spare"]):
                    batch = self._prepare_inputs(part)
                    losses = Losses.of(self._objective(self._reading.logits(self.model, batch), batch))
                    if weight:
                        tally.add(losses.total(), losses)
        return tally.means(self.group)

    def floating_point_ops(self, inputs: object) -> int:
        """Return 0: the count is not used, and counting takes time at every step."""
        return 0


def peak_memory() -> int:
    """Return the most bytes that this process has held so far: on the GPU if there is one, otherwise in memory."""
    import resource

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
