"""The Modelfile that Ollama makes a model of: weights, chat template in Go's language, stop tokens, sampling.

Without a template Ollama sends the bare text, and a chat model answers with garbage. Which template it is, is found by
rendering chats with the model's own and comparing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.compression.pretrained import GenerationConfig
    from potstill.models.protocols import Tokenizer

Chat = Sequence[Mapping[str, str]]
CHATS: tuple[Chat, ...] = (
    ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "One?"}),
    (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "Three?"},
    ),
)
"""Chats that templates are compared on."""


@dataclass(frozen=True)
class Form:
    """One way of writing chats."""

    name: str
    """What it is called."""
    render: Callable[[Chat], str]
    """Writes a chat up to where the answer starts."""
    template: str
    """The same as a Go template."""
    stops: tuple[str, ...]
    """Where an answer ends."""


@dataclass(frozen=True)
class Modelfile:
    """A Modelfile."""

    text: str
    """Its content."""
    kind: str
    """Which template it holds, or why it holds none."""


def _chatml(chat: Chat) -> str:
    turns = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in chat)
    return f"{turns}<|im_start|>assistant\n"


def _llama3(chat: Chat) -> str:
    turns = "".join(
        f"<|start_header_id|>{turn['role']}<|end_header_id|>\n\n{turn['content']}<|eot_id|>" for turn in chat
    )
    return f"{turns}<|start_header_id|>assistant<|end_header_id|>\n\n"


FORMS = (
    Form(
        "ChatML",
        _chatml,
        "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
        ("<|im_end|>",),
    ),
    Form(
        "Llama 3",
        _llama3,
        "{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>{{ end }}"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|eot_id|>",),
    ),
)
"""The ways that we know."""


def modelfile(tokenizer: Tokenizer, file: str, generation: GenerationConfig | None = None) -> Modelfile:
    """Return the Modelfile of the weights in `file`, for a model with `tokenizer` and its generation config."""
    lines = [f"FROM ./{file}"]
    form = form_of(tokenizer)
    if form:
        lines.append(f'TEMPLATE """{form.template}"""')
    stops = dict.fromkeys([*(form.stops if form else ()), *([tokenizer.eos_token] if tokenizer.eos_token else [])])
    lines += [f"PARAMETER stop {quoted(stop)}" for stop in stops if can_be_quoted(stop)]
    lines += [f"PARAMETER {name} {value}" for name, value in sampling(generation).items()]
    # without SYSTEM Ollama sends none, where transformers' template would put the model's own in
    system = own_system(tokenizer, form) if form else ""
    if can_be_quoted(system):
        lines.append(f'SYSTEM """{system}"""')
    return Modelfile("\n".join(lines) + "\n", form.name if form else _why_none(tokenizer))


def form_of(tokenizer: Tokenizer) -> Form | None:
    """Return the known form that the tokenizer's chat template writes, or `None`."""
    if not tokenizer.chat_template:
        return None
    rendered = [_rendered(tokenizer, chat) for chat in CHATS]
    return next((form for form in FORMS if [form.render(chat) for chat in CHATS] == rendered), None)


def own_system(tokenizer: Tokenizer, form: Form) -> str:
    """Return the system prompt that the chat template adds where a chat has none, or an empty text."""
    user = ({"role": "user", "content": "One?"},)
    rendered = _rendered(tokenizer, user)
    # no chat template writes it, so that it can be found again
    mark = "\0"
    around = form.render(({"role": "system", "content": mark}, *user))
    before, _, after = around.partition(mark)
    fits = len(rendered) > len(before) + len(after) and rendered.startswith(before) and rendered.endswith(after)
    return rendered[len(before) : len(rendered) - len(after)] if fits else ""


def sampling(generation: GenerationConfig | None) -> dict[str, Any]:
    """Return Ollama's names and values of what the generation config says of sampling."""
    if generation is None or not generation.do_sample:
        # Ollama's own default is 0.8
        return {"temperature": 0}
    names = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "repetition_penalty": "repeat_penalty"}
    options = {option: getattr(generation, setting, None) for setting, option in names.items()}
    return {name: value for name, value in options.items() if _is_number(value)}


def quoted(text: str) -> str:
    """Return `text` as a Modelfile holds it: Ollama takes off the quotes, and knows no escapes.

    >>> print(quoted("</s>"))
    "</s>"
    """
    marks = '"""' if "\n" in text or "\r" in text or text.startswith('"') else '"'
    return f"{marks}{text}{marks}"


def can_be_quoted(text: str) -> bool:
    """Return whether Ollama reads `text` in quotes as it is.

    It drops what can't be printed, and ends a value at three quotes before the end of a line.
    """
    return bool(text) and all(letter.isprintable() or letter in "\n\r\t" for letter in text) and '"""' not in text


def _is_number(value: object) -> bool:
    """Return whether a setting is a number: a text of an untrusted file could add lines of its own."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _rendered(tokenizer: Tokenizer, chat: Chat) -> str:
    """Render `chat` by the tokenizer's template, without the token that starts every text."""
    try:
        text = tokenizer.apply_chat_template([dict(turn) for turn in chat], add_generation_prompt=True, tokenize=False)
    except Exception:  # noqa: BLE001 - a template may refuse a system prompt by any error; then it is no form we know
        return ""
    return str(text).removeprefix(tokenizer.bos_token or "")


def _why_none(tokenizer: Tokenizer) -> str:
    if not tokenizer.chat_template:
        return "none: the tokenizer has no chat template"
    return "none: the chat template is neither ChatML's nor Llama 3's; use llama-server --jinja, which reads it"
