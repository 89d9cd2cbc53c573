"""Labels written by a teacher, and in the same pass the distributions that they were drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.errors import PotstillError, Problem
from potstill.generate import Asker, as_teacher, lose_error, place, request_seed, teacher_problems
from potstill.prompts import Template, environment, render, template_text
from potstill.step import Estimate, Model, Rows, Step
from potstill.teachers.protocol import Request, Response, Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context

ENOUGH_MASS = 0.98
"""Mean captured probability below which K is too small to stand for the distribution."""
SOFT_COLUMNS = ("teacher_token_ids", "teacher_top_ids", "teacher_top_logprobs")


class PseudoLabel(Step):
    """Has the teacher answer every row: `output`, `finish_reason`, and with `top_k` the soft labels.

    An answer that was cut is not a label: the row is lost.
    """

    rows: Rows
    """What is to be answered."""
    _: KW_ONLY
    teacher: Model
    """Who answers."""
    prompt: Template = "answer.jinja"
    """Turns a row into a chat; students must get the same."""
    top_k: Annotated[int, Ge(0)] = 0
    """Log-probabilities kept a token; 32 to 64 hold nearly all the mass of a trained model, 0 keeps none."""
    temperature: Annotated[float, Ge(0)] = 0.0
    """0 takes the most probable answer; with `top_k` only 0 and 1 are allowed."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 256
    """Longest answer."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows that may be lost."""
    seed: int = 0
    """Of the sampling; the same row with the same seed gets the same answer."""

    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers", "vllm")

    def __post_init__(self) -> None:
        """Choose where the step runs."""
        place(self, self.teacher)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the sampling."""
        yield from teacher_problems(self.teacher, top_k=self.top_k)
        if self.top_k and (self.temperature not in (0, 1) or self.top_p != 1 or self.stop):
            what = f"temperature={self.temperature:g}, top_p={self.top_p:g}, stop={list(self.stop)}"
            yield Problem(
                "",
                "top_k",
                f"top_k={self.top_k} goes with greedy decoding or plain sampling at temperature 1, got {what}: the "
                "log-probabilities kept are those of temperature 1, and those of another temperature or of a nucleus "
                "can't be made from them, because the mass of the tokens left out is unknown token by token. Set "
                "temperature to 0 or 1, top_p to 1 and no stop, or top_k to 0",
            )

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the variables of the prompt template."""
        return {"rows": required_variables(self.prompt)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones."""
        rows = inputs.get("rows")
        new = ("output", "finish_reason", *(SOFT_COLUMNS if self.top_k else ()))
        return None if rows is None else rows | set(new)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length: an upper bound."""
        count = rows.get("rows")
        if count is None:
            return Estimate()
        disk = count * self.max_tokens * (4 + 8 * self.top_k)
        return Estimate(count, count, count * 2 * self.max_tokens, disk)

    def run(self, rows: Dataset, teacher: Any, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the labelled rows in order."""
        mass = Mass()
        with Asker(as_teacher(teacher), context) as asker:
            for (name, row), response in asker.ask(self._requests(rows), len(rows)):
                if response.finish_reason == "error":
                    lose_error(context, name, response)
                elif response.finish_reason == "length":
                    context.ledger.lose(name, "permanent", "cut at max_tokens", f"max_tokens={self.max_tokens}")
                else:
                    context.ledger.keep()
                    yield {**row, **self._labels(response, mass)}
        if self.top_k:
            mass.report(self.top_k, context)

    def _requests(self, rows: Dataset) -> Iterator[tuple[tuple[str, dict[str, Any]], Request]]:
        """Yield ((row id, row), request) for each row."""
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, self.stop, self.top_k)
        for number, row in enumerate(rows):
            messages = render(self.prompt, row)
            seed = request_seed(self.seed, messages) if self.temperature > 0 else 0
            yield (str(row.get("id", number)), row), Request(messages, sampling, seed)

    def _labels(self, response: Response, mass: Mass) -> dict[str, Any]:
        """Return the new columns of a row."""
        hard = {"output": response.text, "finish_reason": response.finish_reason}
        if not self.top_k:
            return hard
        if response.token_ids is None or response.top_ids is None or response.top_logprobs is None:
            raise PotstillError(f"the teacher gave no log-probabilities: it can't be used with top_k={self.top_k}")
        logprobs = response.top_logprobs.astype("float32")
        mass.add(logprobs)
        return {
            **hard,
            "teacher_token_ids": response.token_ids,
            "teacher_top_ids": list(response.top_ids),
            "teacher_top_logprobs": list(logprobs),
        }


@dataclass
class Mass:
    """The probability that the kept entries hold, over all tokens."""

    total: float = 0.0
    tokens: int = 0

    def add(self, logprobs: Any) -> None:
        """Add the tokens of a response, [T, K]."""
        import numpy as np

        self.total += float(np.exp(logprobs.astype(np.float64)).sum(axis=1).clip(max=1.0).sum())
        self.tokens += len(logprobs)

    def report(self, top_k: int, context: Context) -> None:
        """Note the mean, and warn when it is low."""
        if not self.tokens:
            return
        mean = self.total / self.tokens
        context.notes["captured_mass"] = round(mean, 6)
        if mean < ENOUGH_MASS:
            text = (
                f"top_k={top_k} captures {mean:.3f} of the teacher's probability, less than {ENOUGH_MASS}: "
                "soft labels will be blurred; raise top_k"
            )
            context.notes.setdefault("warnings", []).append(text)
            context.logger.warning(text)


def required_variables(template: str) -> tuple[str, ...]:
    """Return the variables that a template can't do without: those it never tests with `is defined`."""
    from jinja2 import TemplateSyntaxError, meta, nodes

    try:
        tree = environment().parse(template_text(template))
    except TemplateSyntaxError:
        return ()  # the template itself is checked where it is rendered
    optional = {
        test.node.name
        for test in tree.find_all(nodes.Test)
        if test.name == "defined" and isinstance(test.node, nodes.Name)
    }
    return tuple(sorted(meta.find_undeclared_variables(tree) - optional))
