"""What a server's answer says, in any form that OpenAI-compatible servers give it: text, thoughts, end, usage."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from potstill.teachers.openai.budget import Price
from potstill.teachers.protocol import Response, Usage
from potstill.teachers.response_codec import tokens_in

DIGITS = 20
"""Digits of the longest number that is read as a whole one."""
ENDINGS = {
    "stop": "stop eos eos_token eos_token_id eos_found end end_turn end_of_text endoftext end_of_sequence "
    "stop_sequence stop_sequence_reached stop_token stop_string stop_str stop_word stop_words matched_stop "
    "stopped complete completed completed_normally done finish finished success succeeded normal natural ok",
    "length": "length limit truncated length_limit max_token max_tokens_reached hit_max_tokens max_tokens "
    "max_output_tokens max_completion_tokens max_new_tokens max_length model_length token_limit "
    "model_context_window_exceeded context_window_exceeded context_length incomplete",
    "filtered": "content_filter content_filtered error_toxic toxic safety recitation blocklist prohibited_content spii "
    "refusal sensitive language image_safety guardrail guardrails guardrail_intervened moderation "
    "risk_control",
    "tool": "tool_calls tool_call tool_use function_call malformed_function_call unexpected_tool_call",
    "failed": "error network_error server_error insufficient_system_resource abort aborted cancelled canceled timeout "
    "overloaded repetition other",
}
"""How servers call an end, by what it means."""
UNNAMED = ("", "null", "none", "unknown", "unspecified")
"""How servers say that they name no end."""
CALLS = ("tool_use", "tool_call", "tool_calls", "function_call", "server_tool_use", "mcp_call")
"""Types of parts that call a tool."""
THOUGHTS = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "thought",
    "reasoning_text",
    "reasoning_details",
    "thinking_blocks",
)
"""Fields of a message in which servers give what the model thought; the first that holds text is taken."""
TEXT_PARTS = ("text", "output_text", "input_text", "")
"""Types of parts of a content that are the answer's text."""
THOUGHT_PARTS = ("thinking", "reasoning", "redacted_thinking", "thought", "summary_text", "reasoning_text")
"""Types of parts that are thoughts."""


class ErrorInside(Exception):
    """The server said 200 and gave an error."""

    def __init__(self, error: object) -> None:
        """Keep what the server calls the `error`."""
        named = error if isinstance(error, Mapping) else {"message": error}
        self.code = str(named.get("code") or named.get("type") or "")
        self.said = str(
            named.get("message") or named.get("msg") or named.get("detail") or json.dumps(error, default=str)
        )
        self.status = _status_of(named, self.code)
        super().__init__(self.said)


class UnreadableAnswer(ValueError):
    """An answer that holds nothing; another try may be better."""


@dataclass(frozen=True)
class Content:
    """The parts of a message."""

    text: str = ""
    """The answer."""
    reasoning: str = ""
    """Thoughts."""
    refusal: str = ""
    """Why the model refused, in its words."""
    other: tuple[str, ...] = ()
    """Kinds of parts that are none of these."""


def loads(text: str) -> Any:
    """Return the JSON in a body; numbers and characters that JSON or Python refuse spoil no answer around them.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(text)
    except ValueError:
        # the second way takes control characters in texts, and integers longer than Python reads
        return json.loads(text, strict=False, parse_int=_number)


def usage_of(answer: object, price: Price) -> Usage | None:
    """Return what a server says that an answer took; None where it doesn't, or says what can't be."""
    usage = answer.get("usage") if isinstance(answer, Mapping) else None
    if not isinstance(usage, Mapping):
        return None
    read = _stated(usage, "prompt_tokens", "input_tokens")
    written, total = _stated(usage, "completion_tokens", "output_tokens"), _stated(usage, "total_tokens")
    if written is None and read is not None and total is not None and total >= read:
        written = total - read
    if read is None and written is not None and total is not None and total >= written:
        read = total - written
    if read is not None and written is not None and total is not None:
        written = max(written, total - read)  # some servers leave thoughts out of what was written, and bill them
    if read is None or written is None or not read + written:
        return None
    return Usage(read, written, price.of(read, written))


def choice_of(answer: object) -> Mapping[str, Any]:
    """Return the first choice of an answer.

    Raises:
        ErrorInside: the answer is an error.
        UnreadableAnswer: it has no choice.
    """
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if not isinstance(answer, Mapping):
        raise UnreadableAnswer(f"a {type(answer).__name__} and no object")
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        if answer.get("error"):
            raise ErrorInside(answer["error"])
        # some servers send an error with status 200, and as the answer itself
        if answer.get("code") and (answer.get("msg") or answer.get("message")):
            raise ErrorInside(answer)
        raise UnreadableAnswer("it has no choices")
    choice: Mapping[str, Any] = choices[0]
    if choice.get("error"):
        raise ErrorInside(choice["error"])
    if answer.get("error") and not content_of(choice).text:
        raise ErrorInside(answer["error"])
    return choice


def response_of(choice: Mapping[str, Any], usage: Usage | None, max_tokens: int) -> Response:
    """Return the response that a choice stands for.

    Raises:
        UnreadableAnswer: it holds nothing, or the server gave up; another try may be better.
    """
    content, named = content_of(choice), _named_end(choice)
    end = ending(named) or ("length" if usage is not None and usage.completion >= max_tokens else "stop")
    billed = usage or Usage()

    def lost(why: str) -> Response:
        return Response(
            why,
            "error",
            billed.prompt,
            billed.completion,
            retryable=False,
            cost=billed.cost,
            reasoning=content.reasoning,
            unusable=True,
        )

    if end == "failed":
        raise UnreadableAnswer(f"the server ended the answer with {named!r}")
    if content.refusal and not content.text:
        return lost(f"the model refused: {content.refusal[:400]}")
    if end not in ("stop", "length", "tool"):
        return lost(f"the server ended the answer with {named!r:.80}")
    if _calls(choice, end, content):
        return lost(f"the model called a tool instead of answering (finish_reason {named!r})")
    if content.other and not content.text:
        return lost(f"the answer holds no text, but parts of other kinds: {', '.join(content.other)[:200]}")
    end = "stop" if end == "tool" else end
    return Response(content.text, end, billed.prompt, billed.completion, cost=billed.cost, reasoning=content.reasoning)


def ending(named: object) -> str:
    """Return what a server's name of an end means: a name of `ENDINGS`, `unknown`, or nothing where it names none."""
    if isinstance(named, Mapping):
        named = named.get("type") or named.get("reason")
    if named is None:
        return ""
    # "FinishReason.MAX_TOKENS", "maxTokens" and "max-tokens" are one name
    snake = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", str(named).strip().rpartition(".")[2])
    plain = re.sub(r"^(?:finish|stop)_reason_", "", re.sub(r"[-\s]+", "_", snake.lower()))
    if plain in UNNAMED:
        return ""
    return next((meaning for meaning, names in ENDINGS.items() if plain in names.split()), "unknown")


def _named_end(choice: Mapping[str, Any]) -> Any:
    """Return how a choice names its end, under whatever name; vLLM's `stop_reason` names the text that stopped it."""
    for name in ("finish_reason", "finishReason", "finish_details", "stop_reason", "stopReason"):
        named = choice.get(name)
        if named is not None and (not name.startswith("stop") or ending(named) not in ("", "unknown")):
            return named
    return None


def content_of(choice: Mapping[str, Any]) -> Content:
    """Return the parts of a choice: of a chat, or of a completion.

    Raises:
        UnreadableAnswer: it has no message.
    """
    message = choice.get("message") or choice.get("delta")
    if isinstance(message, str):
        message = {"content": message}
    if not isinstance(message, Mapping):
        if "text" not in choice:
            raise UnreadableAnswer("its choice has no message")
        message = {**choice, "content": choice["text"]}
    parts: dict[str, list[str]] = {"text": [], "reasoning": [], "refusal": [], "other": []}
    for kind, part in _parts(message.get("content")):
        parts[kind].append(part)
    apart = next((text for name in THOUGHTS if (text := _text_in(message.get(name))).strip()), "")
    thoughts = filter(None, (apart, *parts["reasoning"]))
    refusals = [text for text in (*parts["refusal"], _text_in(message.get("refusal"))) if text]
    # some servers put the reason into the content, and only a flag here
    if message.get("refusal") is True:
        refusals, parts["text"] = parts["text"] or ["it gave no reason"], []
    return Content("".join(parts["text"]), "\n\n".join(thoughts), "\n".join(refusals), tuple(parts["other"]))


def _parts(content: object) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of the parts of a content; of a part that is no text, the name of its type as text."""
    if content is None:
        return
    if isinstance(content, str):
        yield "text", content
    elif isinstance(content, list):
        for part in content:
            yield from _parts(part)
    elif isinstance(content, Mapping):
        kind = str(content.get("type") or "")
        if kind in THOUGHT_PARTS or (not kind and "thinking" in content) or content.get("thought") is True:
            yield "reasoning", _text_in(content)
        elif kind == "refusal":
            yield "refusal", _text_in(content)
        elif kind in TEXT_PARTS and "text" in content:
            yield "text", _text_in(content["text"])
        elif not kind and "parts" in content:
            yield from _parts(content["parts"])
        else:
            yield "other", kind or "object"
    else:
        yield "other", type(content).__name__


def _text_in(value: object) -> str:
    """Return the text in a field or part, at any depth: a text, a list, or an object that has one."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_text_in, value)))
    if isinstance(value, Mapping):
        names = ("text", "thinking", "reasoning", "refusal", "summary", "content", "value")
        return next((text for name in names if (text := _text_in(value.get(name)))), "")
    return ""


def _calls(choice: Mapping[str, Any], end: str, content: Content) -> bool:
    """Return whether the model called a tool, rather than that a server gives the end an odd name."""
    message = choice.get("message")
    called = isinstance(message, Mapping) and (message.get("tool_calls") or message.get("function_call"))
    return bool(called) or any(kind in CALLS for kind in content.other) or (end == "tool" and not content.text.strip())


def _stated(usage: Mapping[str, Any], *names: str) -> int | None:
    """Return the number of tokens under the first of `names` that is there."""
    return next((tokens_in(usage[name]) for name in names if usage.get(name) is not None), None)


def _number(digits: str) -> int | float:
    """Return a whole number, or where it has more digits than any that counts something, one that is near it."""
    return int(digits) if len(digits) <= DIGITS else float(digits)


def _status_of(error: Mapping[str, Any], code: str) -> int:
    """Return the HTTP status that an error inside an answer would have had; 500 for one that may pass."""
    for stated in (error.get("status"), error.get("status_code"), code):
        if str(stated).isdigit() and 400 <= int(str(stated)) <= 599:
            return int(str(stated))
    words = f"{code} {error.get('type') or ''}".lower()
    by_word = {
        "rate_limit": 429,
        "overloaded": 503,
        "quota": 429,
        "api_key": 401,
        "authentication": 401,
        "permission": 403,
        "not_found": 404,
        "content_": 400,
        "context_length": 400,
        "invalid": 400,
        "bad_request": 400,
        "badrequest": 400,
    }
    return next((status for word, status in by_word.items() if word in words), 500)
