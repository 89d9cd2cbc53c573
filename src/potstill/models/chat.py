"""Chat tokenization: one convention for training, calibration and evaluation.

A training text is the chat template of the messages up to where the assistant starts, then the tokens of the answer,
then the token by which the template ends a turn. Teacher, student and test see the same prompt tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from potstill.errors import BadInput
from potstill.models.corrected import ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from potstill.models.protocols import Tokenizer

Messages = list[dict[str, str]]
"""A chat: `[{"role": "system" | "user" | "assistant", "content": text}, ...]`."""

_ENDS: WeakKeyDictionary[Any, tuple[object, int]] = WeakKeyDictionary()
"""Templates and their ends of turn, by tokenizer: one is rendered once, not for each row."""


def check_tokenizer(tokenizer: Tokenizer) -> None:
    """Make sure that `tokenizer` can write chats.

    Raises:
        BadInput: it has no chat template, or no end-of-sequence token.
    """
    name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
    problems = []
    if not getattr(tokenizer, "chat_template", None):
        problems.append(
            f"the tokenizer of {name} has no chat template: take an instruction-tuned model, "
            "or put a chat_template.jinja into its folder"
        )
    elif isinstance(tokenizer.chat_template, dict) and "default" not in tokenizer.chat_template:
        problems.append(
            f"the tokenizer of {name} has chat templates {', '.join(sorted(tokenizer.chat_template))}, and none of "
            "them is called default: name one so, or put it into its folder as chat_template.jinja"
        )
    if getattr(tokenizer, "eos_token_id", None) is None:
        problems.append(
            f"the tokenizer of {name} has no eos_token: name the end-of-turn token in tokenizer_config.json"
        )
    if problems:
        raise BadInput(*problems)


def text(tokenizer: Tokenizer, messages: Messages, thinking: bool | None = None) -> str:
    """Return `messages` as the chat template writes them, up to where the assistant's answer starts.

    For a template without system turns (it refuses them or drops them) the system text goes in front of the user's
    first turn.

    Args:
        tokenizer: whose template it is.
        messages: the chat.
        thinking: whether the template is to let the model think aloud; None leaves it to the template.

    Raises:
        UnfitRow: the template refuses the chat.
    """
    from potstill.prompts.values import UnfitRow

    settings = {} if thinking is None else {"enable_thinking": thinking}

    def render(chat: Messages) -> str:
        return str(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False, **settings))

    folded = _without_system(messages)
    try:
        rendered = render(messages)
        # some templates raise on a system turn, others silently drop it: look for its text in what was rendered
        if folded is None or messages[0]["content"].strip() in rendered:
            return rendered
    except Exception as error:
        if folded is None:
            raise UnfitRow(f"the chat template refused the messages: {error}") from error
    try:
        return render(folded)
    except Exception as error:
        raise UnfitRow(f"the chat template refused the messages: {error}") from error


def _without_system(messages: Messages) -> Messages | None:
    """Return the chat with its system turn at the head of the user's first; None where there are not both."""
    place = next((place for place, turn in enumerate(messages) if turn["role"] == "user"), None)
    if place is None or messages[0]["role"] != "system":
        return None
    turn = {"role": "user", "content": f"{messages[0]['content']}\n\n{messages[place]['content']}"}
    return [*messages[1:place], turn, *messages[place + 1 :]]


def prompt_ids(tokenizer: Tokenizer, messages: Messages) -> list[int]:
    """Return the tokens of `messages` up to where the assistant's answer starts.

    Raises:
        BadInput: the tokenizer can't write chats.
        UnfitRow: its template refuses this one.
    """
    check_tokenizer(tokenizer)
    return list(tokenizer(text(tokenizer, messages), add_special_tokens=False)["input_ids"])


def encode(tokenizer: Tokenizer, messages: Messages, output: str) -> tuple[list[int], int]:
    """Return the tokens of `messages` answered by `output` and the end-of-turn token, and how many are the prompt's.

    Raises:
        BadInput: the tokenizer can't write chats.
        UnfitRow: its template refuses this one.
    """
    prompt = prompt_ids(tokenizer, messages)
    # the answer is tokenized by itself, so that the prompt's tokens are those that serving will produce
    answer = tokenizer(output, add_special_tokens=False)["input_ids"]
    return [*prompt, *answer, end_of_turn(tokenizer)], len(prompt)


def end_of_turn(tokenizer: Tokenizer) -> int:
    """Return the token by which the chat template ends an answer; the end of a text where it writes none.

    They differ in Gemma (`<end_of_turn>`, `<eos>`), Phi, and base models with a template of ChatML: a student that is
    trained to end a turn by the wrong one goes on writing when it is served.
    """
    template = getattr(tokenizer, "chat_template", None)
    remembered = _ENDS.get(tokenizer)
    if remembered is None or remembered[0] != template:
        remembered = _ENDS[tokenizer] = (template, _end_by_template(tokenizer) if template else tokenizer.eos_token_id)
    return remembered[1]


def _end_by_template(tokenizer: Tokenizer) -> int:
    """Return the first special token that the template writes behind an answer, or the end of a text."""
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": ANSWER}]
    try:
        rendered = str(tokenizer.apply_chat_template(chat, add_generation_prompt=False, tokenize=False))
    except Exception:  # noqa: BLE001 - a template may refuse anything; this one says nothing of its ends then
        return tokenizer.eos_token_id
    probe, behind_it = rendered.rpartition(ANSWER)[1:]
    behind = tokenizer(behind_it if probe else "", add_special_tokens=False)["input_ids"]
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    special = (special | {*tokenizer.all_special_ids}) - {tokenizer.bos_token_id} | {tokenizer.eos_token_id}
    return next((token for token in behind if token in special), tokenizer.eos_token_id)


def encoded_row(
    tokenizer: Tokenizer,
    prompt: str,
    row: Mapping[str, Any],
    encode: Callable[[Tokenizer, Messages, str], tuple[list[int], int]] = encode,
) -> tuple[list[int], int] | None:
    """Return `encode` of a row rendered by the template `prompt`; None where the row can't be rendered.

    An encoder-decoder's `encode` is that of `encoder_decoder`.

    Raises:
        BadInput: the tokenizer can't write chats, or end an answer.
    """
    from potstill.prompts import exchange
    from potstill.prompts.values import UnfitRow

    chat_and_answer = exchange(prompt, row)
    try:
        return None if chat_and_answer is None else encode(tokenizer, *chat_and_answer)
    except UnfitRow:
        return None


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `tokenizer` to `folder`, without notes on how it was loaded: the same run gives the same bytes."""
    # transformers writes them into tokenizer_config.json
    for note in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(note, None)
    tokenizer.save_pretrained(folder)
