"""Which tokens of a conversation are whose: what a student learns of its turns.

Chat templates say how turns are written, not where each begins. A turn's beginning is found by rendering the turns
before it: where that is how the whole conversation begins, what follows is the turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from potstill import chat

if TYPE_CHECKING:
    from potstill.teachers.protocol import Messages

LossOn = Literal["last", "assistant", "all"]
"""Whose tokens are learned: the last answer's, those of all the assistant's turns, or everybody's."""


def encode(tokenizer: Any, messages: Messages, output: str, loss_on: LossOn) -> tuple[list[int], int, list[bool]]:
    """Return the tokens of a conversation and its answer, where the first target is, and which from there on are some.

    Raises:
        BadInput: the tokenizer can't write chats.
        UnfitRow: the chat template refuses the conversation, or writes earlier turns otherwise once others follow.
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


def _turn(tokenizer: Any, messages: Messages, number: int, whole: str, ids: list[int]) -> tuple[int, int]:
    """Return where the tokens of an assistant's turn begin and end in `ids`, those of the text `whole`.

    Raises:
        UnfitRow: the template writes the turns before it, or it, otherwise than alone.
    """
    from potstill.prompts.values import UnfitRow

    before = chat.text(tokenizer, messages[:number]) if number else None
    if before is None or not whole.startswith(before):
        raise UnfitRow(
            "the chat template writes earlier turns otherwise once others follow, so that they can't be learned: "
            'take loss_on="last"'
        )
    rest = whole[len(before) :]
    blank = len(rest) - len(rest.lstrip())
    said = messages[number]["content"]
    # templates strip what is said, and some leave out what was thought before it
    forms = (said, said.strip(), said.rpartition("</think>")[2].strip())
    skipped, content = next(
        ((skip, form) for form in forms for skip in (0, blank) if form and rest[skip:].startswith(form)), (0, "")
    )
    if not content:
        raise UnfitRow('the chat template changes what the assistant said in earlier turns: take loss_on="last"')
    first, cut = _common(tokenizer, before, ids)
    end, goes_on = _common(tokenizer, before + rest[: skipped + len(content)], ids)
    # a token that begins before the turn and goes on in it belongs to the prompt; one that ends behind it to the turn
    return first + cut, _with_end(tokenizer, ids, end + goes_on)


def _common(tokenizer: Any, text: str, ids: list[int]) -> tuple[int, bool]:
    """Return how many of the first tokens of `ids` are those of `text`, and whether a further one holds its rest."""
    own = tokenizer(text, add_special_tokens=False)["input_ids"]
    same = next((place for place, (a, b) in enumerate(zip(own, ids, strict=False)) if a != b), min(len(own), len(ids)))
    return same, same < len(own)


def _with_end(tokenizer: Any, ids: list[int], end: int) -> int:
    """Return the end of a turn with its end-of-turn token, if that follows, perhaps behind a blank."""
    for place in (end, end + 1):
        if place < len(ids) and ids[place] == tokenizer.eos_token_id:
            blank = tokenizer.decode(ids[end:place]) if place > end else ""
            return place + 1 if not blank.strip() else end
    return end
