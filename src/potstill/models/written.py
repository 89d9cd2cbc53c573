"""A check behind every step that writes a model: that its folder loads as the model that was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, PotstillError
from potstill.models.loading import config_of, lacking, outside_pooler, quantized_as, some
from potstill.models.weights import weight_files

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


def check_written(folder: Path, chosen: tuple[PretrainedModel, str] | None = None) -> None:
    """Check that the model which a step wrote to `folder` loads: no weight of it is missing or left over.

    Only the headers of its files are read. Quantized ones, whose names say how they are stored, are not checked.

    Args:
        folder: where it was written.
        chosen: of a model whose layers a user chose, what was written and the path of its list of layers, which are
            compared too: each must be of the same kind again.

    Raises:
        BadInput: the config does not say what the `chosen` layers are, so that some would be made up.
        PotstillError: another model does not load; the step has a bug, or its configuration does not fit what it wrote.
    """
    import transformers

    if not (folder / "config.json").is_file() or not weight_files(folder):
        return
    if not chosen and quantized_as(folder):
        return
    name = type(chosen[0]).__name__ if chosen else (config_of(folder).architectures or ["AutoModel"])[0]
    kind: Any = type(chosen[0]) if chosen else getattr(transformers, name, None)
    if kind is None:
        return
    problem = _difference(kind, folder, chosen)
    if problem and chosen:
        raise BadInput(
            f"a {name} of these layers can't be written, as its config says by a layer's number what the layer is: "
            f"loaded again, {problem}. Keep layers of the same kinds in the same places (the first ones, say)"
        )
    if problem:
        raise PotstillError(f"the {name} that was written can't be loaded as it is: {problem}")


def _difference(kind: Any, folder: Path, chosen: tuple[PretrainedModel, str] | None) -> str:
    """Return how the model in `folder`, loaded as a `kind`, differs from what was written; an empty text if not."""
    from potstill.compression.layer_kinds import differences

    try:
        # on the meta device nothing is loaded, but transformers compares all names, tied and renamed ones too
        again, report = kind.from_pretrained(folder, use_safetensors=True, output_loading_info=True, device_map="meta")
    except Exception as error:  # noqa: BLE001 - transformers checks configs with errors of its own, of many types
        return f"it is refused: {error}"
    missing, over = outside_pooler(lacking(report)), sorted(report["unexpected_keys"] or ())
    if missing or over:
        parts = [f"{what} {some(which)}" for what, which in (("lacks", missing), ("leaves over", over)) if which]
        return f"it {' and '.join(parts)}; its config.json doesn't fit its weights"
    if chosen:
        model, path = chosen
        pair = (list(each.get_submodule(path).children()) for each in (model, again))
        return f"its layers {apart} are of another kind" if (apart := differences(*pair)) else ""
    return ""
