"""The model that an evaluation measures: what answers for it, where its weights lie, and how large they are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.models.footprint import footprint
from potstill.models.identity import export_in, is_local
from potstill.steps.evaluation.read_model import ReadByTransformers

if TYPE_CHECKING:
    from potstill.teachers.protocol import Teacher, TeacherSource


def teacher_for(model: TeacherSource) -> Teacher:
    """Return what answers for `model`: a folder or a Hub id is served through vLLM, an export by its own runtime."""
    if not isinstance(model, str | Path):
        return model
    if is_local(model) and export_in(Path(model).expanduser()):
        from potstill.steps.evaluation.exported_teacher import ExportedTeacher

        return ExportedTeacher(str(Path(model).expanduser()))
    from potstill.compression.cpu_kernels import unserved
    from potstill.teachers.vllm.teacher import VLLM

    if is_local(model) and unserved(Path(model).expanduser()):
        return ReadByTransformers(str(Path(model).expanduser()))

    return VLLM(str(model))


def weights_folder(model: object) -> Path | None:
    """Return where the weights of `model` (a folder, Hub id or teacher) lie on this machine; `None` if they don't.

    A teacher with a `base_url` answers from elsewhere: its size and memory can't be seen from here.
    """
    if not isinstance(model, str | Path):
        remote = getattr(model, "base_url", None) is not None
        inner = getattr(model, "model", None)
        return None if remote or not isinstance(inner, str | Path) else weights_folder(inner)
    if is_local(model):
        folder = Path(model).expanduser()
        return folder if folder.is_dir() else None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(model), local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def size_on_disk(folder: Path | None) -> dict[str, Any]:
    """Return the sizes of `footprint`, or nulls for a model that is not on this machine."""
    names = ("weights_bytes", "folder_bytes", "parameters", "nonzero_parameters")
    if folder is None:
        return dict.fromkeys((*names, "bits_per_weight"))
    size = footprint(folder)
    return {**asdict(size), "bits_per_weight": size.bits_per_weight}
