"""Who reads a GGUF file here: llama.cpp itself where it is installed, else transformers, which dequantizes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.compression.architecture import architecture_for
from potstill.errors import PotstillError
from potstill.exporting.decoders import gguf_layout
from potstill.exporting.decoders.gguf import FILE
from potstill.exporting.decoders.gguf_tensors import gguf_name
from potstill.exporting.logprobs import chosen
from potstill.exporting.probe import InMemory, ends_in
from potstill.models.loading import apply_cap, config_of, pretrained
from potstill.models.positions import positions_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST = 512
"""Tokens of a text that llama.cpp makes room for at first."""


def dequantized(folder: Path) -> InMemory:
    """Load the file in `folder` with transformers, its tokenizer too: weights are those that the file stands for.

    Types that transformers does not read from GGUF are filled from the file here, by llama.cpp's names.
    """
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    # the file says nothing of sizes that transformers would not guess wrongly, such as the head's of Qwen3
    config = AutoConfig.from_pretrained(folder)
    config.dtype = torch.float32
    if not transformers_reads(config):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return InMemory(filled(folder, config), tokenizer, f"transformers {transformers.__version__} filled from GGUF")
    options = {"gguf_file": FILE, "config": config, "dtype": torch.float32}
    model = pretrained(AutoModelForCausalLM, folder, "be read from GGUF", options).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
    return InMemory(model, tokenizer, f"transformers {transformers.__version__} reading GGUF")


def transformers_reads(config: Any) -> bool:
    """Return whether transformers reads GGUF files of a model's type; it leaves Falcon's fused rows as llama.cpp's."""
    import gguf
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    kind, arch = config.model_type, architecture_for(config)
    named = kind in GGUF_CONFIG_MAPPING and kind in gguf.MODEL_ARCH_NAMES.values()
    return named and not (arch.is_fused and arch.fused == "groups")


def filled(folder: Path, config: Any) -> Any:
    """Return the model of `config` with the weights of the file in `folder`, turned back to what transformers has.

    Raises:
        PotstillError: a weight is missing in the file.
    """
    import gguf
    import numpy as np
    import torch
    from gguf.quants import dequantize
    from transformers import AutoModelForCausalLM

    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(str(folder / FILE)).tensors}
    model = AutoModelForCausalLM.from_config(config).eval()
    apply_cap(model)
    names = gguf_layout.tensor_names(config)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        tensor = stored.get(gguf_name(names, name))
        if tensor is None:
            raise PotstillError(f"the GGUF file lacks {name}")
        values = dequantize(tensor.data, tensor.tensor_type).reshape(tuple(weight.shape))
        order = gguf_layout.row_order(name, config, len(values))
        values = values if order is None else values[np.argsort(order)]
        weight.copy_(torch.from_numpy(values - gguf_layout.shift(name, config)))
    return model


class LlamaCpp:
    """llama.cpp through the package llama-cpp-python."""

    def __init__(self, folder: Path, threads: int = 1, *, scores: bool = True) -> None:
        """Load the file in `folder`; without `scores` no logits are kept, and `log_probabilities` has none."""
        import llama_cpp

        self.version = f"llama.cpp (llama-cpp-python {llama_cpp.__version__})"
        self.longest = positions_of(config_of(folder))
        self.ends = ends_in(folder)
        self.scores = scores
        self.path, self.threads = str(folder / FILE), max(1, threads)
        self.model: Any = self._loaded(SMALLEST)

    def log_probabilities(self, ids: Sequence[int], at_once: int | None = None) -> Sequence[float]:
        """Return log p of `ids[1:]`: the first `at_once` are read together, the rest token by token from the cache."""
        import numpy as np

        first = max(1, len(ids) // 2) if at_once is None else min(at_once, len(ids) - 1)
        self.begin(len(ids))
        self.model.eval(list(ids[:first]))
        for token in ids[first:-1]:
            self.model.eval([token])
        return chosen(np.array(self.model.scores[: len(ids) - 1]), ids[1:])

    def continued(self, ids: Sequence[int], count: int) -> Sequence[int]:
        """Return the tokens that greedy decoding adds."""
        self.begin(len(ids) + count)
        tokens: list[int] = []
        while len(tokens) < count and not (tokens and tokens[-1] in self.ends):
            tokens.append(int(self.read(tokens[-1:] or ids).argmax()))
        return tokens

    def tokenized(self, text: str) -> Sequence[int]:
        """Return the token ids of `text`."""
        return list(self.model.tokenize(text.encode(), add_bos=False, special=True))

    def title(self) -> str:
        """Return the name and version."""
        return self.version

    def close(self) -> None:
        """Free the model while the library is still there."""
        self.model.close()

    def begin(self, count: int) -> None:
        """Forget what was read, and make room for a text of `count` tokens.

        Room costs memory for each token whether it is used or not, so it grows with the texts: models read 100,000.
        """
        room = self.model.n_ctx()
        if count > room:
            self.model.close()
            self.model = self._loaded(max(count, 2 * room))
        self.model.reset()

    def read(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Read tokens behind those that were read, and return the logits [V] of the one that follows."""
        import llama_cpp
        import numpy as np

        self.model.eval(list(ids))
        # the package keeps logits only where it keeps those of all tokens, a row of the vocabulary for each
        last = llama_cpp.llama_get_logits_ith(self.model.ctx, -1)
        return np.ctypeslib.as_array(last, shape=(self.model.n_vocab(),)).copy()

    def _loaded(self, room: int) -> Any:
        """Return the model with room for texts of `room` tokens, or as many as it reads."""
        import llama_cpp

        return llama_cpp.Llama(
            self.path,
            n_ctx=min(room, self.longest or room),
            n_gpu_layers=0,
            # by default it reads prompts with all processors, whatever the run is allowed
            n_threads=self.threads,
            n_threads_batch=self.threads,
            logits_all=self.scores,
            verbose=False,
        )
