"""Kinds of models that earlier versions computed wrongly: a part of the key marks them, and them alone.

Results that were made of such models before are then no hits, while the keys of all others stay as they were. Nothing
heavy is imported: a plan reads these few files of every model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

CAP = "attn_logit_softcapping"
"""Field of the config that bounds attention's logits: Gemma 2, VaultGemma, T5Gemma."""
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
"""Fields of the config that count the experts of a layer."""
ANSWER = "QxanswerxQ"
"""An answer whose end is looked for in what a template renders; none changes such a word."""
READ = ("config.json", "tokenizer_config.json", "chat_template.jinja", "tokenizer.json")
"""Files that are read here."""
_OWN_TAGS = re.compile(r"{%-?\s*(end)?generation\s*-?%}")
"""What transformers adds to Jinja, which writes nothing."""


def corrections(folder: Path, fields: Collection[str] = ()) -> dict[str, str]:
    """Return what was corrected for the model in `folder`; empty for most.

    Args:
        folder: of a model, or of anything else, which has no corrections.
        fields: what is set of the step that takes it, by name.
    """
    config = _read(folder / "config.json")
    if not config:
        return {}
    corrected = {}
    if any(part.get(CAP) for part in _parts(config)):
        corrected["attention"] = "bounded as the config says"
    if "lora" in fields and any(_is_many(part.get(name)) for part in _parts(config) for name in EXPERTS):
        corrected["adapters"] = "of experts and not of routers"
    end = _other_end_of_turn(folder)
    if end:
        corrected["end of turn"] = end
    return corrected


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a config and those within it, such as that of the text part."""
    yield config
    yield from (part for part in config.values() if isinstance(part, dict))


def _is_many(value: object) -> bool:
    return isinstance(value, int) and value > 1


def _other_end_of_turn(folder: Path) -> str:
    """Return the token by which the chat template ends an answer, if it is not the end of a text, or nothing.

    `chat.end_of_turn` finds it by the tokenizer itself, which takes a second to import.
    """
    settings = _read(folder / "tokenizer_config.json")
    end, start = _text(settings.get("eos_token")), _text(settings.get("bos_token"))
    template = _template(folder, settings)
    if not template or not end:
        return ""
    behind = _behind_answer(template, {"eos_token": end, "bos_token": start})
    if not behind.strip() or behind.lstrip().startswith(end):
        return ""
    added = _read(folder / "tokenizer.json").get("added_tokens") or settings.get("added_tokens_decoder", {}).values()
    special = {entry["content"] for entry in added if entry.get("special")} | {end}
    places = [(behind.find(token), -len(token), token) for token in special - {start, ""} if token in behind]
    first = min(places)[2] if places else end
    return "" if first == end else first


def _behind_answer(template: str, tokens: Mapping[str, str]) -> str:
    """Return what a chat template writes behind an answer; nothing if it refuses the chat."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    sandbox = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    sandbox.filters["tojson"] = lambda value, **_: json.dumps(value)
    sandbox.globals |= {"strftime_now": lambda form: form, "raise_exception": _refuse}
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": ANSWER}]
    try:
        rendered = sandbox.from_string(_OWN_TAGS.sub("", template)).render(
            messages=chat, add_generation_prompt=False, tools=None, documents=None, **tokens
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
        return ""
    return rendered.rpartition(ANSWER)[2] if ANSWER in rendered else ""


def _refuse(message: str = "") -> None:
    """Raise as a template wants.

    Raises:
        TemplateError: always.
    """
    from jinja2 import TemplateError

    raise TemplateError(message)


def _template(folder: Path, settings: Mapping[str, Any]) -> str:
    """Return the chat template of the tokenizer in `folder`; of several the default."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    stored = settings.get("chat_template") or ""
    if isinstance(stored, list):
        stored = {entry["name"]: entry["template"] for entry in stored}
    return str(stored.get("default", "") if isinstance(stored, dict) else stored)


def _text(token: Any) -> str:
    """Return the text of a special token as configs write it: alone, or with settings."""
    return str((token.get("content") if isinstance(token, dict) else token) or "")


def _read(path: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one where there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
