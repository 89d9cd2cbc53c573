"""What is learned of a conversation, token by token against the chat template's own rendering."""

from __future__ import annotations

from typing import Any

import pytest

import tiny
from potstill.models import chat, turns
from potstill.prompts.values import UnfitRow

CHATML = tiny.CHAT_TEMPLATE
STRIPPED = CHATML.replace("message['content']", "message['content'] | trim")
LLAMA = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% elif m.role == 'assistant' %}"
    " {{ m.content }} <|im_end|>{% else %}{{ raise_exception('no system role') }}{% endif %}{% endfor %}"
)
"""No system turn, and a blank before the end of turn."""
PLAIN = (
    "{% for m in messages %}{{ m.role }}:\n{{ m.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:\n{% endif %}"
)
"""No end-of-turn token."""
FORGETFUL = CHATML.replace("message['content']", "message['content'].split('</think>')[-1] | trim")
"""Leaves out what was thought, as Qwen3's does of earlier turns."""
LAST_SYSTEM = (
    "{% for m in messages %}{% if m.role != 'system' %}<|im_start|>{{ m.role }}\n"
    "{% if loop.last %}({{ messages | length }}) {% endif %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Writes something before the last turn, wherever that is, and drops the system turn."""
THINKING = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
"""Opens the thoughts of the turn that is to be written, which no earlier turn has."""
TALK = [
    {"role": "system", "content": "You control a smart home."},
    {"role": "user", "content": "turn on the light"},
    {"role": "assistant", "content": "in the kitchen?"},
    {"role": "user", "content": "please"},
    {"role": "assistant", "content": "<think>done?</think>\n\nOn. "},
    {"role": "user", "content": "open the blinds"},
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny.tokenizer(tmp_path_factory.mktemp("tokenizer")))


def learned(tokenizer: Any, template: str, loss_on: turns.LossOn, talk: list[dict[str, str]] = TALK) -> list[str]:
    """Return the runs of tokens that are targets, as texts, and check that all tokens are those of the template."""
    tokenizer.chat_template = template
    ids, first, mask = turns.encode(tokenizer, talk, "Yes.", loss_on)
    assert len(mask) == len(ids) - first
    assert tokenizer.decode(ids) == chat.text(tokenizer, talk) + "Yes.<|im_end|>"
    assert ids[: -len(tokenizer("Yes.<|im_end|>")["input_ids"])] == chat.prompt_ids(tokenizer, talk)
    runs: list[list[int]] = []
    before = False
    for token, target in zip(ids[first:], mask, strict=True):
        if target and not before:
            runs.append([])
        if target:
            runs[-1].append(token)
        before = target
    return [tokenizer.decode(run) for run in runs]


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (CHATML, ["in the kitchen?<|im_end|>", "<think>done?</think>\n\nOn. <|im_end|>", "Yes.<|im_end|>"]),
        (STRIPPED, ["in the kitchen?<|im_end|>", "<think>done?</think>\n\nOn.<|im_end|>", "Yes.<|im_end|>"]),
        (FORGETFUL, ["in the kitchen?<|im_end|>", "On.<|im_end|>", "Yes.<|im_end|>"]),
        (LLAMA, [" in the kitchen? <|im_end|>", " <think>done?</think>\n\nOn.  <|im_end|>", "Yes.<|im_end|>"]),
        (PLAIN, ["in the kitchen?", "<think>done?</think>\n\nOn. ", "Yes.<|im_end|>"]),
    ],
)
def test_the_assistants_turns_are_learned_with_their_ends_and_nothing_else(
    tokenizer: Any, template: str, wanted: list[str]
) -> None:
    assert learned(tokenizer, template, "assistant") == wanted
    assert learned(tokenizer, template, "last") == wanted[-1:]


def test_all_is_everything_but_the_first_token(tokenizer: Any) -> None:
    (text,) = learned(tokenizer, CHATML, "all")
    assert "<|im_start|>" + text == chat.text(tokenizer, TALK) + "Yes.<|im_end|>"


def test_a_turn_that_merges_with_what_is_before_it_is_cut_there(tokenizer: Any) -> None:
    """The template's line break and the turn's own may be one token: it belongs to the prompt."""
    tokenizer.chat_template = CHATML
    for said in ("\nOn.", "\n\nOn.\n", " On", "<|im_end"):
        talk = [TALK[1], {"role": "assistant", "content": said}, TALK[3]]
        first, last = learned(tokenizer, CHATML, "assistant", talk)
        assert (said + "<|im_end|>").endswith(first)
        assert first.strip().startswith(said.strip()[:2])
        assert last == "Yes.<|im_end|>"


def test_a_template_that_writes_earlier_turns_otherwise_than_alone_is_followed(tokenizer: Any) -> None:
    wanted = ["in the kitchen?<|im_end|>", "<think>done?</think>\n\nOn. <|im_end|>", "Yes.<|im_end|>"]
    assert learned(tokenizer, LAST_SYSTEM, "assistant") == wanted
    assert learned(tokenizer, THINKING, "assistant") == wanted
    begun = [{"role": "assistant", "content": "Hello"}, TALK[1]]
    assert learned(tokenizer, CHATML, "assistant", begun) == ["Hello<|im_end|>", "Yes.<|im_end|>"]


def test_a_template_that_changes_what_was_said_is_refused_and_can_learn_the_last(tokenizer: Any) -> None:
    for content in (
        "message['content'] | upper",
        "message['content'][:3]",
        "'' if not loop.last else message['content']",
    ):
        changing = CHATML.replace("message['content']", content)
        with pytest.raises(UnfitRow, match='changes what the assistant said in earlier turns: take loss_on="last"'):
            learned(tokenizer, changing, "assistant")
        assert learned(tokenizer, changing, "last") == ["Yes.<|im_end|>"]


def test_turns_that_say_the_same_are_told_apart(tokenizer: Any) -> None:
    talk = [
        turn for _ in range(3) for turn in ({"role": "user", "content": "on"}, {"role": "assistant", "content": "on"})
    ]
    assert learned(tokenizer, CHATML, "assistant", talk[:-1]) == ["on<|im_end|>", "on<|im_end|>", "Yes.<|im_end|>"]


@pytest.mark.parametrize("template", [LLAMA, LAST_SYSTEM])
def test_a_template_without_a_system_turn_gets_it_with_the_users_first(tokenizer: Any, template: str) -> None:
    tokenizer.chat_template = template
    assert "You control a smart home.\n\nturn on the light" in chat.text(tokenizer, TALK)


def test_a_chat_that_the_template_refuses_is_the_rows_fault(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(UnfitRow, match="the chat template refused the messages: roles must alternate"):
        chat.prompt_ids(tokenizer, TALK)
