"""Kinds of layers in models that alternate them (sliding and full attention, dense and experts), kept when some go."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

    from potstill.compression.pretrained import PretrainedModel

NUMBERED = re.compile(r"layer_?(idx|id|index|number)|store_full_length_kv")
"""Names of attributes that follow from a layer's place, which is no difference in kind."""
NUMBER_LISTS = ("mlp_only_layers", "moe_layers", "full_attn_idxs", "attn_layer_indices", "hybrid_layer_ids")
"""Fields of configs that list numbers of layers, rather than an entry for each layer."""
RECURRENT = ("linear_attention", "mamba", "conv", "recurrent")
"""Kinds of layers that keep no keys and values; generation fails where a model of them has no other layer left."""


def layer_kinds(model: PretrainedModel, layers: Sequence[nn.Module]) -> list[Hashable]:
    """Return the kind of each of a model's `layers`: equal ones are made alike, and differ in their weights alone."""
    types = getattr(model.config.get_text_config(), "layer_types", None) or [None] * len(layers)
    return [(name, frozenset(_switches(layer).items())) for name, layer in zip(types, layers, strict=True)]


def spread(kinds: Sequence[Hashable], every: int) -> tuple[int, ...]:
    """Return the first of each `every` layers; chosen within each kind where that would leave a kind out.

    >>> spread("aaaaaa", 2)
    (0, 2, 4)
    >>> spread("abababab", 2)
    (0, 1, 4, 5)
    """
    plain = tuple(range(0, len(kinds), every))
    if not lost(kinds, plain):
        return plain
    return tuple(sorted(place for places in _by_kind(kinds).values() for place in places[::every]))


def most(kinds: Sequence[Hashable], scores: Sequence[float], count: int) -> tuple[int, ...]:
    """Return the places of the `count` highest scores, in order; chosen within each kind if else a kind were left out.

    Each kind then has its share of the model, and at least one layer.

    >>> most("aaa", [0.3, 0.1, 0.2], 2)
    (0, 2)
    >>> most("aaab", [0.3, 0.4, 0.2, 0.1], 2)
    (1, 3)

    Raises:
        BadInput: there are more kinds than layers to keep.
    """
    plain = _highest(range(len(scores)), scores, count)
    if not lost(kinds, plain):
        return plain
    groups = list(_by_kind(kinds).values())
    if len(groups) > count:
        raise BadInput(
            f"{count} layers can't hold the {len(groups)} kinds of layers that the model alternates: keep at least "
            f"{len(groups)}"
        )
    shares = [1] * len(groups)
    for _ in range(count - len(groups)):
        # the kind that lacks most of its share gets the next layer
        lacking = [len(places) * count / len(kinds) - share for places, share in zip(groups, shares, strict=True)]
        shares[lacking.index(max(lacking))] += 1
    places_kept = [_highest(places, scores, share) for places, share in zip(groups, shares, strict=True)]
    return tuple(sorted(place for places in places_kept for place in places))


def lost(kinds: Sequence[Hashable], chosen: Iterable[int]) -> list[int]:
    """Return the first layer of each kind that none of the `chosen` layers is of."""
    chosen_kinds = {kinds[place] for place in chosen}
    return [places[0] for kind, places in _by_kind(kinds).items() if kind not in chosen_kinds]


def check_can_generate(model: PretrainedModel, chosen: Sequence[int]) -> None:
    """Check that a model with attention keeps some.

    Raises:
        BadInput: only layers that keep no keys and values would stay.
    """
    types = list(getattr(model.config.get_text_config(), "layer_types", None) or ())
    attention = [place for place, name in enumerate(types) if name not in RECURRENT]
    if types and attention and not set(attention) & set(chosen):
        raise BadInput(
            f"layers {list(chosen)} hold no attention, and a model of type {model.config.model_type!r} can't generate "
            f"without: keep some of {attention}"
        )


def cut_config(config: Any, chosen: Sequence[int], count: int) -> None:
    """Make a text config of `count` layers one of the `chosen` ones, in every field that depends on their numbers.

    Raises:
        BadInput: a field ties layers to others, or to their numbers, in a way that can't be kept.
    """
    if list(chosen) != list(range(count)):
        _refuse_ties(config)
    _cut_experts(config, chosen)
    for key, value in list(vars(config).items()):
        if key in NUMBER_LISTS and value is not None:
            setattr(config, key, [new for new, old in enumerate(chosen) if old in value])
        # a key like `layer_types`; a list of the same length under another name may count something else
        elif "layer" in key and isinstance(value, (list, tuple)) and len(value) == count:
            setattr(config, key, [value[old] for old in chosen])
    if getattr(config, "attention_types", None):  # GPT-Neo reads its list of layers from this one
        config.attention_types = [[[kind], 1] for kind in config.attention_layers]
    # Gemma 4's settings of single layers, by number; transformers checks them against the count
    settings = config.to_dict().get("per_layer_config") or {}
    config.num_hidden_layers = len(chosen)
    if settings:
        config.per_layer_config = {new: settings[str(old)] for new, old in enumerate(chosen) if str(old) in settings}


def differences(before: Sequence[nn.Module], after: Sequence[nn.Module]) -> list[int]:
    """Return the places of layers that are not of the same make in both lists."""
    pairs = enumerate(zip(before, after, strict=False))
    differing = [place for place, (old, new) in pairs if _make(old) != _make(new)]
    return differing + list(range(min(len(before), len(after)), max(len(before), len(after))))


def _refuse_ties(config: Any) -> None:
    """Refuse configs that tie layers to others or to their numbers.

    Raises:
        BadInput: it does.
    """
    if getattr(config, "scale_attn_by_inverse_layer_idx", False):
        raise BadInput(
            "scale_attn_by_inverse_layer_idx divides a layer's attention by its number, which changes when layers go: "
            "keep all layers"
        )
    if getattr(config, "num_kv_shared_layers", 0):
        raise BadInput(
            f"the last {config.num_kv_shared_layers} layers read keys and values of others (num_kv_shared_layers), "
            "which may be left out: keep all layers"
        )


def _cut_experts(config: Any, chosen: Sequence[int]) -> None:
    """Write which layers are dense into fields that say it by number: every n-th, or the first n."""
    step = getattr(config, "decoder_sparse_step", None) or 1
    if step != 1:
        dense = [new for new, old in enumerate(chosen) if (old + 1) % step or old in config.mlp_only_layers]
        # `cut_config` renumbers the list: old numbers go in
        config.mlp_only_layers, config.decoder_sparse_step = [chosen[new] for new in dense], 1
    first = getattr(config, "first_k_dense_replace", None)
    if first is not None:
        config.first_k_dense_replace = sum(old < first for old in chosen)


def _by_kind(kinds: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """Return the places of each kind."""
    places: dict[Hashable, list[int]] = {}
    for place, kind in enumerate(kinds):
        places.setdefault(kind, []).append(place)
    return places


def _highest(places: Iterable[int], scores: Sequence[float], count: int) -> tuple[int, ...]:
    """Return those of `places` with the `count` highest scores, in order."""
    return tuple(sorted(sorted(places, key=lambda place: -scores[place])[:count]))


def _switches(layer: nn.Module) -> dict[tuple[str, str], Hashable]:
    """Return what a layer consists of, with its settings that are no measures: classes, flags, names."""
    return {
        name: value if isinstance(value, (bool, str)) or value in (0, 1) else type(value).__name__
        for name, value in _make(layer).items()
    }


def _make(layer: nn.Module) -> dict[tuple[str, str], Hashable]:
    """Return the class, weights' shapes and plain settings of every module within a layer, but for its number."""
    switches: dict[tuple[str, str], Hashable] = {}
    for path, module in layer.named_modules():
        switches[path, "class"] = type(module).__name__
        for name, weight in module.named_parameters(recurse=False):
            switches[path, name] = str(tuple(weight.shape))
        for name, value in vars(module).items():
            plain = isinstance(value, (bool, int, float, str)) or value is None
            if plain and not name.startswith("_") and name != "training" and not NUMBERED.search(name):
                switches[path, name] = value
    return switches
