"""Word-to-token alignment: the first token of each word, and tokenizers that report it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.models.protocols import Tokenizer

KIND = "ForTokenClassification"
"""End of the name of the architecture of a classifier of words."""


def reads_words(tokenizer: Tokenizer, folder: Path) -> Tokenizer:
    """Return the `tokenizer` that was loaded from `folder`, ready for words and with a padding token.

    Raises:
        BadInput: it can't tell which word a token is of.
    """
    from transformers import AutoTokenizer

    if getattr(tokenizer, "add_prefix_space", None) is False:
        # byte-level ones take a word for the middle of another unless a space comes before it
        tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    if not tokenizer.is_fast:
        raise BadInput(f"the tokenizer in {folder} can't tell which word a token is of: save it with a tokenizer.json")
    # GPT-2 and Llama name no padding token; the attention mask hides padding, so any token will do
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def first_tokens(words: Sequence[int | None]) -> dict[int, int]:
    """Return the place of each word's first token, from the number of the word that each token is of.

    A word that was cut off, or that no token is of, has none. Reference: Devlin et al. 2019 (arXiv 1810.04805), section
    5.3: a word's first token stands for it.

    >>> first_tokens([None, 0, 1, 1, 1, None])
    {0: 1, 1: 2}
    """
    places: dict[int, int] = {}
    for place, word in enumerate(words):
        if word is not None:
            places.setdefault(word, place)
    return places
