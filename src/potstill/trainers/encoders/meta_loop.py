"""The loop of meta pseudo-labels: teacher and student take turns, and a killed run resumes from its checkpoint."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from potstill.errors import PotstillError
from potstill.trainers.loop.examples import Example, Examples, LengthBatches
from potstill.trainers.loop.schedule import CURVE_POINTS, SCHEDULERS, WSD_DECAY, Reading, Schedule
from potstill.trainers.losses import cross_entropy
from potstill.trainers.losses.meta_feedback import Baseline, draw, feedback

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context

FILE = "meta.pt"
"""Where in the work folder the last checkpoint lies."""
Part = dict[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """The hyperparameters of both models."""

    schedule: Schedule
    """The student's: epochs of the unlabelled rows, and labelled rows a step."""
    teacher_rate: float
    """The teacher's peak learning rate."""
    unlabelled: int
    """Unlabelled rows a step."""
    alpha: float
    """Weight of the sampled labels in the student's loss; the labelled rows have 1 - alpha."""
    temperature: float
    """Softens the distribution from which labels are sampled."""
    weight: float
    """Of the feedback in the teacher's gradient."""

    def steps(self, unlabelled: int) -> int:
        """Return the number of steps for so many unlabelled rows."""
        return math.ceil(self.schedule.epochs * -(-unlabelled // self.unlabelled))


class Endless:
    """Batches by the number of the step, epoch after epoch."""

    def __init__(self, examples: Examples, batch_size: int, seed: int) -> None:
        """Cut `examples` into batches."""
        self._examples = examples
        self._sampler = LengthBatches(examples.lengths(), batch_size, seed)
        self._order: tuple[int, list[list[int]]] = (-1, [])

    def __call__(self, step: int) -> list[Example]:
        """Return the rows of a step."""
        epoch, place = divmod(step, len(self._sampler))
        if self._order[0] != epoch:
            self._sampler.set_epoch(epoch)
            self._order = (epoch, list(self._sampler))
        return [self._examples[number] for number in self._order[1][place]]


@dataclass
class Learner:
    """A model with its optimizer."""

    model: Any
    """The model."""
    optimizer: Any
    """Of all its weights."""
    scheduler: Any
    """Of the learning rate."""
    clip: float
    """Norm of the gradient to which larger ones are clipped."""

    def __post_init__(self) -> None:
        """List the trainable weights."""
        self.weights: list[Tensor] = [weight for weight in self.model.parameters() if weight.requires_grad]

    def taken(self) -> list[Tensor]:
        """Return the gradients, and reset them."""
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in self.weights]
        self.optimizer.zero_grad(set_to_none=True)
        return gradients

    def step(self) -> None:
        """Take a step along the gradients, and reset them."""
        torch.nn.utils.clip_grad_norm_(self.weights, self.clip)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        parts = (self.model, self.optimizer, self.scheduler)
        return dict(zip(("model", "optimizer", "scheduler"), (part.state_dict() for part in parts), strict=True))

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


@dataclass
class MetaLoop:
    """Pham et al. 2020 (arXiv 2003.10580), algorithm 1 of appendix A, without its augmentation loss."""

    student: Learner
    teacher: Learner
    labelled: Endless
    unlabelled: Endless
    reading: Reading
    plan: Plan
    context: Context
    sample: Callable[[Tensor, float], Tensor] = draw
    baseline: Baseline = field(default_factory=Baseline)
    curve: list[dict[str, float]] = field(default_factory=list)

    def run(self, steps: int) -> None:
        """Take all `steps`, from the last checkpoint if there is one."""
        every = max(1, steps // CURVE_POINTS)
        for step in range(self._resume(), steps):
            figures = self.step(self._parts(self.labelled(step)), self._parts(self.unlabelled(step)))
            if not all(math.isfinite(value) for value in figures.values()):
                raise PotstillError(
                    f"the losses became {figures} at step {step + 1}: lower the learning_rate "
                    f"({self.plan.schedule.learning_rate:g} now) or the teacher's ({self.plan.teacher_rate:g})"
                )
            if (step + 1) % every == 0 or step + 1 == steps:
                self.curve.append({"step": step + 1, **figures})
            if (step + 1) % self.plan.schedule.checkpoint_every == 0 or step + 1 == steps:
                self._save(step + 1, steps)
            self.context.progress(step + 1, steps, note=f"teacher and student, loss {figures['student']:.4f}")

    def step(self, labelled: Sequence[Part], unlabelled: Sequence[Part]) -> dict[str, float]:
        """Train both for a step; return their losses and the feedback."""
        # kept until the feedback is known: the gradient of the teacher's loss on the labels it has sampled
        self.teacher.model.train()
        teacher_drawn = self._backward(self.teacher, unlabelled, drawing=True)
        drawn = self.teacher.taken()
        before = [weight.detach().clone() for weight in self.student.weights]
        self.student.model.train()
        loss = self._backward(self.student, unlabelled, self.plan.alpha)
        if self.plan.alpha < 1:
            loss += self._backward(self.student, labelled, 1 - self.plan.alpha)
        self.student.step()
        # without dropout: the feedback is of the weights after the step, not of a random subnetwork
        self.student.model.eval()
        labelled_loss = self._backward(self.student, labelled)
        # h of the paper, see `feedback`; `taken` resets the gradient, so that no step uses it
        h = float(feedback(before, [weight.detach() for weight in self.student.weights], self.student.taken()))
        advantage = self.plan.weight * self.baseline.advantage(h)
        # the teacher's gradient: that of the labelled loss, plus the advantage times that of the sampled labels
        supervised = self._backward(self.teacher, labelled)
        for weight, gradient in zip(self.teacher.weights, drawn, strict=True):
            weight.grad = gradient * advantage if weight.grad is None else weight.grad + gradient * advantage
        self.teacher.step()
        return {
            "student": loss,
            "student_labelled": labelled_loss,
            "teacher": supervised,
            "teacher_drawn": teacher_drawn,
            "feedback": h,
        }

    def _backward(
        self, learner: Learner, parts: Sequence[Part], weight: float = 1.0, *, drawing: bool = False
    ) -> float:
        """Add the gradient of a batch's mean cross-entropy; with `drawing` the model first samples its labels."""
        count, total = sum(len(part["labels"]) for part in parts), 0.0
        for part in parts:
            device = part["input_ids"].device
            with torch.autocast(device.type, torch.bfloat16, enabled=self.plan.schedule.bf16):
                logits = self.reading.logits(learner.model, part)
            if drawing:
                # into the batch itself: the student learns the same labels after it
                part["labels"] = self.sample(logits, self.plan.temperature)
            # divided by the rows of the whole batch: micro-batches add up to its mean
            loss = weight * cross_entropy(logits, part["labels"]).sum() / count
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def _parts(self, examples: Sequence[Example]) -> list[Part]:
        """Return rows as micro-batches on the models' device."""
        device = self.student.weights[0].device
        split = self.reading.parts(examples, self.plan.schedule.budget)
        return [{name: tensor.to(device) for name, tensor in part.items()} for part in split]

    def _save(self, step: int, steps: int) -> None:
        """Replace the checkpoint; after the last step it holds the student's weights only."""
        state: dict[str, Any] = {"step": step, "curve": self.curve}
        if step < steps:
            state |= {
                "student": self.student.state(),
                "teacher": self.teacher.state(),
                "baseline": self.baseline.value,
                "random": [torch.get_rng_state(), *torch.cuda.get_rng_state_all()],
            }
        else:
            state["weights"] = self.student.model.state_dict()
        path = self.context.work / FILE
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)  # noqa: PTH105 - one atomic rename: a kill leaves the old checkpoint or the new

    def _resume(self) -> int:
        """Restore the checkpoint, if there is one; return the number of steps done."""
        path = self.context.work / FILE
        if not path.exists():
            return 0
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.curve = list(state["curve"])
        if "weights" in state:
            self.student.model.load_state_dict(state["weights"])
        else:
            self.student.restore(state["student"])
            self.teacher.restore(state["teacher"])
            self.baseline = Baseline(state["baseline"])
            torch.set_rng_state(state["random"][0])
            torch.cuda.set_rng_state_all(state["random"][1:])
        self.context.logger.info("resuming after step %d", state["step"])
        return int(state["step"])


def learner(model: PretrainedModel, rate: float, schedule: Schedule, steps: int) -> Learner:
    """Return `model` on its device, with AdamW at a peak learning rate of `rate`."""
    from transformers import get_scheduler

    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    if schedule.gradient_checkpointing:
        checkpointed: Any = model
        checkpointed.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    # no weight decay of biases and norms
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": schedule.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, fused=True)
    fall = {"num_decay_steps": max(1, math.ceil(WSD_DECAY * steps)), "decay_type": "1-sqrt"}
    scheduler = get_scheduler(
        SCHEDULERS[schedule.decay],
        optimizer,
        num_warmup_steps=math.ceil(schedule.warmup * steps),
        num_training_steps=steps,
        scheduler_specific_kwargs=fall if schedule.decay == "wsd" else None,
    )
    return Learner(model, optimizer, scheduler, schedule.clip)
