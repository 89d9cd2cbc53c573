"""The files of a model folder that hold its weights: one copy of them, and nothing that only lies beside it."""

from __future__ import annotations

import json
from pathlib import Path

ONE_FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""Says which file holds which tensor, where there are several."""
ADAPTER = "adapter_config.json"
"""Marks a folder that peft wrote."""
BESIDE = ("adapter_*", "consolidated*")
"""Weights that are no model or the same model once more, as Mistral's own programs read it."""


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that transformers loads of the model in `folder`, sorted.

    Repositories hold more: a second copy in one file (`consolidated.safetensors`), an adapter.
    """
    if (folder / ONE_FILE).is_file():
        return [folder / ONE_FILE]
    if (folder / INDEX).is_file():
        names = set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        return sorted(folder / name for name in names)
    files = sorted(folder.glob("*.safetensors"))
    return [file for file in files if not any(file.match(pattern) for pattern in BESIDE)]


def beside(folder: Path) -> str:
    """Return why the files in `folder` don't say which model is meant, or an empty text.

    transformers puts an adapter that lies beside a full model onto it, unasked.
    """
    if (folder / ADAPTER).is_file() and (folder / "config.json").is_file():
        return (
            f"{folder} holds a whole model and an adapter ({ADAPTER}), which transformers would put onto it unasked: "
            "take the adapter's files out of the folder, or merge them into the weights"
        )
    return ""


def no_model(folder: Path) -> str:
    """Return what `folder`, in which there is no config.json, is instead of a model."""
    if (folder / ADAPTER).is_file():
        base = json.loads((folder / ADAPTER).read_text(encoding="utf-8")).get("base_model_name_or_path") or "its base"
        return (
            f"no model at {folder}: it is an adapter of {base}; give that model, or merge the adapter into it "
            "(LoRA's merge=True)"
        )
    if folder.suffix == ".gguf" or any(folder.glob("*.gguf")):
        return (
            f"no model at {folder}: GGUF is what llama.cpp runs, and nothing is made from it; give the model that it "
            "was made from"
        )
    return f"no model at {folder}: it has no config.json; give a folder written by save_pretrained"
