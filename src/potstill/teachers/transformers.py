"""Teachers run by transformers: what works where vLLM is not installed, with the same responses.

Shapes: B requests of a batch, L tokens of the longest, T tokens of a response, V vocabulary, K kept entries.
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from annotated_types import Ge

from potstill.errors import BadInput, MissingExtra, Problem
from potstill.models.edge import Model
from potstill.models.loading import pretrained
from potstill.models.positions import positions_of
from potstill.models.preload import MODEL
from potstill.teachers.chat_tokens import Encoded, Renderer, refused
from potstill.teachers.protocol import Request, Response

if TYPE_CHECKING:
    import torch

    from potstill.teachers.constrained_decoding import Forms
    from potstill.teachers.token_sampling import SequenceState

POOL = 8
"""Batches whose requests are sorted by length together."""
LOGITS = 2**28
"""Most logits that scoring holds at a time: 1 GiB."""

Asked = tuple[int, Request, Encoded]
"""Number of a request, the request, and its tokens."""


@dataclass(frozen=True)
class Transformers:
    """A teacher (or any chat model) run by transformers, for machines without vLLM; several times slower.

    Log-probabilities are those of the temperature-1 distribution, whatever the sampling is; where the response is held
    to a form, of that distribution among the tokens that the form allows. What is drawn depends on the request and its
    seed, not on the batch, up to the rounding of the type that is computed in.
    """

    model: Model
    """A Hub id, a local folder, or a step that makes a model."""
    system: str = field(default="", kw_only=True)
    """System prompt put before every chat; a system message of the prompt template follows it."""
    dtype: str = field(default="auto", kw_only=True)
    """Type to compute in; `auto` is the one that the model's config names."""
    max_model_length: Annotated[int, Ge(1)] | None = field(default=None, kw_only=True)
    """Longest prompt and response together, in tokens; None is what the model's config allows."""
    batch_size: Annotated[int, Ge(1)] = field(default=16, kw_only=True)
    """Requests that are answered side by side."""
    device: str | None = field(default=None, kw_only=True)
    """Where to compute, by torch's name; None is the GPU if there is one."""
    thinking: bool | None = field(default=None, kw_only=True)
    """Whether a model that can think aloud (Qwen3) does so before it answers; None leaves it to its chat template."""
    trust_remote_code: bool = field(default=False, kw_only=True)
    """Whether code from the model's repository may run."""

    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL
    unkeyed: ClassVar[frozenset[str]] = frozenset({"batch_size", "device"})

    @property
    def label(self) -> str:
        """Short name for reports."""
        from potstill.models.card import name_of

        return name_of(str(self.model))

    def identity(self) -> dict[str, Any]:
        """Return what the responses depend on: the model's content, the system prompt, and how it computes."""
        from potstill.models.identity import corrections_of, model_identity

        # answers of before, which were given without the bound on attention, are those of another model
        bound = corrections_of(self.model).get("attention")
        depends: dict[str, Any] = {
            "model": model_identity(self.model),
            "system": self.system,
            "dtype": self.dtype,
            "max_model_length": self.max_model_length,
        }
        chosen: dict[str, Any] = {"thinking": self.thinking} if self.thinking is not None else {}
        chosen |= {"attention": bound} if bound else {}
        return {**depends, **chosen, **({"trust_remote_code": True} if self.trust_remote_code else {})}

    def check(self) -> Iterable[Problem]:
        """Yield what would keep the teacher from starting, without importing anything."""
        for package in ("torch", "transformers"):
            if importlib.util.find_spec(package) is None:
                yield Problem("", "teacher", str(_missing(package)))

    @contextmanager
    def open(self, *, threads: int) -> Iterator[TransformersSession]:
        """Load the model; on exit free its memory.

        Raises:
            MissingExtra: torch or transformers is not installed.
            BadInput: the model can't be loaded, or can't chat.
        """
        try:
            import torch
            import transformers  # noqa: F401
        except ModuleNotFoundError as error:
            raise _missing(error.name or "transformers") from error
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield self._load()
        finally:
            torch.set_num_threads(before)
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _load(self) -> TransformersSession:
        """Load model and tokenizer."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

        from potstill.models.chat import check_tokenizer, end_of_turn
        from potstill.teachers.constrained_decoding import Forms

        name, remote = str(self.model), self.trust_remote_code
        commit = self.identity()["model"].get("commit")
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, revision=commit, trust_remote_code=remote)
        except (ValueError, OSError) as error:
            raise BadInput(f"transformers can't load the tokenizer of {name!r}: {error}") from error
        options = {"revision": commit, "dtype": self.dtype, "trust_remote_code": remote}
        model = pretrained(AutoModelForCausalLM, name, "be a teacher", options)
        check_tokenizer(tokenizer)
        ends = _ends(model.generation_config.eos_token_id) | {tokenizer.eos_token_id, end_of_turn(tokenizer)}
        # the model's own sampling, such as a repetition penalty, would change the distribution
        model.generation_config = GenerationConfig()
        config = model.config.get_text_config()
        limit = self.max_model_length or positions_of(config) or 2**31
        renderer = Renderer(tokenizer, self.system, self.thinking, limit, spare=-1)
        forms = Forms(tokenizer, config.vocab_size, ends)
        model = model.to(device).eval()
        return TransformersSession(model, tokenizer, renderer, self.batch_size, ends, forms, config.vocab_size)


@dataclass
class TransformersSession:
    """A loaded model, which answers batch after batch."""

    model: Any
    """The model."""
    tokenizer: Any
    """Its tokenizer."""
    renderer: Renderer
    """Turns chats into tokens."""
    batch_size: int
    """Requests that are answered side by side."""
    ends: frozenset[int]
    """Tokens that end a response."""
    forms: Forms
    """What responses can be held to."""
    vocabulary: int
    """Tokens that the model knows."""

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        """Yield `(index, response)` batch by batch; of each pool the longest requests come first."""
        source = enumerate(requests)
        while pool := list(itertools.islice(source, POOL * self.batch_size)):
            asked: list[Asked] = []
            encoded = self.renderer.encode([request for _, request in pool])
            for (index, request), prompt in zip(pool, encoded, strict=True):
                if isinstance(prompt, Response):
                    yield index, prompt
                elif request.sampling.top_k > self.vocabulary:
                    yield (
                        index,
                        refused(f"top_k={request.sampling.top_k}, but the model knows {self.vocabulary} tokens"),
                    )
                else:
                    asked.append((index, request, prompt))
            asked.sort(key=lambda one: (one[2].scored > 0, len(one[2].ids)), reverse=True)
            scored = [one for one in asked if one[2].scored]
            yield from self._score(scored)
            yield from self._write(asked[len(scored) :])

    def stream(self, request: Request, show: Callable[[str], None]) -> Response:
        """Return the response, calling `show` with the text so far after each token."""
        (prompt,) = self.renderer.encode([request])
        if isinstance(prompt, Response):
            return prompt
        asked = (0, request, prompt)
        writing = self._start(asked)
        drawing = self._draw([asked], [writing], lambda text: show(prompt.opened + text))
        return cast("Response", drawing.response(writing, prompt))

    def _write(self, asked: list[Asked]) -> Iterator[tuple[int, Response]]:
        """Yield generated responses."""
        ready: list[tuple[Asked, SequenceState]] = []
        for one in asked:
            try:
                ready.append((one, self._start(one)))
            except ValueError as error:
                yield one[0], refused(str(error))
        for first in range(0, len(ready), self.batch_size):
            batch = ready[first : first + self.batch_size]
            drawing = self._draw([one for one, _ in batch], [writing for _, writing in batch])
            for (index, _, encoded), writing in batch:
                yield index, drawing.response(writing, encoded)

    def _start(self, one: Asked) -> SequenceState:
        """Return an empty response."""
        from potstill.teachers.token_sampling import SequenceState

        _, request, encoded = one
        form = request.sampling.structured
        room = self.renderer.limit - len(encoded.ids)
        limit = min(request.sampling.max_tokens, room)
        return SequenceState(request.sampling, limit, request.seed, None if form is None else self.forms.form(form))

    def _draw(
        self, asked: list[Asked], writings: list[SequenceState], show: Callable[[str], None] | None = None
    ) -> Any:
        """Write a batch to its end; return how it was drawn. `show` gets the first text after each token."""
        import torch
        from transformers import GenerationConfig

        from potstill.teachers.token_sampling import Drawing

        drawing = Drawing(writings, self.renderer.decoder, self.ends)

        def done(ids: torch.Tensor, scores: object) -> torch.Tensor:
            if show is not None:
                show(drawing.text(writings[0]))
            return drawing.done(ids, scores)

        longest = max(len(encoded.ids) for _, _, encoded in asked)
        # on the left, so that all responses start at one place; the mask hides it
        padded = [[0] * (longest - len(encoded.ids)) + encoded.ids for _, _, encoded in asked]
        mask = [[0] * (longest - len(encoded.ids)) + [1] * len(encoded.ids) for _, _, encoded in asked]
        self.model.generate(
            torch.tensor(padded, device=self.model.device),
            attention_mask=torch.tensor(mask, device=self.model.device),
            generation_config=GenerationConfig(do_sample=False, max_new_tokens=max(w.limit for w in writings)),
            logits_processor=[drawing.draw],
            stopping_criteria=[done],
        )
        return drawing

    def _score(self, asked: list[Asked]) -> Iterator[tuple[int, Response]]:
        """Yield the scores of texts that are given."""
        while asked:
            # the first is the longest
            count = max(1, min(self.batch_size, LOGITS // (self.vocabulary * len(asked[0][2].ids))))
            yield from self._scores(asked[:count])
            asked = asked[count:]

    def _scores(self, batch: list[Asked]) -> Iterator[tuple[int, Response]]:
        """Yield the scores of one batch, by one pass."""
        import torch

        longest = max(len(encoded.ids) for _, _, encoded in batch)
        # on the right, where a causal model's other positions can't see it
        padded = [encoded.ids + [0] * (longest - len(encoded.ids)) for _, _, encoded in batch]
        if longest > self.renderer.limit:  # by the last token, of which only the score counts
            padded = [ids[:-1] for ids in padded]
        with torch.inference_mode():
            logits = self.model(input_ids=torch.tensor(padded, device=self.model.device), use_cache=False).logits
            for row, (index, request, encoded) in enumerate(batch):
                targets = encoded.ids[-encoded.scored :]
                first = len(encoded.ids) - encoded.scored - 1
                rows = torch.log_softmax(logits[row, first : first + len(targets)].float(), -1)
                yield index, _scored(request, encoded, rows, targets)


def _scored(request: Request, encoded: Encoded, logprobs: torch.Tensor, targets: list[int]) -> Response:
    """Return the response that a given text stands for, from `logprobs` [T, V] at its tokens."""
    import numpy as np
    import torch

    ids = torch.tensor(targets, device=logprobs.device)
    own = logprobs.gather(-1, ids[:, None]).squeeze(-1).cpu().numpy()
    top = logprobs.topk(request.sampling.top_k) if request.sampling.top_k else None
    return Response(
        request.continuation or "",
        "stop",
        len(encoded.ids),
        0,
        np.array(targets, np.int32),
        None if top is None else top.indices.cpu().numpy().astype(np.int32),
        None if top is None else top.values.cpu().numpy().astype(np.float16),
        own,
    )


def _ends(tokens: int | list[int] | None) -> frozenset[int]:
    """Return the end tokens that a generation config names: one, several or none."""
    return frozenset(tokens if isinstance(tokens, list) else [] if tokens is None else [tokens])


def _missing(package: str) -> MissingExtra:
    """Return the error that names the pip line."""
    return MissingExtra("the teacher Transformers", package, "train")
