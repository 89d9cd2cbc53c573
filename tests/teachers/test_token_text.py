"""What a local engine writes becomes text in which thoughts are distinct from the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AddedToken, AutoTokenizer

import tiny
from potstill.teachers.chat_tokens import Encoded, Renderer
from potstill.teachers.protocol import Request, Response, Sampling, Structured
from potstill.teachers.response_codec import interpreted
from potstill.teachers.token_text import TextDecoder

CHAT = Request([{"role": "user", "content": "the light"}], Sampling())
OPENING = "{{ messages[0]['content'] }}{% if add_generation_prompt %}<|im_start|><think>\n{% endif %}"
CLOSED = "{{ messages[0]['content'] }}{% if add_generation_prompt %}<think>\n\n</think>\n\n{% endif %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.tokenizer(tmp_path_factory.mktemp("tokenizer"))


def tokenizer(folder: Path, *special: str, plain: tuple[str, ...] = ()) -> Any:
    loaded = AutoTokenizer.from_pretrained(folder)
    loaded.add_tokens([AddedToken(text, special=True) for text in special], special_tokens=True)
    loaded.add_tokens([AddedToken(text, special=False) for text in plain])
    return loaded


def read(loaded: Any, written: str) -> tuple[str, str]:
    """Return the (thoughts, answer) of what a model wrote."""
    ids = loaded(f"{written}<|im_end|>", add_special_tokens=False)["input_ids"]
    response = interpreted(Response(TextDecoder(loaded).text(ids), "stop"), CHAT)
    return response.reasoning, response.text


@pytest.mark.parametrize(
    ("marks", "written"),
    [
        (("[THINK]", "[/THINK]"), "[THINK]the kitchen[/THINK]light"),
        (("<think>", "</think>"), "<think>the kitchen</think>light"),
        (("◁think▷", "◁/think▷"), "◁think▷the kitchen◁/think▷light"),
        (
            ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>"),
            "<|channel|>analysis<|message|>the kitchen<|end|><|start|>assistant<|channel|>final<|message|>light",
        ),
    ],
)
@pytest.mark.parametrize("special", [True, False])
def test_marks_stay_whether_they_are_special_or_not(
    folder: Path, marks: tuple[str, ...], written: str, special: bool
) -> None:
    loaded = tokenizer(folder, *marks) if special else tokenizer(folder, plain=marks)
    assert read(loaded, written) == ("the kitchen", "light")


def test_other_special_tokens_are_no_text(folder: Path) -> None:
    assert read(tokenizer(folder, "<|end|>", "<|eot|>"), "light<|eot|><|end|>") == ("", "light")
    loaded = tokenizer(folder, "[THINK]", "[/THINK]", "<|eot|>")
    assert read(loaded, "[THINK]a<|eot|>[/THINK]light<|eot|>") == ("a", "light")


def encoded(loaded: Any, template: str, request: Request) -> Encoded:
    loaded.chat_template = template
    (actual,) = Renderer(loaded, "", None, 100).encode([request])
    assert isinstance(actual, Encoded)
    return actual


def test_a_prompt_that_opens_thoughts_is_known(folder: Path) -> None:
    loaded = tokenizer(folder)
    assert encoded(loaded, OPENING, CHAT).opened == "<think>"
    assert encoded(loaded, CLOSED, CHAT).opened == ""
    assert encoded(loaded, tiny.CHAT_TEMPLATE, CHAT).opened == ""


def test_what_is_held_to_a_form_or_given_has_no_thoughts(folder: Path) -> None:
    loaded = tokenizer(folder)
    held = Request(CHAT.messages, Sampling(structured=Structured(choice=("a", "b"))))
    assert encoded(loaded, OPENING, held).opened == ""
    assert encoded(loaded, OPENING, Request(CHAT.messages, Sampling(), continuation="light")).opened == ""
    assert encoded(loaded, OPENING, Request([], Sampling(), raw="a <think>")).opened == ""
