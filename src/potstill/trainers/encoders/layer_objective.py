"""The objective of a student that learns from its teacher's layers: up to five parts, with a value for each target.

A target is a row to classify, or a masked token. Parts that compare tokens are means over a row's tokens, which each
target of the row gets: so neither padding nor the split of a batch changes them.

Shapes: B rows, T tokens, N targets, P tokens that are no padding, C classes or vocabulary, H hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from potstill.trainers import losses
from potstill.trainers.encoders.layer_map import Pairs
from potstill.trainers.encoders.text_batches import label_loss
from potstill.trainers.loop.objective import Losses

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelOutput


@dataclass(frozen=True)
class Seen:
    """A micro-batch after the student's forward pass."""

    inputs: Mapping[str, Tensor]
    """`input_ids` and `attention_mask` [B, T], as the teacher reads them too."""
    output: Any
    """The model's output, with hidden states and attention maps if they are compared."""
    logits: Tensor
    """[N, C] of the targets."""
    labels: Tensor
    """[N]; -1 where there is none."""
    rows: Tensor
    """[N] the row of each target."""
    places: Tensor
    """[N] the position of each target in its row, where it has one."""

    @property
    def present(self) -> Tensor:
        """Return [B, T] which tokens are no padding."""
        return self.inputs["attention_mask"].bool()


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of the loss."""

    alpha: float
    """The teacher's distribution, times temperature^2; the labels' cross-entropy has 1 - alpha."""
    temperature: float
    """Softens both distributions."""
    cosine: float
    """Cosine loss of the last hidden states."""
    hidden: float
    """Distance of the hidden states of paired layers."""
    attention: float
    """Distance of the attention maps of paired layers."""
    match: Literal["all", "first"]
    """Whether hidden states are compared at all tokens, or, as unit vectors, at the first."""

    def wanted(self) -> dict[str, bool]:
        """Return the arguments by which models return hidden states and attention maps."""
        return {
            "output_hidden_states": bool(self.cosine or self.hidden),
            "output_attentions": bool(self.attention),
        }


@dataclass(frozen=True)
class LayerObjective:
    """The weighted sum of the parts that have a weight."""

    weights: Weights
    """Weights of the parts."""
    pairs: Pairs
    """Layers that are compared."""
    teacher: Callable[[Mapping[str, Tensor]], Any]
    """Returns the teacher's output for inputs."""
    targets: Callable[[Any, Seen], Tensor]
    """Returns the logits [N, C] of the targets in the teacher's output."""
    project: Callable[[Tensor], Tensor] = lambda states: states
    """Maps the student's hidden states to the teacher's size."""

    def __call__(self, logits: Any, batch: Mapping[str, Tensor]) -> Losses:
        """Return the parts [N] of the loss; `logits` is a `Seen`."""
        seen: Seen = logits
        weights, teacher_output = self.weights, self.teacher(seen.inputs)
        teacher_logits = self.targets(teacher_output, seen)
        parts: dict[str, Tensor] = {}
        if weights.alpha < 1:
            parts["hard"] = (1 - weights.alpha) * label_loss(seen.logits, seen.labels)
        if weights.alpha:
            soft = losses.forward_kl(seen.logits, teacher_logits, weights.temperature)
            parts["soft"] = weights.alpha * weights.temperature**2 * soft
        for name, weight, part in (
            ("cosine", weights.cosine, self._cosine),
            ("hidden", weights.hidden, self._hidden),
            ("attention", weights.attention, self._attention),
        ):
            if weight:
                # each target of a row gets the row's mean
                parts[name] = weight * part(seen, teacher_output)[seen.rows]
        return Losses(parts, {"agreement": losses.agreement(seen.logits.detach(), teacher_logits.argmax(dim=-1))})

    def _cosine(self, seen: Seen, teacher_output: ModelOutput) -> Tensor:
        """Return [B] 1 - cosine of the last hidden states: Sanh et al. 2019, arXiv 1910.01108, section 2."""
        present = seen.present
        states = self.project(seen.output.hidden_states[-1][present])
        return row_means(losses.cosine(states, teacher_output.hidden_states[-1][present]), present)

    def _hidden(self, seen: Seen, teacher_output: ModelOutput) -> Tensor:
        """Return [B] the mean over the pairs of the distance of hidden states."""
        compare = self._all if self.weights.match == "all" else self._first
        # hidden_states[0] are the embeddings: the output of layer i is at i + 1
        each = [
            compare(seen.output.hidden_states[layer + 1], teacher_output.hidden_states[teacher_layer + 1], seen.present)
            for layer, teacher_layer in self.pairs
        ]
        return torch.stack(each).mean(dim=0)

    def _all(self, student: Tensor, teacher: Tensor, present: Tensor) -> Tensor:
        """Return [B] the mean squared error: Jiao et al. 2020, TinyBERT, arXiv 1909.10351, section 3.1."""
        return row_means(losses.mean_squared_error(self.project(student[present]), teacher[present]), present)

    def _first(self, student: Tensor, teacher: Tensor, present: Tensor) -> Tensor:
        """Return [B] the squared distance of unit vectors at the first token: Sun et al. 2019, arXiv 1908.09355."""
        unit = torch.nn.functional.normalize
        apart = unit(self.project(student[:, 0]).float(), dim=-1) - unit(teacher[:, 0].float(), dim=-1)
        return apart.square().sum(dim=-1)

    def _attention(self, seen: Seen, teacher_output: ModelOutput) -> Tensor:
        """Return [B] the mean over the pairs of the distance of attention maps."""
        present = seen.present
        student_maps, teacher_maps = seen.output.attentions, teacher_output.attentions
        each = [
            row_means(losses.attention_match(student_maps[layer], teacher_maps[teacher_layer], present), present)
            for layer, teacher_layer in self.pairs
        ]
        return torch.stack(each).mean(dim=0)


def row_means(values: Tensor, present: Tensor) -> Tensor:
    """Return the mean [B] of each row's values; `values` [P] are those of the positions in `present` [B, T].

    >>> row_means(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([[True, True], [True, False]])).tolist()
    [2.0, 5.0]
    """
    spread = values.new_zeros(present.shape).masked_scatter(present, values)
    return spread.sum(dim=1) / present.sum(dim=1)
