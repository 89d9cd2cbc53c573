"""Which models a run's chat may ask, and with which prompts: its teachers, and every causal model that it made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from potstill.looking.all_runs import Step
from potstill.ui.chat_endpoints import SETTINGS as ENDPOINT_SETTINGS
from potstill.ui.chat_endpoints import Allowed, key_variable_for

ENGINES = ("Transformers", "VLLM")
"""Teachers that load a model here."""
SETTINGS = ("system", "dtype", "max_model_length", "thinking", "quantization")
"""Of a teacher's settings, those that its answers depend on."""


@dataclass(frozen=True)
class ChatModel:
    """A model that can be asked."""

    id: str
    """What stands for it in requests: the key of the artifact, or of the step that asked the teacher."""
    label: str
    """Its name in the run."""
    kind: str
    """`teacher` or `student`."""
    engine: str
    """Name of the class that runs it."""
    model: str
    """Hub id or folder."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the engine."""


@dataclass(frozen=True)
class ChatPrompt:
    """A template that a step of the run puts questions into."""

    id: str
    """Key of the first step that has it."""
    label: str
    """Names of the template and of that step."""
    text: str
    """The template."""


def models_of(steps: Iterable[Step], allowed: Sequence[Allowed] = ()) -> list[ChatModel]:
    """Return the models of a run, teachers first; those behind an address if that is `allowed`, or on this machine."""
    models: dict[tuple[str, str, str], ChatModel] = {}
    for step in steps:
        for model in [*_teachers(step, allowed), *_students(step)]:
            models.setdefault((model.engine, model.model, str(model.settings.get("base_url", ""))), model)
    return sorted(models.values(), key=lambda model: model.kind != "teacher")


def prompts_of(steps: Iterable[Step]) -> list[ChatPrompt]:
    """Return the templates of a run that ask for nothing but an instruction."""
    prompts: dict[str, ChatPrompt] = {}
    for step in steps:
        if step.artifact is None:
            continue
        values = step.artifact.manifest.get("identity", {}).get("params", {})
        text = _template(values.get("prompt"))
        if text and "instruction" in text:
            name = str(step.artifact.manifest["params"].get("prompt", ""))
            name = name if len(name) < 80 and "\n" not in name else "template"
            label = f"{name}, as in {step.history.name}"
            prompts.setdefault(text, ChatPrompt(step.artifact.key, label, text))
    return list(prompts.values())


def _template(value: object) -> str:
    """Return the text of a template in an identity, or nothing."""
    if isinstance(value, list) and len(value) == 2 and value[0] == "dict" and isinstance(value[1], list):
        name, text = value[1][:2] if len(value[1]) == 2 else ("", "")
        if name == "template" and isinstance(text, list) and len(text) == 2:
            return str(text[1])
    if isinstance(value, list):
        return next((text for one in value if (text := _template(one) or _pair(one))), "")
    return ""


def _pair(value: object) -> str:
    """Return the text in `[["str", "template"], ["str", TEXT]]`, or nothing."""
    if isinstance(value, list) and len(value) == 2 and value[0] == ["str", "template"]:
        return str(value[1][1]) if isinstance(value[1], list) and len(value[1]) == 2 else ""
    return ""


def _teachers(step: Step, allowed: Sequence[Allowed]) -> Iterator[ChatModel]:
    """Yield the teachers that a step asked and that load a model here, or may be asked at their address."""
    if step.artifact is None:
        return
    covered = step.artifact.manifest.get("identity", {}).get("params", {})
    for name, settings in step.artifact.manifest["params"].items():
        identity = covered.get(name)
        engine = identity[1] if isinstance(identity, list) and len(identity) > 1 and identity[0] == "identity" else ""
        if engine == "Endpoint" and isinstance(settings, Mapping):
            yield from _endpoint(step.artifact.key, settings, allowed)
        if engine not in ENGINES or not isinstance(settings, Mapping) or settings.get("trust_remote_code"):
            continue
        model = settings.get("model")
        # a teacher that a step made is among the students
        if isinstance(model, str) and (Path(model).is_dir() or not Path(model).is_absolute()):
            own = {key: settings[key] for key in SETTINGS if settings.get(key) not in (None, "")}
            yield ChatModel(step.artifact.key, Path(model).name or model, "teacher", str(engine), model, own)


def _endpoint(key: str, settings: Mapping[str, Any], allowed: Sequence[Allowed]) -> Iterator[ChatModel]:
    """Yield a teacher behind an address, if that may be asked; the store's own words on keys and hosts don't count."""
    base_url, model = settings.get("base_url"), settings.get("model")
    variable = key_variable_for(base_url, allowed) if isinstance(base_url, str) else None
    if variable is None or not isinstance(model, str):
        return
    own = {name: settings[name] for name in ENDPOINT_SETTINGS if settings.get(name) not in (None, "", [], {})}
    yield ChatModel(key, model, "teacher", "Endpoint", model, {**own, "base_url": base_url, "api_key_env": variable})


def _students(step: Step) -> Iterator[ChatModel]:
    """Yield the model that a step made, if it is a language model."""
    if step.artifact is None or step.artifact.manifest["makes"] != "model":
        return
    try:
        config = json.loads((step.artifact.path / "config.json").read_text(encoding="utf-8"))
        kinds = [str(one) for one in config.get("architectures") or ()]
    except (OSError, ValueError, RecursionError, AttributeError):
        return
    tokenizes = (step.artifact.path / "tokenizer_config.json").is_file()
    if tokenizes and any(kind.endswith("ForCausalLM") for kind in kinds):
        path = str(step.artifact.path)
        yield ChatModel(step.artifact.key, step.history.name, "student", "Transformers", path)
