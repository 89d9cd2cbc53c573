"""The one way to load a model's weights: nothing is made up, put on unasked, or found out after the work is done."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.models.corrected import CAP
from potstill.models.weights import beside, weight_files

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig, PretrainedModel

NAMED = 4
"""Most tensors that a message names."""
TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id")
"""What stays of settings of generation that transformers would not save again."""
UNCAPPED = ("sdpa", "paged|sdpa")
"""Implementations of attention that silently ignore the bound of its logits; others apply it."""
_LOG = logging.getLogger(__name__)


def config_of(folder: str | Path) -> ModelConfig:
    """Return the configuration of the model in `folder`.

    Raises:
        BadInput: transformers does not know its type, or knows it by code in the folder only, which is not run.
    """
    from transformers import AutoConfig, __version__

    try:
        config: ModelConfig = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, KeyError) as error:
        from transformers import PretrainedConfig

        stored, _ = PretrainedConfig.get_config_dict(folder)
        kind = f"is of type {stored.get('model_type') or 'none'!r}"
        if "auto_map" in stored:
            raise BadInput(
                f"the model {folder} {kind} and brings code of its own, which is not run: give one of a type that "
                f"transformers {__version__} knows"
            ) from error
        raise BadInput(
            f"the model {folder} {kind}, which transformers {__version__} can't read: "
            f"{_first_line(error)}; give one of a type that it knows"
        ) from error
    if getattr(config, "is_encoder_decoder", False) and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = _decoder_start(folder)
    return config


def _decoder_start(folder: str | Path) -> int | None:
    """Return what a decoder reads first, by the settings of generation; transformers 5 saves it there only."""
    from transformers import GenerationConfig

    try:
        start: int | None = GenerationConfig.from_pretrained(folder).decoder_start_token_id
    except (OSError, ValueError):
        return None
    return start


def quantized_as(folder: str | Path) -> str:
    """Return how the weights in `folder` are quantized, an empty text if they are not."""
    stored = getattr(config_of(folder), "quantization_config", None) or {}
    return str(stored.get("quant_method") or "")


def pretrained(
    kind: Any, folder: str | Path, use: str, options: Mapping[str, Any], *, new_head: bool = False
) -> PretrainedModel:
    """Load the model in `folder`, a Hub id or a folder, as the class `kind` of transformers.

    Args:
        kind: an `Auto` class or the class of one architecture.
        folder: where it lies.
        use: what it is to do, to end a message.
        options: further arguments of `from_pretrained`, such as `dtype`.
        new_head: whether what lies outside of the base model may be missing, because it is newly initialized.

    Raises:
        BadInput: it can't be loaded as `kind`, lacks weights, or has an adapter beside its weights.
    """
    if Path(folder).is_dir() and not options.get("trust_remote_code"):
        _refuse_other_kinds(kind, folder, config_of(folder))
    problem = beside(Path(folder))
    if problem:
        raise BadInput(problem)
    if Path(folder).is_dir() and (own := _quantized_experts(kind, Path(folder), options)):
        return own
    from safetensors import SafetensorError

    try:
        model, report = kind.from_pretrained(folder, use_safetensors=True, output_loading_info=True, **options)
    except (OSError, ValueError) as error:
        raise BadInput(f"the model {folder} can't {use}: {_first_line(error)}") from error
    except SafetensorError as error:
        text = f"the weights of the model {folder} are no whole safetensors file: {_first_line(error)}"
        raise BadInput(f"{text}; copy or make it again") from error
    if getattr(model, "_hf_peft_config_loaded", False):
        raise BadInput(f"{folder} holds an adapter: give a model that it was merged into")
    _refuse_missing(model, report, folder, new_head)
    repair_generation(model)
    apply_cap(model)
    loaded: PretrainedModel = model
    return loaded


def apply_cap(model: PretrainedModel) -> None:
    """Have `model` bound its attention's logits, as its config says and as vLLM and llama.cpp do.

    transformers computes attention by PyTorch's kernel by default, which knows no bound: the model that is trained
    would be another than the one that is served.
    """
    config = model.config
    parts = [config, config.get_text_config(), *(getattr(config, part, None) for part in ("encoder", "decoder"))]
    if not any(getattr(part, CAP, None) for part in parts):
        return
    if any(getattr(part, "_attn_implementation", None) in UNCAPPED for part in parts):
        model.set_attn_implementation("eager")


def without_weights(kind: Any, folder: str | Path, dtype: Any) -> PretrainedModel:
    """Return the model in `folder` as `pretrained` would, but with parameters that have no values and take no memory.

    Its buffers, which follow from the config, are there.
    """
    from accelerate import init_empty_weights
    from transformers.initialization import no_init_weights

    with no_init_weights(), init_empty_weights(include_buffers=False):
        model: PretrainedModel = kind.from_config(config_of(folder), dtype=dtype)
    model.tie_weights()  # type: ignore[operator]  # accelerate gives each layer a parameter of its own
    apply_cap(model)
    return model


def _quantized_experts(kind: Any, folder: Path, options: Mapping[str, Any]) -> PretrainedModel | None:
    """Return the mixture of experts in `folder` if it is one in the compressed-tensors format, which we read ourselves.

    Raises:
        BadInput: a weight of it is missing, or nothing reads one.
    """
    config = config_of(folder)
    # asked first, so that other models need not import torch for it
    if (getattr(config, "quantization_config", None) or {}).get("quant_method") != "compressed-tensors":
        return None
    from transformers import GenerationConfig

    from potstill.compression.formats import expert_checkpoint

    if not expert_checkpoint.holds_experts(config):
        return None
    classes = getattr(kind, "_model_mapping", None)
    own = kind if classes is None else classes[type(config)]
    model = expert_checkpoint.load(own, weight_files(folder), config, options)
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
    repair_generation(model)
    return model


def _refuse_other_kinds(kind: Any, folder: str | Path, config: ModelConfig) -> None:
    """Make sure that the `Auto` class `kind` knows the type of the model in `folder`.

    Raises:
        BadInput: it doesn't, such as of many models that see images; the message names the text part.
    """
    classes = getattr(kind, "_model_mapping", None)
    if classes is None or type(config) in classes:
        return
    text = config.get_text_config()
    what = f"the model {folder} is of type {config.model_type}, which can't be loaded as {kind.__name__}"
    if text is not config:
        raise BadInput(f"{what}: it sees images too. Take its text part first, by TextPart(model)")
    raise BadInput(f"{what}: give a model of such a type")


def check_complete(kind: Any, folder: Path) -> None:
    """Make sure that the model in `folder` has all weights of the class `kind`, for who loads it by another library.

    Only the headers of its files are read: on the meta device nothing is loaded.

    Raises:
        BadInput: it lacks weights, or has an adapter beside them.
    """
    pretrained(kind, folder, "be loaded", {"device_map": "meta"})


def repair_generation(model: Any) -> None:
    """Make the model's settings of generation ones that can be saved: transformers reads what it then refuses.

    Sampling settings without `do_sample` mean sampling. Of others that are refused only the special tokens stay.
    """
    from transformers import GenerationConfig

    own = getattr(model, "generation_config", None)
    if own is None or _can_be_saved(own):
        return
    own.do_sample = True
    if not _can_be_saved(own):
        _LOG.warning("the model's generation_config.json is not valid: only its special tokens are kept")
        special = {name: getattr(own, name, None) for name in TOKENS}
        model.generation_config = GenerationConfig(**special)


def _can_be_saved(settings: Any) -> bool:
    try:
        settings.validate(strict=True)
    except ValueError:
        return False
    return True


def _refuse_missing(model: Any, report: Mapping[str, Any], folder: str | Path, new_head: bool) -> None:
    """Refuse a model of which weights were not found.

    Raises:
        BadInput: they would be random numbers.
    """
    missing = lacking(report)
    if new_head:
        start = f"{model.base_model_prefix}."
        missing = [name for name in missing if name.startswith(start)]
    # only classifiers of texts read it, and all others are saved without
    if new_head or "ForSequenceClassification" not in type(model).__name__:
        missing = outside_pooler(missing)
    if missing:
        over = sorted(report["unexpected_keys"] or ())
        others = f"; it holds {some(over)}, which nothing reads" if over else ""
        raise BadInput(
            f"the model {folder} lacks weights of a {type(model).__name__}, which would be random: "
            f"{some(missing)}{others}; give a complete one, saved by save_pretrained"
        )


def lacking(report: Mapping[str, Any]) -> list[str]:
    """Return the names of weights that a loading `report` of transformers lists as missing, or in another shape."""
    # a mismatch comes with both shapes behind its name
    mismatched = {entry if isinstance(entry, str) else entry[0] for entry in report.get("mismatched_keys") or ()}
    return sorted({*(report["missing_keys"] or ()), *mismatched})


def outside_pooler(names: list[str]) -> list[str]:
    """Return the names but those of a pooler: models that vectors are not taken from are saved without one."""
    return [name for name in names if "pooler" not in name.split(".")]


def some(names: list[str]) -> str:
    """Return the first of the names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _first_line(error: Exception) -> str:
    """Return what an error of transformers says before it lists all that it knows."""
    text = str(error).strip().partition("\n")[0]
    return text.partition("Model type should be one of")[0].strip().rstrip(".")
