"""A check behind steps that write a model of other layers: that the folder loads as the model that was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


def check_layers(model: PretrainedModel, path: str, folder: Path) -> None:
    """Check that the model in `folder` has the layers of `model`, which was written there: nothing new, nothing less.

    It is loaded without memory for weights (on torch's meta device), so that no second model lies beside the first.

    Args:
        model: what was written.
        path: that of its list of layers.
        folder: where it was written.

    Raises:
        BadInput: the config does not say what its layers are, so that some would be made up when it is loaded.
    """
    from potstill.compression.layer_kinds import differences

    try:
        kind: Any = type(model)
        again, report = kind.from_pretrained(folder, device_map="meta", output_loading_info=True)
    except Exception as error:  # transformers checks configs with errors of its own, of many types
        raise BadInput(_refusal(model, f"the folder can't be loaded: {error}")) from error
    odd = sorted(set(_names(report, "missing_keys")) | set(_names(report, "mismatched_keys")))
    left = sorted(_names(report, "unexpected_keys"))
    if odd or left:
        named = "; ".join(
            f"{what}: {', '.join(keys[:3])}" for what, keys in (("new", odd), ("left over", left)) if keys
        )
        raise BadInput(_refusal(model, f"loaded again, it has other weights ({named})"))
    differing = differences(list(model.get_submodule(path).children()), list(again.get_submodule(path).children()))
    if differing:
        raise BadInput(_refusal(model, f"loaded again, its layers {differing} are of another kind"))


def _names(report: dict[str, Any], kind: str) -> list[str]:
    """Return the names of the weights that a loading report lists; a mismatch comes with its shapes."""
    return [entry if isinstance(entry, str) else str(entry[0]) for entry in report.get(kind) or ()]


def _refusal(model: PretrainedModel, what: str) -> str:
    """Return the message that these layers can't be kept."""
    return (
        f"a {type(model).__name__} of these layers can't be written, as its config says by a layer's number what the "
        f"layer is: {what}. Keep layers of the same kinds in the same places (the first ones, say)"
    )
