"""A LoRA adapter's folder: what its content is, and the rank that an engine must make room for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from potstill.errors import BadInput

CONFIG = "adapter_config.json"
"""File that makes a folder an adapter (written by peft)."""


def adapter_identity(adapter: object) -> dict[str, Any]:
    """Return what a key holds for `adapter`: a local folder by its content, a Hub id by its resolved commit.

    Raises:
        BadInput: it is neither an adapter's folder nor a Hub id that can be resolved.
    """
    from potstill.engine.digests import path_digest
    from potstill.models.identity import NOT_THE_MODEL, hub_commit, is_local

    if not is_local(adapter):
        return {"hub": str(adapter), "commit": hub_commit(str(adapter))}
    folder = Path(adapter).expanduser()
    if not (folder / CONFIG).is_file() or not list(folder.glob("*.safetensors")):
        missing = "the folder does not exist" if not folder.exists() else f"it needs {CONFIG} and *.safetensors weights"
        raise BadInput(f"no LoRA adapter at {folder}: {missing}; give a folder that peft's save_pretrained wrote")
    return {"content": path_digest(folder, skip=NOT_THE_MODEL)}


def adapter_folder(adapter: object) -> Path:
    """Return the folder of `adapter`, downloaded if it is a Hub id."""
    from potstill.models.identity import is_local

    identity = adapter_identity(adapter)
    if is_local(adapter):
        return Path(adapter).expanduser()
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(identity["hub"], revision=identity["commit"]))


def adapter_rank(folder: Path) -> int:
    """Return the highest rank of any layer of the adapter."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return max(int(config.get("r", 8)), *(int(rank) for rank in config.get("rank_pattern", {}).values()), 1)
