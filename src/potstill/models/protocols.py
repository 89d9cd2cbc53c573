"""Types of tokenizers, sentence encoders and model fields, with the attributes that are used here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Union

if TYPE_CHECKING:
    from torch import Tensor, nn

    from potstill.compression.pretrained import GenerationConfig as GenerationConfig
    from potstill.compression.pretrained import ModelConfig as ModelConfig
    from potstill.compression.pretrained import PretrainedModel as PretrainedModel


class RunsModel(Protocol):
    """A teacher that names the model which it runs."""

    @property
    def model(self) -> Any:
        """A folder or Hub id."""


ModelSource = Union[str, Path, RunsModel]
"""What `run` gets of a step's `model` field: a Hub id, a folder, or a teacher that names one of both."""


class SentenceModel(Protocol):
    """`sentence_transformers.SentenceTransformer`: texts in, vectors out."""

    tokenizer: Tokenizer
    max_seq_length: int | None
    """Tokens that it reads of a text."""
    prompts: Mapping[str, str]
    """What users may put before texts, by name."""

    def __getitem__(self, number: int) -> nn.Module:
        """Return a module; the first is the transformer."""

    def __iter__(self) -> Iterator[nn.Module]:
        """Iterate over the modules."""

    def encode(self, sentences: Sequence[str], **settings: Any) -> Any:
        """Return the vectors [N, D]."""


class Tokenizer(Protocol):
    """`transformers.PreTrainedTokenizerBase`."""

    name_or_path: str
    """Where it was loaded from."""
    chat_template: str | None
    model_max_length: int
    """Tokens that its model reads; a huge number where it says none."""
    init_kwargs: dict[str, Any]
    """What it was made with, written to `tokenizer_config.json`."""
    is_fast: bool
    """Whether it is one of the library `tokenizers`."""
    model_input_names: list[str]
    """What its model takes, such as `input_ids`."""
    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    bos_token_id: int | None
    eos_token_id: int
    """None where it names no end, which is checked before a text needs one (`chat.check_tokenizer`)."""
    pad_token_id: int | None
    mask_token_id: int | None
    all_special_ids: list[int]
    added_tokens_decoder: Mapping[int, Any]
    """Tokens added to the vocabulary, by id."""
    backend_tokenizer: Any
    """`tokenizers.Tokenizer`, of a fast one."""
    __call__: Callable[..., Any]
    """Turns texts into `input_ids` and what goes with them."""

    def __len__(self) -> int:
        """Return the number of tokens, added ones too."""

    def get_vocab(self) -> dict[str, int]:
        """Return the ids by token."""

    def apply_chat_template(self, conversation: Sequence[Mapping[str, Any]], **settings: Any) -> Any:
        """Return a chat as the model reads it: its text with `tokenize=False`, its tokens otherwise."""

    def decode(self, token_ids: int | Sequence[int] | Tensor, *, skip_special_tokens: bool = False) -> str:
        """Return the text of tokens."""

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return how the vocabulary writes tokens."""

    def save_pretrained(self, folder: Path, /) -> object:
        """Write the tokenizer's files into a folder."""
