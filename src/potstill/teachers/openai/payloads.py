"""What is sent to an OpenAI-compatible server, and how its answer is read: chat and completions, and vLLM's extensions.

Shapes: T tokens of the response, K kept entries a token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from potstill.errors import BadInput
from potstill.teachers.openai.answers import choice_of, response_of
from potstill.teachers.protocol import Request, Response, Sampling, Usage, with_system
from potstill.teachers.response_codec import MOST_TOKENS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PATHS = {"chat": "/chat/completions", "completions": "/completions"}
ID = "token_id:"
"""How vLLM writes a token where it is asked for ids."""
NOTHING = -9999.0
"""How vLLM writes the logarithm of zero."""


@dataclass(frozen=True)
class Form:
    """How requests are written for one server."""

    model: str
    """The model's name there."""
    system: str
    """System prompt put before every chat."""
    api: Literal["chat", "completions"]
    """Which of its ways is used."""
    vllm: bool
    """Whether it knows vLLM's extensions."""
    address: str
    """Where it is, for messages."""


@dataclass(frozen=True)
class Body:
    """One request as it is sent."""

    path: str
    """Where, below the version."""
    fields: dict[str, Any]
    """What."""
    top_k: int
    """Log-probabilities a token that are wanted back."""

    def read(self, answer: object, usage: Usage | None) -> Response:
        """Read an answer; anything missing raises, and the request is sent again."""
        choice = choice_of(answer)
        response = response_of(choice, usage, int(self.fields.get("max_tokens", 0)) or MOST_TOKENS)
        return with_entries(response, choice, self.top_k) if self.top_k and not response.unusable else response

    def most_read(self) -> int:
        """Return how many tokens the prompt has at most, near enough: most tokens have more than two bytes."""
        prompt = self.fields.get("prompt") or "".join(message["content"] for message in self.fields["messages"])
        return len(prompt.encode(errors="replace")) // 2 + 8


def request_body(form: Form, request: Request) -> Body:
    """Return what is sent for `request`.

    Raises:
        BadInput: this server can't do what is asked.
    """
    sampling, messages = request.sampling, with_system(form.system, request.messages)
    _refuse(form, request)
    fields: dict[str, Any] = {
        "model": form.model,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
    }
    api = form.api if request.raw is None else "completions"
    if request.raw is not None:
        fields["prompt"] = request.raw
        fields |= {"add_special_tokens": False} if form.vllm else {}
    elif form.api == "chat":
        fields["messages"] = messages
    else:
        fields["prompt"] = "\n\n".join(message["content"] for message in messages)
    if sampling.presence_penalty:
        fields["presence_penalty"] = sampling.presence_penalty
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    if sampling.temperature > 0:
        fields["seed"] = request.seed
    fields |= held_to(sampling) if form.vllm else _schema(sampling)
    if sampling.top_k:
        fields |= (
            {"logprobs": sampling.top_k} if api == "completions" else {"logprobs": True, "top_logprobs": sampling.top_k}
        )
        # as ids: several tokens may have the same text, and parts of a character have none
        fields |= {"return_tokens_as_token_ids": True, "return_token_ids": True}
    return Body(PATHS[api], fields, sampling.top_k)


def _refuse(form: Form, request: Request) -> None:
    """Refuse what the server can't do."""
    sampling = request.sampling
    if request.continuation is not None or request.tokens is not None:
        raise BadInput(f"{form.address} can't score a given text: take VLLM or Transformers for that")
    if form.vllm:
        return
    if sampling.top_k:
        raise BadInput(
            f"{form.address} gives log-probabilities without token ids, so top_k={sampling.top_k} can't be had from "
            "it: take VLLM, or top_k=0, or say vllm=True if the server is vLLM"
        )
    if sampling.structured and not sampling.structured.json_schema:
        raise BadInput(
            f"{form.address} can hold an answer to a JSON schema only, and a regular expression or choices were asked "
            "for: say vllm=True if the server is vLLM, or give a json_schema"
        )
    if sampling.structured and form.api == "completions":
        raise BadInput(f"{form.address} holds no completion to a JSON schema: take api='chat'")


def held_to(sampling: Sampling) -> dict[str, Any]:
    """Return vLLM's field for the form of the answer."""
    form = sampling.structured
    if form is None:
        return {}
    if form.json_schema:
        return {"structured_outputs": {"json": json.loads(form.json_schema)}}
    return {"structured_outputs": {"regex": form.regex} if form.regex else {"choice": list(form.choice)}}


def _schema(sampling: Sampling) -> dict[str, Any]:
    """Return OpenAI's field for the form of the answer."""
    if sampling.structured is None:
        return {}
    schema = {"name": "answer", "schema": json.loads(sampling.structured.json_schema), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def with_entries(response: Response, choice: Mapping[str, Any], k: int) -> Response:
    """Return the response with the log-probabilities that vLLM gave, in either of its forms."""
    import numpy as np

    entries = choice["logprobs"]
    if "content" in entries:
        own = [entry["logprob"] for entry in entries["content"]]
        listed = [{top["token"]: top["logprob"] for top in entry["top_logprobs"]} for entry in entries["content"]]
    else:
        own, listed = entries["token_logprobs"], entries["top_logprobs"]
    tops = [{int(token.removeprefix(ID)): value for token, value in place.items()} for place in listed]
    ids, logprobs = top_entries(tops, k)
    return replace(
        response,
        token_ids=np.array(choice["token_ids"], np.int32),
        top_ids=ids,
        top_logprobs=logprobs,
        token_logprobs=finite(np.array(own, np.float32)),
    )


def top_entries(places: Sequence[Mapping[int, float]], k: int) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """Return ids and log-probabilities [T, K] of the most probable tokens, in order.

    At every position vLLM lists the K most probable tokens, and the one that is there if it is none of them.
    """
    import numpy as np

    ranked = [sorted(place.items(), key=lambda entry: -entry[1])[:k] for place in places]
    ids = np.array([[token for token, _ in place] for place in ranked], np.int32).reshape(len(ranked), -1)
    values = np.array([[value for _, value in place] for place in ranked], np.float32).reshape(ids.shape)
    return ids, finite(values).astype(np.float16)


def finite(logprobs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log-probabilities with zero's logarithm as it is."""
    import numpy as np

    return np.where(logprobs <= NOTHING, np.float32(-np.inf), logprobs)
