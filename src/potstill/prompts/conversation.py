"""Conversations: the shapes in which datasets hold them, read into one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from potstill.prompts.values import UnfitRow, is_null

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "ai": "assistant",
}
"""Who speaks, by the names that OpenAI, ShareGPT, OpenAssistant and Gemini have for them."""
TOOLS = frozenset(
    {
        "tool",
        "tools",
        "function",
        "function_call",
        "function_response",
        "tool_call",
        "tool_response",
        "observation",
        "ipython",
    }
)
"""Names of turns by which a model calls a tool, or a tool answers."""
CALLS = ("tool_calls", "function_call", "tool_call_id")
"""Keys of such turns."""
SPEAKERS, SAID = ("role", "from", "speaker"), ("content", "value", "text", "parts")
"""Keys under which datasets say who speaks, and what."""
LEARNED = ("weight", "train", "loss", "train_on_turn", "trainable")
"""Keys by which OpenAI, axolotl and ms-swift say whether a turn is learned."""
HIDDEN = ("mask", "masked")
"""Keys by which others say that it is not."""
YES, NO = ("true", "yes", "1"), ("false", "no", "0", "0.0")
"""How flags are written."""


def conversation(value: object) -> list[dict[str, str]]:
    """Return turns as `{"role", "content"}`; takes OpenAI's messages, ShareGPT's (`from`, `value`), and JSON of both.

    Contents in parts are joined; keys other than who speaks and what is said are left out.

    >>> conversation([{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}])
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]

    Raises:
        UnfitRow: it is no such list, or holds what a chat of texts can't.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise UnfitRow("the conversation is a text that is no JSON") from error
    if isinstance(value, Mapping) and set(value) & {"messages", "conversations"}:
        value = value.get("messages") or value.get("conversations")
    if isinstance(value, Mapping):
        value = _rows_of(value)
    if is_null(value) or not isinstance(value, Sequence) or not value:
        raise UnfitRow("the conversation has no turns")
    turns = [_turn(turn) for number, turn in enumerate(value) if number or not _is_empty_system(turn)]
    if any(turn["role"] == "system" for turn in turns[1:]):
        raise UnfitRow("a system turn that is not the first")
    if not any(turn["role"] == "user" for turn in turns):
        raise UnfitRow("the conversation has no turn of the user")
    return turns


def _rows_of(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return turns that are held by column, as the feature `Sequence` of `datasets` gives them; none of others."""
    listed = {
        key: items for key, items in columns.items() if isinstance(items, Sequence) and not isinstance(items, str)
    }
    if not set(listed) & set(SPEAKERS) or len(set(map(len, listed.values()))) != 1:
        return []
    return [dict(zip(listed, turn, strict=True)) for turn in zip(*listed.values(), strict=True)]


def _is_empty_system(turn: object) -> bool:
    """Return whether a turn is a system prompt that says nothing, as datasets write for none."""
    if not isinstance(turn, Mapping) or any(not is_null(turn.get(key)) and turn[key] for key in CALLS):
        return False
    content = _first(turn, SAID)
    return ROLES.get(str(_first(turn, SPEAKERS)).strip().lower()) == "system" and (
        is_null(content) or (isinstance(content, str) and not content.strip())
    )


def _first(turn: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """Return what a turn holds under the first of `keys` that is there; None without one."""
    return next((turn[key] for key in keys if not is_null(turn.get(key))), None)


def _turn(turn: object) -> dict[str, str]:
    """Return one turn.

    Raises:
        UnfitRow: it can't be read.
    """
    if not isinstance(turn, Mapping):
        raise UnfitRow("a turn is no object with role and content")
    speaker = _first(turn, SPEAKERS)
    role = ROLES.get(speaker.strip().lower()) if isinstance(speaker, str) else None
    if (isinstance(speaker, str) and speaker.strip().lower() in TOOLS) or any(
        not is_null(turn.get(key)) and turn[key] for key in CALLS
    ):
        raise UnfitRow("tool calls in the conversation, which a chat of texts can't hold")
    if role is None:
        raise UnfitRow(f"a turn by {speaker!r:.40}, who is none of system, user and assistant")
    if role == "assistant" and _is_left_out(turn):
        raise UnfitRow("a turn of weight 0, which training would learn all the same")
    if str(turn.get("channel")).lower() in ("analysis", "commentary"):
        raise UnfitRow("a turn of thoughts, which training would learn as an answer")
    content = _first(turn, SAID)
    text = content if isinstance(content, str) else _joined(content)
    if not text.strip():
        raise UnfitRow(f"an empty turn by the {role}")
    return {"role": role, "content": text}


def _is_left_out(turn: Mapping[str, Any]) -> bool:
    """Return whether a turn says that it is not to be learned."""
    flags = {key: str(turn[key]).strip().lower() for key in (*LEARNED, *HIDDEN) if not is_null(turn.get(key))}
    return any(flags.get(key) in NO for key in LEARNED) or any(flags.get(key) in YES for key in HIDDEN)


def _joined(parts: object) -> str:
    """Return the text of a content in parts.

    Raises:
        UnfitRow: there is none, or a part is no text.
    """
    if isinstance(parts, Mapping):
        parts = [parts]
    if is_null(parts):
        return ""
    if not isinstance(parts, Sequence):
        raise UnfitRow(f"a {type(parts).__name__} in a turn, which is no text")
    texts = []
    for part in (part for part in parts if not is_null(part)):
        text = part.get("text") if isinstance(part, Mapping) else part
        kind = (part.get("type") or "text") if isinstance(part, Mapping) else "text"
        if kind not in ("text", "input_text", "output_text") or not isinstance(text, str):
            raise UnfitRow(f"a part of the kind {kind!r:.40} in a turn, which is no text")
        texts.append(text)
    return "".join(texts)
