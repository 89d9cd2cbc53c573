"""Instructions without seeds: an aligned model writes the user's turn itself (Xu et al. 2024, "Magpie", section 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Interval

from potstill.engine.encoding import digest
from potstill.engine.step import Estimate
from potstill.errors import BadInput, PotstillError, Problem
from potstill.prompts import Template, rendered
from potstill.steps.generation.base import AskingStep
from potstill.steps.instructions.rules import Rules
from potstill.teachers.cache.parse_retry import Question, Tries, as_text, asked
from potstill.teachers.cache.response_cache import Asker, as_teacher, lose_error, request_seed
from potstill.teachers.protocol import Request, Response, Sampling, with_system

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.steps.instructions.pool import Pool
    from potstill.teachers.protocol import TeacherSource

TOGETHER = 1024
"""Instructions asked for side by side at most."""
MARK = "the-turn-starts-here"
"""Marker in place of the user's words, at which the rendered chat is cut."""


class Magpie(AskingStep):
    """Has an aligned teacher write what users ask, and answer it.

    The teacher, a chat model and not a base model, is given its own chat template up to where the user's words start,
    so it goes on with some user's words. All draws are from this one prompt, each with a seed of its own, so a larger
    `target` asks only for what is new.

        >>> pairs = Magpie(teacher=VLLM("Qwen/Qwen3-8B"), target=1000)
        >>> pairs.estimate({}).calls
        2000
    """

    _: KW_ONLY
    target: Annotated[int, Ge(1)]
    """Pairs wanted."""
    system: str = ""
    """System prompt of the user's turn, after the teacher's own: names a subject, if one is wanted (section 2.3)."""
    prefix: str | None = None
    """What stands before the user's words; None is cut out of the chat template in the teacher's folder."""
    prompt: Template = "answer.jinja"
    """Has an instruction answered."""
    temperature: Annotated[float, Ge(0)] = 1.0
    """Of the instructions (section 2.1); the answers are greedy."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Nucleus mass of the instructions (section 2.1)."""
    novelty: Annotated[float, Interval(ge=0, le=1)] = 0.7
    """ROUGE-L F to an earlier instruction above which one is not new."""
    min_words: Annotated[int, Ge(1)] = 2
    """Fewest words of an instruction."""
    max_words: Annotated[int, Ge(1)] = 500
    """Most words of an instruction."""
    stop: tuple[str, ...] = ()
    """Texts that end an instruction, besides the end of the turn."""
    max_tokens: Annotated[int, Ge(1)] = 2048
    """Longest instruction, and longest answer; those that are cut are dropped."""
    max_tries: Annotated[int, Ge(1)] = 1
    """Times an answer that is cut is asked for."""
    patience: Annotated[int, Ge(1)] = 500
    """Instructions in a row that may be dropped before the step gives up."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.05
    """Share of the pairs that may be lost."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher."""
        yield from super().check()
        if self.prefix is None and hasattr(self.teacher, "open") and not _has_folder(self.teacher):
            text = (
                "must be given: the chat template of this teacher can't be read here, for example '<|im_start|>user\\n'"
            )
            yield Problem("", "prefix", text)
        if self.temperature == 0 and self.target > 1:
            yield Problem("", "temperature", f"must be above 0, or all {self.target} instructions are the same")

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns made."""
        return frozenset({"id", "instruction", "output", "finish_reason"})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that every draw is kept."""
        return Estimate(self.target, 2 * self.target, 2 * self.target * self.max_tokens)

    def run(self, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield pairs as they are finished.

        Raises:
            PotstillError: what the teacher writes is not new any more.
        """
        from potstill.steps.instructions.pool import Pool

        # a user's words may begin with anything and ask for anything
        rules = Rules(self.min_words, self.max_words, (), (), plain_start=False)
        pool = Pool(rules, self.novelty, context)
        prefix = user_prefix(teacher, self.system) if self.prefix is None else self.prefix
        drawn, finished, fruitful = 0, 0, 0
        with Asker(as_teacher(teacher), context, reports=False) as asker:
            while finished < self.target:
                draws = range(drawn, drawn + min(self.target - finished, TOGETHER))
                # draws are numbered through, each its own seed: a larger target continues where this one ended
                drawn = draws.stop
                texts = list(self._written(draws, prefix, pool, asker))
                fruitful = drawn if texts else fruitful
                for row in self._answered(texts, asker, context):
                    finished += 1
                    yield row
                context.progress(finished, self.target, tokens=asker.usage["completion_tokens"])
                if drawn - fruitful >= self.patience:
                    raise PotstillError(self._given_up(finished, drawn, prefix, pool))

    def _written(self, draws: range, prefix: str, pool: Pool, asker: Asker) -> Iterator[str]:
        """Yield the instructions of some draws that are good and new."""
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, self.stop)
        requests = [(draw, Request([], sampling, request_seed(self.seed, draw), raw=prefix)) for draw in draws]
        for draw, response in asker.ask(requests):
            text = self._read(response, f"draw {draw}", pool.context)
            if text and pool.accept(text, f"draw {draw}"):
                yield text

    def _read(self, response: Response, name: str, context: Context) -> str:
        """Return the instruction in a response, or an empty string."""
        text = response.text.strip()
        if response.finish_reason == "error":
            lose_error(context, name, response)
        elif response.finish_reason == "length":
            context.ledger.lose(name, "filtered", "cut at max_tokens", text)
        elif not text:
            context.ledger.lose(name, "filtered", "empty")
        return text if response.finish_reason == "stop" else ""

    def _answered(self, texts: list[str], asker: Asker, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows of instructions that the teacher answers."""
        tries = Tries(Sampling(max_tokens=self.max_tokens), self.max_tries, self.seed)
        questions = (Question(text, _name(text), (rendered(self.prompt, {"instruction": text}),)) for text in texts)
        for text, (answer,) in asked(asker, questions, as_text, tries, context):
            context.ledger.keep()
            row = {"id": _name(text), "instruction": text, "output": answer.text}
            yield {**row, "finish_reason": answer.finish_reason}

    def _given_up(self, finished: int, drawn: int, prefix: str, pool: Pool) -> str:
        """Return why the step stops short of its target."""
        return (
            f"the teacher writes nothing new any more: {finished} of {self.target} pairs after {drawn} draws; "
            f"dropped: {pool.reasons()}. Lower target, raise novelty or temperature, or check the prefix "
            f"{prefix[-200:]!r}"
        )


def user_prefix(teacher: TeacherSource, system: str = "") -> str:
    """Return the chat template of a teacher's model, cut where the user's words start.

    Raises:
        BadInput: the model has no chat template, or one that drops the user's words.
    """
    from transformers import AutoTokenizer

    from potstill.models.chat import check_tokenizer
    from potstill.models.identity import model_identity

    model = str(getattr(teacher, "model", teacher))
    tokenizer = AutoTokenizer.from_pretrained(model, revision=model_identity(model).get("commit"))
    check_tokenizer(tokenizer)
    chat = with_system(getattr(teacher, "system", ""), with_system(system, [{"role": "user", "content": MARK}]))
    before, marker, _ = str(tokenizer.apply_chat_template(chat, tokenize=False)).partition(MARK)
    if not marker:
        raise BadInput(Problem("", "prefix", f"the chat template of {model} drops the user's words: give the prefix"))
    return before


def _has_folder(teacher: object) -> bool:
    """Return whether the model of a teacher is at hand, not behind an address."""
    return hasattr(teacher, "model") and not hasattr(teacher, "base_url")


def _name(text: str) -> str:
    """Return the id of an instruction."""
    return f"magpie-{digest(text)[:16]}"
