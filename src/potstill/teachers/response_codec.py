"""Responses as the journal holds them and as steps read them, and sampling as keys hold it.

The journal keeps what the teacher wrote; thoughts are parted from it whenever it is read, so that old entries are read
by the same rules as new ones.

Shapes: T tokens of the response, K kept entries a token.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from potstill.text.reasoning import split_reasoning

if TYPE_CHECKING:
    from typing import SupportsFloat

    from numpy.typing import NDArray

    from potstill.teachers.protocol import Request, Response, Sampling

DTYPES = {"ids": "<i4", "top": "<i4", "log": "<f2", "own": "<f4"}
"""How the arrays are written."""
MOST_TOKENS = 2**40
"""No response has more tokens: a larger figure is a server's mistake."""
ONLY_REASONING = "no content, only reasoning: raise max_tokens or turn thinking off"
"""Why a response that holds thoughts alone is none."""
EMPTY = "the answer is empty"
"""Why a response without text is none."""
NAN = "the model gave NaN as log-probability: its weights are broken, or overflow in the type that they are read in"
"""Why a response is none whose scores can't be compared."""
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
"""Unicode's categories of invisible characters."""


def spelled(sampling: Sampling) -> dict[str, Any]:
    """Return what a key holds of `sampling`: no penalty where it is 0, as older responses knew of none."""
    fields = asdict(sampling)
    if not sampling.presence_penalty:
        del fields["presence_penalty"]
    return fields


def interpreted(response: Response, request: Request) -> Response:
    """Return a response as steps read it: thoughts apart from the answer, and an error where there is no answer.

    The text that continues a raw prompt or tokens, or that was given to be scored, stays as it is. So do the tokens:
    they are all that the teacher wrote, thoughts included, and their log-probabilities belong to these.
    """
    if request.raw is not None or request.tokens is not None or request.continuation is not None:
        return response
    response = without_thoughts(response)
    if is_visible(response.text) or response.finish_reason in ("error", "length"):
        return response
    if not response.reasoning and response.token_ids is not None and len(response.token_ids) > 1:
        return response  # tokens without text, and more than the one that ends the answer, are soft labels still
    reason = ONLY_REASONING if response.reasoning else EMPTY
    return replace(response, text=reason, finish_reason="error", retryable=False, unusable=True)


def is_visible(text: str) -> bool:
    r"""Return whether a text says anything: more than blanks, marks that can't be seen, and control characters.

    >>> is_visible("Berlin"), is_visible("\u200b\n")
    (True, False)
    """
    return any(unicodedata.category(character) not in _UNSEEN for character in text)


def without_thoughts(response: Response) -> Response:
    """Return a response with the thoughts in its text, if any, moved to where thoughts belong."""
    if response.finish_reason == "error":
        return response
    thoughts, answer = split_reasoning(response.text)
    if not thoughts and answer == response.text:
        return response
    both = "\n\n".join(part for part in (response.reasoning, thoughts) if part)
    return replace(response, text=answer, reasoning=both)


def storable(response: Response) -> Response:
    """Return a response whose fields a file can hold, for anything that a server or a custom teacher put into them."""
    text: Any = response.text
    if not isinstance(text, str):
        what = f"the teacher gave no text but {type(text).__name__}: {text!r:.100}"
        return replace(response, text=well_formed(what), finish_reason="error", retryable=False)
    sound: dict[str, Any] = {
        "text": well_formed(text),
        "reasoning": well_formed(response.reasoning),
        "finish_reason": well_formed(str(response.finish_reason)),
        "prompt_tokens": tokens_in(response.prompt_tokens) or 0,
        "completion_tokens": tokens_in(response.completion_tokens) or 0,
    }
    changed = {name: value for name, value in sound.items() if value is not getattr(response, name)}
    return finite(replace(response, **changed) if changed else response)


def finite(response: Response) -> Response:
    """Return a response, an error in place of one whose log-probabilities are NaN.

    Numbers that are NaN compare as nothing: the first of several choices would be the most likely one, and a divergence
    none, so that a broken model would look right.
    """
    logprobs = (response.token_logprobs, response.top_logprobs)
    if not any(one is not None and bool((one != one).any()) for one in logprobs):
        return response
    return replace(response, text=NAN, finish_reason="error", retryable=False, token_logprobs=None, top_logprobs=None)


def well_formed(text: str) -> str:
    r"""Return a text that can be encoded: half a character (a lone surrogate, as in `"\ud83d"`) becomes U+FFFD.

    Two halves that follow each other are joined.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def tokens_in(value: str | SupportsFloat) -> int | None:
    """Return a number of tokens that a server states, in any form, or None if it can't be one."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if 0 <= number <= MOST_TOKENS else None


def pack(response: Response) -> dict[str, Any]:
    """Return plain data for the journal: 6 bytes a kept log-probability."""
    packed: dict[str, Any] = {
        "text": response.text,
        "finish": response.finish_reason,
        "prompt": response.prompt_tokens,
        "completion": response.completion_tokens,
    }
    if response.reasoning:
        packed["reasoning"] = response.reasoning
    if response.adapted:
        packed["adapted"] = list(response.adapted)
    for name, array in (
        ("ids", response.token_ids),
        ("top", response.top_ids),
        ("log", response.top_logprobs),
        ("own", response.token_logprobs),
    ):
        if array is not None:
            packed[name] = array.astype(DTYPES[name]).tobytes()
    if response.top_ids is not None:
        packed["k"] = response.top_ids.shape[1]
    return packed


def unpack(packed: Mapping[str, Any]) -> Response:
    """Return the response that was packed."""
    import numpy as np

    from potstill.teachers.protocol import Response

    def array(name: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
        return np.frombuffer(packed[name], DTYPES[name]).reshape(shape) if name in packed else None

    k = packed.get("k", 1)
    return Response(
        packed["text"],
        packed["finish"],
        packed["prompt"],
        packed["completion"],
        array("ids", (-1,)),
        array("top", (-1, k)),
        array("log", (-1, k)),
        array("own", (-1,)),
        retryable=packed["finish"] != "error",
        unusable=packed["finish"] == "error",
        reasoning=packed.get("reasoning", ""),
        adapted=tuple(packed.get("adapted", ())),
    )
