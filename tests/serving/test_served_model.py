"""A folder is served by the runtime that it was written for; what has none here is refused by name."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from potstill.errors import BadInput, MissingExtra
from potstill.serving.served_model import served_model


def folder_of(folder: Path, config: dict[str, Any], *files: str) -> Path:
    """Write a folder with a config and empty files."""
    (folder / "config.json").write_text(json.dumps(config))
    for name in files:
        (folder / name).write_text("{}")
    return folder


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let packages be as if they were not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in packages else find(name))


CAUSAL = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


def test_a_language_model_without_vllm_is_served_by_transformers_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, CAUSAL, "tokenizer_config.json", "model.safetensors")
    without(monkeypatch, "vllm")
    served = served_model(folder, "student")
    assert (served.kind, served.runtime) == ("chat", "transformers")
    assert "vLLM" in served.note and "pip install" in served.note
    with pytest.raises(MissingExtra, match="vllm"):
        served_model(folder, "student", "vllm")


@pytest.mark.parametrize(
    ("file", "package", "said"),
    [
        ("model.gguf", "llama_cpp", "llama.cpp.*pip install llama-cpp-python"),
        ("genai_config.json", "onnxruntime_genai", r"onnxruntime-genai.*pip install \"potstill\[onnx\]\""),
        ("model.onnx", "onnxruntime", r"onnxruntime.*pip install \"potstill\[onnx\]\""),
        ("model.pte", "executorch", "ExecuTorch, which runs on devices"),
    ],
)
def test_an_export_whose_runtime_is_not_here_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, package: str, said: str
) -> None:
    without(monkeypatch, package)
    with pytest.raises((BadInput, MissingExtra), match=said):
        served_model(folder_of(tmp_path, CAUSAL, file), "student")


def test_a_runtime_can_be_chosen_only_for_a_language_model_that_no_export_binds(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--runtime vllm: student was exported for another runtime"):
        served_model(folder_of(tmp_path, CAUSAL, "model.gguf"), "student", "vllm")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"architectures": ["BertForTokenClassification"]}, "BertForTokenClassification, which is not served"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "is an encoder-decoder"),
        ({}, "no architecture"),
        (CAUSAL, "has no tokenizer"),
        (
            {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "score"}},
            "a number for a text and no classes",
        ),
    ],
)
def test_what_nothing_serves_is_refused(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        served_model(folder_of(tmp_path, config, "model.safetensors"), "m")
