"""Trim a model's vocabulary to the tokens that its texts use."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from potstill.engine.step import Rows
from potstill.errors import BadInput, Problem
from potstill.models import chat
from potstill.models.card import name_of, write_card
from potstill.models.folder import Loaded, with_head
from potstill.models.identity import folder_of
from potstill.prompts import Template
from potstill.steps.compression import calibration as calibrations
from potstill.steps.compression.base import CompressionStep

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource, Tokenizer

TEXTS = 1024
"""Texts that are cut into tokens at once."""
CONFIGS = ("config.json", "generation_config.json")
"""Files that name tokens by their ids."""


class TrimVocabulary(CompressionStep):
    """Keep only the tokens that the rows' texts use, and cut all others from the tokenizer and the embeddings.

    Abdaoui et al. 2020, "Load What You Need" (arXiv 2010.05609). These texts are cut into the same tokens as before,
    so that the model puts out the same for them, up to the rounding of its type; it can come before training or
    after. Characters (of byte-level BPE the bytes) always stay: a word that the rows lack falls into smaller pieces,
    which a model understands less well, and into an unknown token only where it did before. Special and added tokens
    stay too. Token ids change, so a student so trimmed learns from an untrimmed teacher through `ClassProbabilities`
    and not by `teacher=`. For encoders and causal models with WordPiece or byte-level BPE.

    >>> rows = LoadRows([{"text": "turn on the light"}, {"text": "dim the lamp"}])
    >>> show(TrimVocabulary(encoder, rows=rows))
    {'parameters': 11762688, 'zeros': 0.0, 'bits': 32}
    """

    _: KW_ONLY
    rows: Rows
    """Rows with the texts that the model will read, or ones like them: the training rows, never the test's."""
    fields: tuple[str, ...] = ("text",)
    """Columns of the texts."""
    prompt: Template | None = None
    """Template that turns a row with `output` into a chat with its answer, read in place of `fields`: what a model that
    chats sees, its chat template's words too."""
    min_count: Annotated[int, Ge(1)] = 1
    """How often a token must occur to stay; from 2 on, texts with rarer ones are cut into smaller pieces."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns of the texts."""
        return {"rows": self._columns}

    def check(self) -> Iterable[Problem]:
        """Yield a problem for rows that come from a test split, and for no columns."""
        yield from super().check()
        yield from calibrations.not_from_a_test_split("rows", self.rows)
        if not self.fields:
            yield Problem("", "fields", "names no column: give at least one")

    @property
    def _columns(self) -> tuple[str, ...]:
        """Columns that a row must have something in."""
        return self.fields if self.prompt is None else ("output",)

    def run(self, model: ModelSource, rows: Dataset, context: Context) -> Path:
        """Write the folder of the model with fewer tokens.

        Raises:
            BadInput: the tokenizer is of a kind that can't be trimmed, or the rows hold no text.
        """
        from transformers import AutoTokenizer

        from potstill.compression import vocabulary

        folder = folder_of(model)
        loaded = Loaded(folder, with_head(folder), AutoTokenizer.from_pretrained(folder))
        if getattr(loaded.model.config, "is_encoder_decoder", False):
            raise BadInput(f"a {type(loaded.model).__name__} has an encoder and a decoder: take one of both alone")
        content = _content(loaded)
        old = int(loaded.model.get_input_embeddings().weight.shape[0])
        kept_ids = self._kept(loaded, content, rows, context)
        before = loaded.model.num_parameters()
        vocabulary.cut_vocabulary(loaded.model, kept_ids)
        loaded.save(context.out)
        _write_tokenizer(context.out, vocabulary.trimmed(content, kept_ids), kept_ids)
        # the written files, not the objects in memory: what users load is what is compared
        self._compare(loaded.tokenizer, AutoTokenizer.from_pretrained(context.out), rows, context)
        context.notes |= {"tokens": {"before": old, "after": len(kept_ids)}}
        context.notes |= {"parameters": {"before": before, "after": loaded.model.num_parameters()}}
        self._write_card(loaded, old, len(kept_ids), context)
        return context.out

    def _kept(self, loaded: Loaded, content: Mapping[str, Any], rows: Dataset, context: Context) -> list[int]:
        """Return the ids that stay.

        Raises:
            BadInput: there is no text, or a token that the model does not have.
        """
        from potstill.compression import vocabulary

        counts: Counter[int] = Counter()
        for ids in self._tokens(loaded.tokenizer, rows):
            counts.update(ids)
        if not counts:
            raise BadInput(Problem("", "fields", f"no row has a text in {', '.join(self._columns)}: name their column"))
        used = {number for number, count in counts.items() if count >= self.min_count}
        # positions of RoBERTa are counted from the padding token's id, so the ids up to it must not move
        used |= set(range(vocabulary.first_fixed(loaded.model)))
        for name in CONFIGS:
            used |= vocabulary.named_ids(_json(loaded.folder / name))
        kept_ids = vocabulary.kept_tokens(content, used)
        size = int(loaded.model.get_input_embeddings().weight.shape[0])
        if kept_ids[-1] >= size:
            raise BadInput(
                f"the tokenizer has token {kept_ids[-1]}, but the model's vocabulary ends at {size - 1}: "
                "they don't belong together"
            )
        return kept_ids

    def _tokens(self, tokenizer: Tokenizer, rows: Dataset) -> Iterator[list[int]]:
        """Yield the ids of each text, or chat, uncut."""
        if self.prompt is None:
            for texts in _texts(rows, self.fields):
                yield from tokenizer(texts, truncation=False, padding=False)["input_ids"]
            return
        for row in rows:
            encoded = chat.encoded_row(tokenizer, self.prompt, row)
            if encoded is not None:
                yield encoded[0]

    def _compare(self, old: Tokenizer, new: Tokenizer, rows: Dataset, context: Context) -> None:
        """Note how long the texts are in tokens, and make sure that they are cut as before.

        Raises:
            BadInput: they are not, although all their tokens stay.
        """
        texts = lengths = longer = 0
        pairs = zip(self._tokens(old, rows), self._tokens(new, rows), strict=True)
        for before, after in pairs:
            if self.min_count == 1 and old.convert_ids_to_tokens(before) != new.convert_ids_to_tokens(after):
                raise BadInput(
                    f"the trimmed tokenizer cuts {old.decode(before)!r} otherwise than before: a {type(old).__name__} "
                    "does more than its tokenizer.json says, and can't be trimmed"
                )
            texts, lengths, longer = texts + 1, lengths + len(before), longer + len(after)
        context.notes["tokens a text"] = {"before": lengths / texts, "after": longer / texts}

    def _write_card(self, loaded: Loaded, old: int, new: int, context: Context) -> None:
        base = name_of(loaded.folder)
        recipe = {
            "method": "unused tokens cut (Abdaoui et al. 2020)",
            "tokens": f"{old} -> {new}",
            "least count of a token": self.min_count,
        }
        figures = {"parameters": loaded.model.num_parameters(), "tokens": new}
        title = f"{base}, {new} tokens"
        write_card(context.out, title=title, made_from=base, recipe=recipe, figures=figures, task=loaded.task)


def _texts(rows: Dataset, fields: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts in the columns `fields` in portions; cells without any are left out."""
    for part in rows.select_columns(list(fields)).iter(TEXTS):
        texts = [text for name in fields for text in part[name] if isinstance(text, str) and text]
        if texts:
            yield texts


def _content(loaded: Loaded) -> Any:
    """Return the tokenizer.json of a model; made of what its tokenizer is in memory where the folder has none.

    Raises:
        BadInput: it can't have one.
    """
    path = loaded.folder / "tokenizer.json"
    if path.is_file():
        return _json(path)
    backend = getattr(loaded.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise BadInput(
            f"a {type(loaded.tokenizer).__name__} has no tokenizer.json, so it can't be trimmed: save the "
            "model with a fast tokenizer"
        )
    return json.loads(backend.to_str())


def _write_tokenizer(out: Path, content: Mapping[str, Any], kept_ids: Sequence[int]) -> None:
    """Write all files of `out` that hold token ids, renumbered."""
    from potstill.compression.vocabulary import renumbered

    new = {old: number for number, old in enumerate(kept_ids)}
    words = content["model"]["vocab"]
    # without spaces: the file is a good part of a small model's folder
    (out / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), "utf-8")
    for name in (*CONFIGS, "tokenizer_config.json", "added_tokens.json"):
        if not (out / name).is_file():
            continue
        config = renumbered(_json(out / name), new)
        if name == "added_tokens.json":
            config = {token: new[number] for token, number in config.items()}
        if "added_tokens_decoder" in config:
            entries = config["added_tokens_decoder"].items()
            config["added_tokens_decoder"] = {str(new[int(number)]): token for number, token in entries}
        _write(out / name, config)
    if (out / "vocab.json").is_file():
        _write(out / "vocab.json", words)
    if (out / "vocab.txt").is_file():
        lines = sorted(words, key=lambda word: int(words[word]))
        (out / "vocab.txt").write_text("".join(f"{word}\n" for word in lines), encoding="utf-8")
    if (out / "merges.txt").is_file():
        pairs = (merge if isinstance(merge, str) else " ".join(merge) for merge in content["model"]["merges"])
        (out / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{pair}\n" for pair in pairs), encoding="utf-8")


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
