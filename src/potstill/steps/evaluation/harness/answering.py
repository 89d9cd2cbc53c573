"""A teacher as a model of lm-evaluation-harness: its requests become the teacher's, and are kept in the journal.

Tokens, windows and truncation are those of the harness's own `hf` backend, so that the scores are the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import has_bos_prefix, normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from potstill.errors import BadInput, PotstillError
from potstill.models import chat
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.steps.evaluation.harness.tasks import LONGEST_ANSWER
from potstill.teachers.protocol import Request, Sampling, with_system
from potstill.teachers.response_codec import without_thoughts
from potstill.text.reasoning import opened_by

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

    from potstill.models.chat import Messages
    from potstill.models.protocols import Tokenizer
    from potstill.teachers.cache.response_cache import Asker
    from potstill.teachers.protocol import Response, Teacher

UNBOUNDED = 2**31
"""Stands for the context of a model that has no longest one."""
CHAT = "\N{INFORMATION SEPARATOR ONE}chat "
"""Begins a prompt that is a chat, for a teacher that writes its chats itself."""
_Pair = tuple[tuple[str, str], list[int], list[int]]


@dataclass(frozen=True)
class Reader:
    """What turns text into the tokens of a teacher."""

    tokenizer: Tokenizer
    """The model's tokenizer."""
    room: int
    """Tokens of the longest text that the model reads at once."""


def reader_of(teacher: Teacher) -> Reader | None:
    """Return the tokenizer of a teacher that runs here; `None` for one that only answers from elsewhere."""
    if not getattr(teacher, "gives_scores", True):
        return None
    from transformers import AutoTokenizer

    from potstill.teachers.transformers import Transformers

    name = str(getattr(teacher, "model", ""))
    identity = teacher.identity().get("model")
    commit = identity.get("commit") if isinstance(identity, dict) else None
    tokenizer = AutoTokenizer.from_pretrained(name, revision=commit)
    room = getattr(teacher, "max_model_length", None) or positions_of(config_of(name)) or UNBOUNDED
    # transformers scores a token that it does not read itself; engines want room for an answer behind all of them
    return Reader(tokenizer, room if isinstance(teacher, Transformers) else room - 2)


class TeacherModel(TemplateLM):  # type: ignore[misc]  # the harness has no types
    """A teacher as the harness asks it."""

    def __init__(self, teacher: Teacher, asker: Asker, reader: Reader | None, *, asks_greedy: bool = False) -> None:
        """Ask `teacher` through `asker`, which keeps its answers; without a `reader` it can only answer.

        `asks_greedy` says that a task needs to know whether a text is what greedy decoding writes.
        """
        super().__init__()
        self.asks_greedy = asks_greedy
        self.teacher = teacher
        self.reader = reader
        self.shortened = 0
        self._asker = asker
        self._system = str(getattr(teacher, "system", ""))
        self._thinking: bool | None = getattr(teacher, "thinking", None)

    @property
    def tokenizer_name(self) -> str:
        """Name for the harness's cache of requests, which is not used."""
        return self.teacher.label

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return int(self._reader.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """The token that a text stands behind: its beginning, where the tokenizer has one."""
        first = self._reader.tokenizer.bos_token_id
        return self.eot_token_id if first is None else int(first)

    @property
    def max_length(self) -> int:
        """Tokens of the longest text."""
        return self._reader.room

    @property
    def _reader(self) -> Reader:
        """The tokenizer and the longest text.

        Raises:
            BadInput: the teacher gives no scores of a given text.
        """
        if self.reader is None:
            kind = type(self.teacher).__name__
            raise BadInput(
                f"{kind} gives no log-probabilities of a given text: take VLLM or Transformers for this task"
            )
        return self.reader

    def apply_chat_template(self, chat_history: Messages, add_generation_prompt: bool = True) -> str:
        """Return a chat as the teacher's template writes it, its system prompt first.

        Raises:
            UnfitRow: the template refuses the chat.
        """
        messages = with_system(self._system, [dict(turn) for turn in chat_history])
        if self.reader is None:
            return CHAT + json.dumps(chat_history)
        if add_generation_prompt:
            return chat.text(self.reader.tokenizer, messages, self._thinking)
        # the answer has been begun by the task
        return chat.text(self.reader.tokenizer, messages[:-1], self._thinking) + messages[-1]["content"]

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: object) -> list[int]:
        """Return the tokens of a text; special ones are added as the tokenizer does, unless it begins with one."""
        tokenizer = cast("Any", self._reader.tokenizer)
        if add_special_tokens is None and has_bos_prefix(string, tokenizer.decode(self.prefix_token_id)):
            add_special_tokens = False
        options = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return list(tokenizer.encode(string, **options))

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return log p of whole texts, each by itself, in windows that share one token."""
        windows: list[_Pair] = []
        counts = []
        for text in (str(request.args[0]) for request in requests):
            rolling = get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            own = [(("", text), *make_disjoint_window(window)) for window in rolling]
            windows += own
            counts.append(len(own))
        scores = iter(self._loglikelihood_tokens(windows))
        return [sum(next(scores)[0] for _ in range(count)) for count in counts]

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return the answer to each prompt, up to the first of the task's stops."""
        prompts = [str(request.args[0]) for request in requests]
        asked = [self._to_write(prompt, request.args[1]) for prompt, request in zip(prompts, requests, strict=True)]
        # where the chat template opens thoughts, the answer begins inside them
        answers = zip(prompts, self._answers(asked), strict=True)
        return [without_thoughts(replace(one, text=opened_by(prompt) + one.text)).text for prompt, one in answers]

    def _loglikelihood_tokens(self, requests: Sequence[_Pair], **_: object) -> list[tuple[float, bool]]:
        """Return log p of the second tokens behind the first ones, and whether greedy decoding would write them.

        Raises:
            BadInput: there is nothing to score, or more than the model reads, or the teacher can't say what is asked.
        """
        asked = [self._to_score(*one) for one in requests]
        answers = self._answers(asked)
        if self.asks_greedy and any(response.top_ids is None for response in answers):
            raise BadInput(
                f"{type(self.teacher).__name__} does not say whether greedy decoding writes a text, as a task with "
                "output_type: loglikelihood asks: measure the model that was exported, by VLLM or Transformers"
            )
        return [_scored(request, response) for request, response in zip(asked, answers, strict=True)]

    def _to_score(self, texts: tuple[str, str], context: Sequence[int], scored: Sequence[int]) -> Request:
        """Return the request that scores tokens; what doesn't fit is cut off in front, as the harness does.

        Raises:
            BadInput: there is nothing to score, or more than the model reads.
        """
        if not 0 < len(scored) <= self.max_length:
            count = len(scored)
            raise BadInput(
                f"the text {texts[1]!r:.80} has {count} tokens to score and the model reads {self.max_length}: "
                + ("shorten it" if count else "a task can't ask for an empty answer, give it a text")
            )
        both = [*context, *scored][-(self.max_length + 1) :]
        self.shortened += len(both) < len(context) + len(scored)
        place = len(both) - len(scored)
        return Request([], Sampling(top_k=1), tokens=tuple(both[:place]), scored_tokens=tuple(both[place:]))

    def _to_write(self, prompt: str, settings: dict[str, Any]) -> Request:
        """Return the request for an answer.

        Raises:
            BadInput: the task asks for a decoding that teachers don't offer, or leaves no room for the prompt.
        """
        sampling = sampling_of(settings)
        if self.reader is None:
            if prompt.startswith(CHAT):
                return Request(json.loads(prompt.removeprefix(CHAT)), sampling)
            return Request([], sampling, raw=prompt)
        room = self.max_length - sampling.max_tokens
        if room < 1:
            raise BadInput(
                f"the task asks for answers of {sampling.max_tokens} tokens, which leaves no room for a prompt: the "
                f"model reads {self.max_length}; lower max_gen_toks in its generation_kwargs"
            )
        ids = self.tok_encode(prompt)
        self.shortened += len(ids) > room
        return Request([], sampling, tokens=tuple(ids[-room:]))

    def _answers(self, requests: Sequence[Request]) -> list[Response]:
        """Return the answers in the order of the requests.

        Raises:
            PotstillError: some failed; the others are kept.
        """
        answers = [response for _, response in self._asker.ask(enumerate(requests), len(requests))]
        failed = [response.text for response in answers if response.finish_reason == "error"]
        if failed:
            raise PotstillError(
                f"the teacher failed for {len(failed)} of {len(answers)} requests, the first time with: {failed[0]}; "
                "the other answers are kept, so run again once that is mended"
            )
        return answers


def sampling_of(settings: dict[str, Any]) -> Sampling:
    r"""Return the decoding that a task asks for in its `generation_kwargs`.

    Raises:
        BadInput: it asks for something that teachers don't offer.

    >>> sampling_of({"until": ["\n"], "max_gen_toks": 32, "do_sample": False})
    Sampling(temperature=0.0, top_p=1.0, max_tokens=32, stop=('\n',), top_k=0, presence_penalty=0.0, structured=None)
    """
    plain = dict(normalize_gen_kwargs(settings, LONGEST_ANSWER))
    stops = [one for one in plain.pop("until", None) or [] if one]
    samples = bool(plain.pop("do_sample", False))
    temperature = float(plain.pop("temperature", 0.0) or 0.0) if samples else 0.0
    plain.pop("temperature", None)
    top_p = float(plain.pop("top_p", 1.0))
    longest = int(plain.pop("max_gen_toks"))
    if plain:
        raise BadInput(
            f"the task's generation_kwargs ask for {', '.join(sorted(plain))}, which teachers don't offer: leave it out"
        )
    return Sampling(temperature, top_p if samples else 1.0, longest, tuple(stops))


def _scored(request: Request, response: Response) -> tuple[float, bool]:
    """Return log p of what was scored, and whether it is what greedy decoding writes."""
    if response.token_logprobs is None:
        raise PotstillError("the teacher gave no log-probabilities of a given text: set gives_scores = False on it")
    greedy = response.top_ids is not None and tuple(response.top_ids[:, 0].tolist()) == request.scored_tokens
    return math.fsum(response.token_logprobs.tolist()), greedy
