"""Vocabulary trimming: keep the tokens that texts use, and those that every other text falls back to.

Abdaoui, Pradel and Sigel 2020, "Load What You Need: Smaller Versions of Multilingual BERT" (arXiv 2010.05609): most
of a small model's parameters are embeddings, and the rows of tokens that never occur can go without changing any other.

A tokenizer is its tokenizer.json here. Shapes: V tokens, H hidden channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

SUPPORTED = "WordPiece (BERT) and byte-level BPE (GPT-2, RoBERTa, Qwen, Llama 3)"
"""The kinds of tokenizers whose vocabulary can be trimmed."""


def kept_tokens(content: Mapping[str, Any], used: Iterable[int]) -> list[int]:
    """Return the ids that a trimmed vocabulary must hold so that the tokens `used` come out as before, least first.

    These are the added tokens, and those without which a text could not be cut any more: for WordPiece the single
    characters, at the start of a word and within, for BPE the bytes and all that `used` tokens are merged from.

    Raises:
        BadInput: the tokenizer is of another kind.
    """
    model, words = content["model"], _ids(content)
    kind = _kind(content)
    ids = set(used) | {token["id"] for token in content.get("added_tokens") or ()}
    ids |= set(_template_ids(content.get("post_processor")))
    if model.get("unk_token") in words:
        ids.add(words[model["unk_token"]])
    names = {number: word for word, number in words.items()}
    ids |= {words[word] for word in _pieces(model, [names[number] for number in ids if number in names], kind)}
    return sorted(ids & names.keys())


def trimmed(content: Mapping[str, Any], kept_ids: Sequence[int]) -> dict[str, Any]:
    """Return a tokenizer.json of the ids `kept_ids` only, renumbered in their order."""
    new = {old: number for number, old in enumerate(kept_ids)}
    tokenizer = deepcopy(dict(content))
    model = tokenizer["model"]
    model["vocab"] = {word: new[number] for word, number in model["vocab"].items() if number in new}
    if "merges" in model:
        model["merges"] = [merge for merge in model["merges"] if _survives(*_pair(merge), model["vocab"])]
    for token in tokenizer.get("added_tokens") or ():
        token["id"] = new[token["id"]]
    tokenizer["post_processor"] = _renumbered_template(tokenizer.get("post_processor"), new)
    if tokenizer.get("padding"):
        tokenizer["padding"]["pad_id"] = new[tokenizer["padding"]["pad_id"]]
    return tokenizer


def renumbered(config: object, new: Mapping[int, int]) -> Any:
    """Return a config with the ids in fields such as `pad_token_id` renumbered; None for a token that is gone."""
    if isinstance(config, Mapping):
        return {
            name: _numbers(value, new) if name.endswith("_token_id") or name in _LISTED else renumbered(value, new)
            for name, value in config.items()
        }
    return config


_LISTED = ("suppress_tokens", "begin_suppress_tokens", "bad_words_ids")
"""Fields of generation configs that hold ids under another name."""


def named_ids(config: object) -> set[int]:
    """Return the ids that a config names."""
    if not isinstance(config, Mapping):
        return set()
    ids: set[int] = set()
    for name, value in config.items():
        ids |= set(_flat(value)) if name.endswith("_token_id") or name in _LISTED else named_ids(value)
    return ids


@torch.no_grad()
def cut_vocabulary(model: PretrainedModel, kept_ids: Sequence[int]) -> None:
    """Leave only the rows `kept_ids` in the embeddings [V, H] of `model`, its output layer [V, H] and bias [V].

    What was tied stays tied.
    """
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    rows = torch.tensor(kept_ids, device=inputs.weight.device)
    size = inputs.weight.shape[0]
    # BERT's output bias is a parameter of the module that holds the output layer, tied to that layer's own
    holders = [inputs] if outputs is None else [inputs, outputs, _holder(model, outputs)]
    own = (value for holder in holders for value in holder.parameters(recurse=False))
    # a parameter that two modules share is cut once, and both see it
    for parameter in {id(value): value for value in own if value.shape[0] == size}.values():
        # `.data`, so that it stays the same Parameter object in every module that shares it
        parameter.data = parameter.data[rows].clone()
    inputs.num_embeddings = len(kept_ids)
    if inputs.padding_idx is not None:
        inputs.padding_idx = kept_ids.index(inputs.padding_idx) if inputs.padding_idx in kept_ids else None
    if outputs is not None:
        outputs.out_features = len(kept_ids)
    model.config.get_text_config().vocab_size = len(kept_ids)


def first_fixed(model: PretrainedModel) -> int:
    """Return how many ids must stay as they are: RoBERTa counts positions from its padding token's id."""
    for module in model.modules():
        positions = getattr(module, "position_embeddings", None)
        if isinstance(positions, nn.Embedding) and positions.padding_idx is not None:
            return positions.padding_idx + 1
    return 0


def _kind(content: Mapping[str, Any]) -> str:
    """Return `WordPiece` or `BPE`.

    Raises:
        BadInput: the tokenizer is none of both.
    """
    model = content["model"]
    kind = str(model.get("type"))
    affixes = [name for name in ("continuing_subword_prefix", "end_of_word_suffix") if model.get(name)]
    # the pre-tokenizer may be one or a nested sequence; its text names the kind in both cases
    is_bytes = '"ByteLevel"' in str(content.get("pre_tokenizer")).replace("'", '"')
    if kind == "WordPiece" or (kind == "BPE" and is_bytes and not affixes and not model.get("byte_fallback")):
        return kind
    raise BadInput(
        f"the tokenizer is a {kind}{' with ' + ', '.join(affixes) if affixes else ''}"
        f"{'' if is_bytes else ', not of bytes'}, and only the vocabulary of {SUPPORTED} can be trimmed: leave this "
        "step out, or take a model with such a tokenizer"
    )


def _pieces(model: Mapping[str, Any], words: Iterable[str], kind: str) -> set[str]:
    """Return the tokens that must be there beside `words`."""
    if kind == "WordPiece":
        return _characters(model["vocab"], model.get("continuing_subword_prefix") or "##")
    ranks = {_pair(merge): rank for rank, merge in enumerate(model["merges"])}
    pieces = {word for word in model["vocab"] if len(word) == 1}
    for word in words:
        pieces |= _merged(word, ranks) & model["vocab"].keys()
    return pieces


def _characters(words: Iterable[str], prefix: str) -> set[str]:
    """Return the tokens of one character, and those that hold a character which has none at that place.

    Any word then falls into pieces: the longest that match, and characters in the worst case.
    """
    cut = [(word, *((word[len(prefix) :], False) if word.startswith(prefix) else (word, True))) for word in words]
    starts = {text for _, text, first in cut if first and len(text) == 1}
    within = {text for _, text, first in cut if not first and len(text) == 1}
    return {
        word
        for word, text, first in cut
        if len(text) == 1 or not within.issuperset(text[1:]) or (text and text[0] not in (starts if first else within))
    }


def _merged(word: str, ranks: Mapping[tuple[str, str], int]) -> set[str]:
    """Return all that comes up while the bytes of `word` are merged, least rank first (Sennrich et al. 2016).

    A token within a longer word comes about by the same merges: none across its ends was ever made.
    """
    parts, seen = list(word), set(word)
    while len(parts) > 1:
        ranked = [(ranks.get((left, right)), place) for place, (left, right) in enumerate(pairwise(parts))]
        # the leftmost of equal ranks, as tokenizers does
        best = min(((rank, place) for rank, place in ranked if rank is not None), default=None)
        if best is None:
            break
        place = best[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
        seen.add(parts[place])
    return seen


def _ids(content: Mapping[str, Any]) -> dict[str, int]:
    """Return the id of every token, added ones too."""
    added = {token["content"]: token["id"] for token in content.get("added_tokens") or ()}
    vocabulary = content["model"].get("vocab")
    return {**(vocabulary if isinstance(vocabulary, Mapping) else {}), **added}


def _pair(merge: str | Sequence[str]) -> tuple[str, str]:
    """Return both sides of a merge, which older files hold as one string."""
    # tokenizers writes pairs since 0.20
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _survives(left: str, right: str, words: Mapping[str, int]) -> bool:
    return left in words and right in words and left + right in words


def _template_ids(processor: object) -> list[int]:
    """Return the ids that a post-processor puts around a text."""
    if not isinstance(processor, Mapping):
        return []
    ids = [number for entry in (processor.get("special_tokens") or {}).values() for number in entry["ids"]]
    ids += [processor[name][1] for name in ("sep", "cls") if name in processor]
    return ids + [number for inner in processor.get("processors") or () for number in _template_ids(inner)]


def _renumbered_template(processor: object, new: Mapping[int, int]) -> object:
    """Return a post-processor with its ids renumbered."""
    if not isinstance(processor, Mapping):
        return processor
    template = dict(processor)
    for entry in (template.get("special_tokens") or {}).values():
        entry["ids"] = [new[number] for number in entry["ids"]]
    for name in ("sep", "cls"):
        if name in template:
            template[name] = [template[name][0], new[template[name][1]]]
    if "processors" in template:
        template["processors"] = [_renumbered_template(inner, new) for inner in template["processors"]]
    return template


def _numbers(value: object, new: Mapping[int, int]) -> object:
    """Return an id, or lists of ids, renumbered."""
    if isinstance(value, list):
        return [_numbers(item, new) for item in value]
    return new.get(value) if isinstance(value, int) else value


def _flat(value: object) -> Iterable[int]:
    """Yield the ids in a value that may be a list of lists."""
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def _holder(model: nn.Module, child: nn.Module) -> nn.Module:
    """Return the module that holds `child`, whose own bias may be the output layer's."""
    return next(module for module in model.modules() if any(inner is child for inner in module.children()))
