"""The tokens of a chat and its answer: one convention for training, calibration and evaluation.

A training text is the chat template of the messages up to where the assistant starts, then the tokens of the answer,
then the end-of-turn token. Teacher, student and test see the same prompt tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    from potstill.teachers.protocol import Messages


def check_tokenizer(tokenizer: Any) -> None:
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
    if getattr(tokenizer, "eos_token_id", None) is None:
        problems.append(
            f"the tokenizer of {name} has no eos_token: name the end-of-turn token in tokenizer_config.json"
        )
    if problems:
        raise BadInput(*problems)


def prompt_ids(tokenizer: Any, messages: Messages) -> list[int]:
    """Return the tokens of `messages` up to where the assistant's answer starts.

    Raises:
        BadInput: the tokenizer can't write chats.
    """
    check_tokenizer(tokenizer)
    return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False))


def encode(tokenizer: Any, messages: Messages, output: str) -> tuple[list[int], int]:
    """Return the tokens of `messages` answered by `output` and the end-of-turn token, and how many are the prompt's.

    Raises:
        BadInput: the tokenizer can't write chats.
    """
    prompt = prompt_ids(tokenizer, messages)
    # the answer is tokenized by itself, so that the prompt's tokens are those that serving will produce
    answer = tokenizer(output, add_special_tokens=False)["input_ids"]
    return [*prompt, *answer, tokenizer.eos_token_id], len(prompt)


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write `tokenizer` to `folder`, without notes on how it was loaded: the same run gives the same bytes."""
    for note in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(note, None)
    tokenizer.save_pretrained(folder)
