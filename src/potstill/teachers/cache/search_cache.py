"""Outputs of a search for many prompts, each paid for once: by a model of transformers, or by a teacher."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.engine.encoding import digest
from potstill.models.chat import Messages
from potstill.models.identity import corrections_of, folder_of, model_identity
from potstill.teachers.cache.response_cache import Asker, lose_error, request_seed
from potstill.teachers.protocol import Request, Response, Sampling
from potstill.teachers.search import Decoder, Hypothesis, Search
from potstill.text.reasoning import split_reasoning

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.teachers.protocol import Teacher

NAMESPACE = "decoded"
"""Where the store's journal keeps what models write."""
POOL = 16
"""Batches whose prompts are sorted by length together."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """What is to be answered."""

    name: str
    """Of the row, in the ledger."""
    row: Mapping[str, Any]
    """The row."""
    messages: Messages
    """Its prompt."""

    def seeds(self, search: Search, seed: int) -> list[int]:
        """Return the seed of each time that is written to it; a search that draws nothing has none."""
        if search.method != "best_of":
            return [0]
        return [request_seed(seed, self.messages, draw) for draw in range(search.samples)]


Found = Iterator[tuple[Prompt, list[Hypothesis]]]
"""Prompts in order, with what was written to each, the best first; those that failed went to the ledger."""


def searched(
    model: ModelSource,
    prompts: Iterable[Prompt],
    search: Search,
    seed: int,
    dtype: str,
    batch_size: int,
    context: Context,
) -> Found:
    """Let a model write by transformers."""
    writer = Writer(folder_of(model), search, dtype, batch_size, context)
    source = iter(prompts)
    while pool := list(itertools.islice(source, POOL * batch_size)):
        jobs = [[Job(writer.key(prompt, own), prompt, own) for own in prompt.seeds(search, seed)] for prompt in pool]
        outputs = writer.outputs([job for own in jobs for job in own])
        for prompt, own in zip(pool, jobs, strict=True):
            refusal = writer.refusals.get(own[0].key)
            if refusal:
                context.ledger.lose(prompt.name, "permanent", "too long for the model", refusal)
            else:
                yield prompt, search.ranked([output for job in own for output in outputs[job.key]])


@dataclass(frozen=True)
class Job:
    """One time that a prompt is written to."""

    key: str
    """Of what is written, in the journal."""
    prompt: Prompt
    """The prompt."""
    seed: int
    """Of the drawing."""


class Writer:
    """Writes what the journal lacks, batch by batch; the model is loaded when there is something to write."""

    def __init__(self, folder: Path, search: Search, dtype: str, batch_size: int, context: Context) -> None:
        """Search with the model in `folder`."""
        self._folder = folder
        self._search = search
        self._dtype = dtype
        self._batch_size = batch_size
        self._context = context
        self._journal = context.store_journal.scoped(NAMESPACE)
        # what was written before without the bound on attention is another model's
        bound = corrections_of(folder).get("attention")
        self._identity = [model_identity(folder), dtype, search.identity(), *([bound] if bound else [])]
        self.refusals: dict[str, str] = {}
        self._usage = context.notes.setdefault("usage", {"calls": 0, "cached": 0, "completion_tokens": 0})

    def key(self, prompt: Prompt, seed: int) -> str:
        """Return the key of what is written to `prompt`."""
        return digest([*self._identity, prompt.messages, seed])

    @cached_property
    def _decoder(self) -> Decoder:
        """Return the model, loaded."""
        return Decoder(self._folder, self._dtype, self._context.threads)

    def outputs(self, jobs: Sequence[Job]) -> dict[str, list[Hypothesis]]:
        """Return what is written, by key; `refusals` gets why, where a prompt can't be answered."""
        cached = self._journal.get_many({job.key for job in jobs})
        result = {key: [Hypothesis(**output) for output in outputs] for key, outputs in cached.items()}
        self._usage["cached"] += len(result)
        missing = {job.key: job for job in jobs if job.key not in result}
        tokens = {key: ids for key, job in missing.items() if (ids := self._ids(job))}
        order = sorted(tokens, key=lambda key: len(tokens[key]), reverse=True)
        for batch in (order[first : first + self._batch_size] for first in range(0, len(order), self._batch_size)):
            written = self._decoder.write(
                [tokens[key] for key in batch], self._search, [missing[k].seed for k in batch]
            )
            self._keep(dict(zip(batch, written, strict=True)))
            result |= zip(batch, written, strict=True)
        return {key: [without_thoughts(output) for output in outputs] for key, outputs in result.items()}

    def _ids(self, job: Job) -> list[int]:
        """Return the tokens of a prompt, or none if it can't be answered."""
        from potstill.prompts.values import UnfitRow

        try:
            ids = self._decoder.ids(job.prompt.messages)
        except UnfitRow as unfit:
            self.refusals[job.key] = unfit.reason
            return []
        refusal = self._decoder.refusal(ids, self._search.max_tokens)
        if refusal:
            self.refusals[job.key] = refusal
        return [] if refusal else ids

    def _keep(self, written: Mapping[str, Sequence[Hypothesis]]) -> None:
        """Write a batch to the journal."""
        self._journal.put_many({key: [asdict(output) for output in outputs] for key, outputs in written.items()})
        self._usage["calls"] += len(written)
        self._usage["completion_tokens"] += sum(output.tokens for outputs in written.values() for output in outputs)


def asked(teacher: Teacher, prompts: Iterable[Prompt], search: Search, seed: int, context: Context) -> Found:
    """Have a teacher write, greedily or several times to rank by log-probability."""
    drawn = search.method == "best_of"
    # a token's own log-probability comes with the most probable one's
    sampling = Sampling(search.temperature if drawn else 0.0, max_tokens=search.max_tokens, top_k=int(drawn))

    def requests() -> Iterator[tuple[tuple[Prompt, int], Request]]:
        for prompt in prompts:
            for number, own in enumerate(prompt.seeds(search, seed)):
                yield (prompt, number), Request(prompt.messages, sampling, own)

    with Asker(teacher, context) as asker:
        failed, outputs = None, []
        for (prompt, number), response in asker.ask(requests()):
            if response.finish_reason == "error":
                failed = response
            else:
                outputs.append(hypothesis(response))
            if number + 1 < search.draws:
                continue
            if failed is None:
                yield prompt, search.ranked(outputs)
            else:
                lose_error(context, prompt.name, failed)
            failed, outputs = None, []


def without_thoughts(output: Hypothesis) -> Hypothesis:
    """Return an output without what the model thought before it; one that is thoughts alone has no end yet."""
    thoughts, answer = split_reasoning(output.text)
    if not thoughts:
        return output
    return replace(output, text=answer, finish_reason=output.finish_reason if answer else "length")


def hypothesis(response: Response) -> Hypothesis:
    """Return a teacher's response as an output."""
    own = response.token_logprobs
    logprob = float("nan") if own is None else float(own.sum(dtype="float64"))
    return Hypothesis(response.text, response.finish_reason, logprob, response.completion_tokens)
