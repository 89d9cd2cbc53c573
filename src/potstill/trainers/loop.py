"""The training loop: `transformers.Trainer` with our own batches, loss and checkpoints."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from potstill.errors import PotstillError
from potstill.trainers.examples import Example, Examples, LengthBatches, micro_batches, target_logits

if TYPE_CHECKING:
    from potstill.context import Context

CURVE_POINTS = 100
"""About how many points a loss curve has."""


class Objective(Protocol):
    """What a student minimises."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss [N] of each target from the student's logits [N, V] and the batch they come from."""


@dataclass(frozen=True)
class Reading:
    """How a kind of model reads rows."""

    parts: Callable[[Sequence[Example], int], list[dict[str, Tensor]]]
    """Splits a batch into parts of at most so many tokens, which hold `input_ids` and `labels`, one for each target."""
    logits: Callable[[Any, Mapping[str, Tensor]], Tensor]
    """Returns what the model says [N, V] to the targets of a part."""


CAUSAL = Reading(micro_batches, target_logits)
"""A causal language model: a target is a token, predicted from those before it."""


@dataclass(frozen=True)
class Schedule:
    """How long, how fast and in what parts to train."""

    epochs: float
    """Passes over the rows."""
    batch_size: int
    """Rows a step."""
    learning_rate: float
    """At its highest."""
    decay: str
    """Shape of its way down to 0: `cosine` or `linear`."""
    warmup: float
    """Share of the steps over which it rises."""
    weight_decay: float
    """Of AdamW, for matrices."""
    clip: float
    """Highest norm of the gradient."""
    seed: int
    """Of the order of rows and of dropout."""
    budget: int
    """Tokens computed at once."""
    checkpoint_every: int
    """Steps between checkpoints."""
    bf16: bool
    """Whether the model runs in bfloat16; its weights, the loss and the optimizer stay in float32."""

    def steps(self, rows: int) -> int:
        """Return the number of optimizer steps for so many rows."""
        return math.ceil(self.epochs * -(-rows // self.batch_size))


class StudentTrainer(Trainer):  # type: ignore[misc] # transformers is not typed
    """Trains on the sum of the targets' losses, divided by their number in the whole batch.

    A batch is computed in parts of a token budget whose gradients add up, so its split can't change the result: a mean
    of the parts' means, as many trainers take, gives tokens in short parts more weight.
    """

    def __init__(
        self,
        model: Any,
        arguments: Any,
        examples: Examples,
        objective: Objective,
        schedule: Schedule,
        context: Context,
        reading: Reading,
    ) -> None:
        """Prepare to train `model` on `examples`."""
        super().__init__(model=model, args=arguments, train_dataset=examples, callbacks=[Reporter(context)])
        self.remove_callback(PrinterCallback)
        self._objective = objective
        self._reading = reading
        self._schedule = schedule
        self.tokens_seen = 0

    def get_train_dataloader(self) -> Any:
        """Return the batches, each a list of its parts."""
        schedule, examples, split = self._schedule, self.train_dataset, self._reading.parts

        def parts(batch: Sequence[Example]) -> list[dict[str, Tensor]]:
            return split(batch, schedule.budget)

        sampler = LengthBatches(examples.lengths(), schedule.batch_size, schedule.seed)
        loader = torch.utils.data.DataLoader(examples, batch_sampler=sampler, collate_fn=parts)
        return self.accelerator.prepare(loader)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> int:
        """Return the number of targets of a batch (which holds one list of parts, as nothing is accumulated)."""
        return sum(len(part["labels"]) for batch in batch_samples for part in batch)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Add up the gradients of one batch, part by part; return its loss."""
        model.train()
        total = torch.zeros((), device=self.args.device)
        for part in inputs:
            batch = self._prepare_inputs(part)
            loss = self._objective(self._reading.logits(model, batch), batch).sum() / num_items_in_batch
            self.accelerator.backward(loss)
            total += loss.detach()
            self.tokens_seen += batch["input_ids"].numel()
        return total

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: nobody reads the count, and counting takes time at every step."""
        return 0


class Reporter(TrainerCallback):  # type: ignore[misc] # transformers is not typed
    """Reports progress and loss, and stops a training that has blown up."""

    def __init__(self, context: Context) -> None:
        """Report to `context`."""
        self._context = context
        self._note = ""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report the step."""
        self._context.progress(state.global_step, state.max_steps, note=self._note)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **_: Any) -> None:
        """Report the loss.

        Raises:
            PotstillError: it is not a finite number.
        """
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        self._note = f"loss {loss:.4f}"
        self._context.logger.info("step %d of %d: %s", state.global_step, state.max_steps, self._note)
        if not math.isfinite(loss):
            raise PotstillError(
                f"the loss became {loss} by step {state.global_step}: lower the learning_rate "
                f"({args.learning_rate:g} now) or raise the warmup"
            )


def train(
    model: Any,
    examples: Examples,
    objective: Objective,
    schedule: Schedule,
    context: Context,
    reading: Reading = CAUSAL,
) -> Any:
    """Train `model` in place, going on from the last checkpoint in the work folder; return the trainer.

    Checkpoints hold float32 weights, the optimizer's state, the schedule and the generators' states; the order of rows
    follows from seed and epoch. So a run that was killed ends with the same weights as one that was not.
    """
    folder = context.work / "checkpoints"
    total = schedule.steps(len(examples))
    arguments = _arguments(folder, schedule, total)
    trainer = StudentTrainer(model, arguments, examples, objective, schedule, context, reading)
    checkpoint = last_checkpoint(folder)
    if checkpoint is not None and step_of(checkpoint) >= total:
        # the loop itself would take one step more when an epoch is cut short
        trainer._load_from_checkpoint(str(checkpoint))
        trainer.state = trainer.state.load_from_json(str(checkpoint / "trainer_state.json"))
        return trainer
    if checkpoint is not None:
        context.logger.info("going on from step %d of %d", step_of(checkpoint), total)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return trainer


def _arguments(folder: Path, schedule: Schedule, total: int) -> Any:
    """Return what `transformers.Trainer` needs to know."""
    log_every = max(1, total // CURVE_POINTS)
    cuda = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=schedule.epochs,
        per_device_train_batch_size=schedule.batch_size,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type=schedule.decay,
        warmup_steps=math.ceil(schedule.warmup * total),
        weight_decay=schedule.weight_decay,
        max_grad_norm=schedule.clip,
        seed=schedule.seed,
        optim="adamw_torch_fused",
        bf16=schedule.bf16,
        use_cpu=not cuda,
        gradient_checkpointing=False,
        logging_strategy="steps",
        logging_steps=log_every,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        # a checkpoint falls on a point of the curve, so that a resumed run draws the same one
        save_steps=-(-schedule.checkpoint_every // log_every) * log_every,
        save_total_limit=1,
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=cuda,
        remove_unused_columns=False,
    )
    if cuda:
        # on several GPUs the trainer would split the list of parts over them
        arguments._n_gpu = 1
    return arguments


def step_of(checkpoint: Path) -> int:
    """Return the number of steps that a checkpoint holds."""
    return int(checkpoint.name.rpartition("-")[2])


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint in `folder` and delete those that a kill left half written."""
    found = sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True)
    for checkpoint in found:
        # the state is written last, so a checkpoint that has it, in one piece, has everything else
        try:
            json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(checkpoint, ignore_errors=True)
            continue
        return checkpoint
    return None
