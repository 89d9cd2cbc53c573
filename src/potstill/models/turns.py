"""Loss masks for multi-turn chats: which tokens of a conversation a student is trained on.

Chat templates render turns and don't report where each begins and ends. So a conversation is rendered a second time
with a marker in place of a turn's content: the text around the marker is the text around the turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from potstill.models import chat

if TYPE_CHECKING:
    from potstill.models.chat import Messages
    from potstill.models.protocols import Tokenizer

LossOn = Literal["last", "assistant", "all"]
"""Tokens with a loss: those of the last answer, of all the assistant's turns, or all."""
MARK = "QxturnxQ"
"""Marker in place of a turn's content; no template changes such a word."""


def encode(tokenizer: Tokenizer, messages: Messages, output: str, loss_on: LossOn) -> tuple[list[int], int, list[bool]]:
    """Return the tokens of a conversation and its answer, where the first target is, and which from there on are some.

    Raises:
        BadInput: the tokenizer can't write chats.
        UnfitRow: the chat template refuses the conversation, or changes the content of a turn.
    """
    ids, prompt = chat.encode(tokenizer, messages, output)
    if loss_on == "all":
        return ids, 1, [True] * (len(ids) - 1)
    learned = [place >= prompt for place in range(len(ids))]
    if loss_on == "assistant":
        whole = chat.text(tokenizer, messages)
        for number, turn in enumerate(messages):
            if turn["role"] == "assistant":
                first, end = _turn(tokenizer, messages, number, whole, ids[:prompt])
                learned[first:end] = [True] * (end - first)
    start = learned.index(True)
    return ids, start, learned[start:]


def _turn(tokenizer: Tokenizer, messages: Messages, number: int, whole: str, ids: list[int]) -> tuple[int, int]:
    """Return where the tokens of an assistant's turn begin and end in `ids`, those of the text `whole`.

    Raises:
        UnfitRow: the template changes the turn's content.
    """
    from potstill.prompts.values import UnfitRow

    content = messages[number]["content"]
    marked = chat.text(tokenizer, [*messages[:number], {**messages[number], "content": MARK}, *messages[number + 1 :]])
    before, _, after = marked.partition(MARK)
    rendered = whole[len(before) : len(whole) - len(after)]
    # templates strip a turn's content, and some leave out the reasoning before the answer
    forms = {content.strip(), content.rpartition("</think>")[2].strip()} - {""}
    # a template that treats turns differently by content or position would give other text around the marker
    if marked.count(MARK) != 1 or before + rendered + after != whole or rendered.strip() not in forms:
        raise UnfitRow('the chat template changes what the assistant said in earlier turns: take loss_on="last"')
    # blanks before the first word are one token with it in many vocabularies
    first, cut = _common(tokenizer, before.rstrip(" "), ids)
    end, goes_on = _common(tokenizer, before + rendered, ids)
    # a token that begins before the turn and goes on in it belongs to the prompt; one that ends behind it to the turn
    return first + cut, _with_end(tokenizer, ids, end + goes_on)


def _common(tokenizer: Tokenizer, text: str, ids: list[int]) -> tuple[int, bool]:
    """Return how many of the first tokens of `ids` are those of `text`, and whether a further one holds its rest."""
    own = tokenizer(text, add_special_tokens=False)["input_ids"]
    same = next((place for place, (a, b) in enumerate(zip(own, ids, strict=False)) if a != b), min(len(own), len(ids)))
    return same, same < len(own)


def _with_end(tokenizer: Tokenizer, ids: list[int], end: int) -> int:
    """Return the end of a turn with its end-of-turn token, if that follows, perhaps behind a blank."""
    for place in (end, end + 1):
        if place < len(ids) and ids[place] in (chat.end_of_turn(tokenizer), tokenizer.eos_token_id):
            blank = tokenizer.decode(ids[end:place]) if place > end else ""
            return place + 1 if not blank.strip() else end
    return end
