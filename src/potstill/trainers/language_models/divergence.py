"""The divergence between teacher and student, and the factor that makes up for the temperature.

Shapes: N target tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from potstill.errors import Problem

if TYPE_CHECKING:
    from torch import Tensor

Name = Literal[
    "forward_kl",
    "reverse_kl",
    "jensen_shannon",
    "skew_kl",
    "skew_reverse_kl",
    "total_variation",
    "mean_squared_error",
    "uld",
]
"""A divergence over the whole vocabulary; `uld` is the one for two different vocabularies."""
BETA = 0.5
"""Where `jensen_shannon` lies between forward KL and reverse KL."""
SKEW = 0.1
"""How much of its own distribution `skew_kl` mixes into the other's; best of those that its paper tried."""


@dataclass(frozen=True)
class Divergence:
    """A divergence of a student's distribution from its teacher's."""

    name: Name = "forward_kl"
    """Its name."""
    beta: float = BETA
    """Of `jensen_shannon`, from 0 to 1."""
    skew: float = SKEW
    """Of `skew_kl` and `skew_reverse_kl`, from 0 to below 1."""

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        """Return the divergence [N] of softened distributions from logits [N, V]; the gradient shrinks as they do."""
        from potstill.trainers import losses

        match self.name:
            case "forward_kl":
                return losses.forward_kl(student_logits, teacher_logits, temperature)
            case "reverse_kl":
                return losses.reverse_kl(student_logits, teacher_logits, temperature)
            case "jensen_shannon":
                return losses.jensen_shannon(student_logits, teacher_logits, temperature, self.beta)
            case "skew_kl":
                return losses.skew_kl(student_logits, teacher_logits, temperature, self.skew)
            case "skew_reverse_kl":
                return losses.skew_reverse_kl(student_logits, teacher_logits, temperature, self.skew)
            case "total_variation":
                return losses.total_variation(student_logits, teacher_logits, temperature)
            case "mean_squared_error":
                return losses.mean_squared_error(student_logits, teacher_logits)
            case "uld":
                return losses.uld(student_logits, teacher_logits, temperature)

    def factor(self, temperature: float) -> float:
        """Return what to multiply by, so that the gradient keeps its scale whatever the temperature.

        A divergence that is quadratic where both are close has a gradient that shrinks as 1 / temperature^2: one
        temperature from softening the student, one as softened distributions come closer (Hinton et al. 2015, arXiv
        1503.02531, section 2). Total variation and ULD, absolute differences, aren't quadratic, so only the first
        applies; and logits themselves aren't softened.
        """
        power = {"total_variation": 1, "uld": 1, "mean_squared_error": 0}.get(self.name, 2)
        return float(temperature**power)

    @property
    def one_vocabulary(self) -> bool:
        """Whether it compares token by token, so that both models must number them alike."""
        return self.name != "uld"

    @property
    def kernel_beta(self) -> float | None:
        """What trl's kernel, which knows forward KL, reverse KL and those between, calls this one, or None."""
        return {"forward_kl": 0.0, "reverse_kl": 1.0, "jensen_shannon": self.beta}.get(self.name)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        own = {"beta": self.beta} if self.name == "jensen_shannon" else {}
        return {"divergence": self.name, **own, **({"skew": self.skew} if self.name.startswith("skew") else {})}

    def problems(self, temperature: float) -> Iterator[Problem]:
        """Yield which parameters have no effect on this divergence."""
        if self.beta != BETA and self.name != "jensen_shannon":
            yield Problem("", "beta", f'is {self.beta:g}, but {self.name} has none: set divergence="jensen_shannon"')
        if self.skew != SKEW and not self.name.startswith("skew"):
            yield Problem("", "skew", f'is {self.skew:g}, but {self.name} has none: set divergence="skew_kl"')
        if temperature != 1 and self.name == "mean_squared_error":
            yield Problem(
                "",
                "temperature",
                f"is {temperature:g}, but mean_squared_error compares logits as they are: set 1",
            )
