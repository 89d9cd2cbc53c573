"""Resolve model names: a local folder by its content, a Hub id by its commit."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from potstill.engine.digests import path_digest
from potstill.errors import BadInput, RequestError
from potstill.models.weights import beside, no_model

if TYPE_CHECKING:
    from potstill.models.protocols import ModelSource

NOT_THE_MODEL = ("README.md", "manifest.json", "log.txt", "lost.jsonl", ".gitattributes")
"""Files of a model folder that can't change what it answers."""
OF_A_MODEL = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "LICENSE*", "LICENCE*", "NOTICE*")
"""Files that are downloaded of a model on the Hub: weights, tokenizer, configuration, licences; no pickles."""
NOT_OF_A_MODEL = ("consolidated*", "original/*", "onnx/*", "openvino/*")
"""Files that are not: second copies of the weights, which may be as large as the first."""
EXPORTED = ("model.gguf", "genai_config.json", "openvino_model.xml", "model.onnx", "encoder_model.onnx", "model.pte")
"""Files that mark a folder as exported for one runtime."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def model_identity(model: object) -> dict[str, Any]:
    """Return what the key of a step holds for `model`.

    Raises:
        BadInput: it is neither a model folder nor a Hub id that can be resolved.
    """
    if hasattr(model, "identity"):
        return {"teacher": type(model).__name__, **model.identity()}
    if is_local(model):
        folder = Path(model).expanduser()
        problem = folder_problem(folder, exports=True)
        if problem:
            raise BadInput(problem)
        return {"content": path_digest(folder, skip=NOT_THE_MODEL)}
    return {"hub": str(model), "commit": hub_commit(str(model))}


def corrections_of(model: object, fields: Collection[str] = ()) -> dict[str, str]:
    """Return what earlier versions computed wrongly of `model`, a folder or a Hub id; empty for most.

    It goes into the keys of steps that take the model, whose `fields` are set (`corrected.corrections`).
    """
    from potstill.models.corrected import READ, corrections

    if is_local(model):
        return corrections(Path(model).expanduser(), fields)
    from huggingface_hub import snapshot_download

    folder = snapshot_download(str(model), revision=hub_commit(str(model)), allow_patterns=list(READ))
    return corrections(Path(folder), fields)


def is_local(model: object) -> TypeGuard[str | Path]:
    """Return whether `model` names a local folder rather than a Hub id."""
    text = str(model)
    looks_local = text.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(text)
    return isinstance(model, Path) or looks_local or Path(text).exists()


def folder_of(model: ModelSource, *, exports: bool = False) -> Path:
    """Return the folder of `model` (a folder, a Hub id, or a teacher that names one).

    A Hub id's is its snapshot in the local cache, downloaded if needed. What was written for one runtime is a model
    only for who reads `exports`.

    Raises:
        BadInput: there is no such model.
    """
    named = getattr(model, "model", model)
    if is_local(named):
        folder = Path(named).expanduser()
        # an adapter beside it changes no key, so it is no matter of `folder_problem`
        problem = folder_problem(folder, exports=exports) or beside(folder)
        if problem:
            raise BadInput(problem)
        return folder
    from huggingface_hub import snapshot_download

    commit, taken = hub_commit(str(named)), list(OF_A_MODEL)
    folder = Path(
        snapshot_download(str(named), revision=commit, allow_patterns=taken, ignore_patterns=list(NOT_OF_A_MODEL))
    )
    if beside(folder):
        raise BadInput(beside(folder))
    return folder


def export_in(folder: Path) -> str:
    """Return the file that marks `folder` as an export for one runtime; an empty text for a Hugging Face folder."""
    if any(folder.glob("*.safetensors")):
        return ""
    return next((name for name in EXPORTED if (folder / name).is_file()), "")


def folder_problem(folder: Path, *, exports: bool = False) -> str:
    """Return why `folder` is no model folder, or an empty text; one written for a runtime is none but for `exports`."""
    if not folder.exists():
        return f"no model at {folder}: the folder does not exist; give a model folder, a Hub id or a step"
    if not folder.is_dir() or not (folder / "config.json").is_file():
        return no_model(folder)
    export = export_in(folder)
    if export:
        text = f"no model at {folder} for this step: it was exported ({export}); give the model that it was made from"
        return "" if exports else text
    if not list(folder.glob("*.safetensors")):
        return f"no model at {folder}: it has no *.safetensors weights (pickled weights are not loaded)"
    return ""


def hub_commit(name: str) -> str:
    """Return the commit that the Hub id `name` stands for now; offline, the one in the local cache.

    Raises:
        BadInput: neither the Hub nor the local cache knows it.
    """
    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    cached = try_to_load_from_cache(name, "config.json")
    # cached snapshots lie in folders that are named by their commit
    if isinstance(cached, str) and constants.HF_HUB_OFFLINE:
        return Path(cached).parent.name
    try:
        commit = HfApi().model_info(name, timeout=20).sha
    except Exception as error:  # the hub raises many kinds; all mean that it can't be resolved
        if isinstance(cached, str):
            return Path(cached).parent.name
        raise BadInput(f"the model {name!r} can't be found: no such folder, and the Hub says {error}") from error
    if commit is None:
        raise RequestError(f"the Hub gives no commit for {name!r}")
    return str(commit)
