"""Models from scratch: a tokenizer trained on rows, and small models with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Interval

from potstill.engine.step import Anything, Rows, Step
from potstill.errors import Problem
from potstill.models.chat import save_tokenizer
from potstill.models.preload import MODEL
from potstill.prompts import Template, answer_of
from potstill.teachers.cache.parse_retry import rendered_rows

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import Tokenizer

END, START, STOP = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML, as Qwen's models use it."""


class TrainTokenizer(Step):
    """Learn a byte-level BPE tokenizer (Sennrich et al. 2016, section 3.2) with a ChatML template from chats.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}])
    >>> show(TrainTokenizer(rows, vocab_size=300))
    ['chat_template.jinja', 'tokenizer.json', 'tokenizer_config.json']
    """

    rows: Rows
    """Chats: rows that `prompt` renders, with the answer in `output`."""
    prompt: Template = "answer.jinja"
    """Template of the chats."""
    vocab_size: Annotated[int, Interval(ge=300)] = 2048
    """Tokens, the 256 bytes included; small models spend most of their size on embeddings, so it is small."""
    whole: tuple[str, ...] = ()
    """Standing texts that become one token each, which shortens every request of a small model."""

    makes = "anything"
    heavy = True

    def run(self, rows: Dataset, context: Context) -> Path:
        """Train on the rendered chats and save a `transformers` tokenizer."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import PreTrainedTokenizerFast

        core = Tokenizer(models.BPE())
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab_size - len(self.whole),
            special_tokens=[END, START, STOP],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        core.train_from_iterator(self._texts(rows, context), trainer)
        # after training, so that they take the last ids and no merges are learned from them
        core.add_tokens([AddedToken(text, normalized=False) for text in self.whole])
        fast = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=STOP, pad_token=END)
        fast.chat_template = CHAT_TEMPLATE
        save_tokenizer(fast, context.out)
        return context.out

    def _texts(self, rows: Dataset, context: Context) -> Iterator[str]:
        """Yield the texts to learn from; standing texts are left out, since they become tokens of their own."""
        for _, row, chat in rendered_rows(self.prompt, rows, context):
            answer = answer_of(self.prompt, row)
            for message in [*chat, *([{"role": "assistant", "content": answer}] if answer else [])]:
                if message["content"] not in self.whole:
                    yield f"{message['role']}\n{message['content']}\n"


class RandomModel(Step):
    """A Qwen3 causal model (Yang et al. 2025) with random weights and the tokenizer of another step.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}])
    >>> tokenizer = TrainTokenizer(rows, vocab_size=300)
    >>> show(RandomModel(tokenizer, hidden_size=32, layers=1, intermediate_size=32))
    {'parameters': ..., 'zeros': 0.0, 'bits': 16}
    """

    tokenizer: Anything
    """A step that makes a tokenizer, or a model whose tokenizer is meant."""
    hidden_size: Annotated[int, Interval(ge=32)] = 128
    """Width of the residual stream; a multiple of 128 suits every 4-bit group size."""
    layers: Annotated[int, Interval(ge=1)] = 4
    """Decoder blocks."""
    intermediate_size: Annotated[int, Interval(ge=32)] = 384
    """Width of the feed-forward layers."""
    heads: Annotated[int, Interval(ge=1)] = 4
    """Query heads, of 32 dimensions each."""
    kv_heads: Annotated[int, Interval(ge=1)] = 2
    """Key and value heads."""
    max_length: Annotated[int, Interval(ge=64)] = 1024
    """Longest text, in tokens."""
    seed: int = 0
    """Of the weights."""

    makes = "model"
    heavy = True
    preload = MODEL

    def run(self, tokenizer: Path, context: Context) -> Path:
        """Save the model, its tokenizer and its generation config."""
        import torch
        from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

        fast = AutoTokenizer.from_pretrained(tokenizer)
        torch.manual_seed(self.seed)
        config = Qwen3Config(
            vocab_size=-(-len(fast) // 64) * 64,
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            head_dim=32,
            max_position_embeddings=self.max_length,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=fast.eos_token_id,
            pad_token_id=fast.pad_token_id,
        )
        Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(context.out)
        save_tokenizer(fast, context.out)
        return context.out


class RandomSeq2Seq(Step):
    """A Pegasus encoder-decoder (Zhang et al. 2019, arXiv 1912.08777) with random weights and another step's tokenizer.

    That is the Transformer of Vaswani et al. (2017, arXiv 1706.03762), fixed positions and all, with the norms before
    the layers, which short trainings at high rates need (Xiong et al. 2020, arXiv 2002.04745): BART's shape, with the
    norms behind, wrote the same sentence for every source after 1,400 steps on Multi30k. Weights are drawn as wide as
    the square root of 1 over the width, and not Pegasus's 0.02, so that attention has something to choose from. Its
    tokenizer has no chat template, and ends every text with the end token.

    >>> rows = LoadRows([{"instruction": "a cat", "output": "eine Katze"}])
    >>> tokenizer = TrainTokenizer(rows, vocab_size=300)
    >>> show(RandomSeq2Seq(tokenizer, hidden_size=64, layers=1, intermediate_size=64))
    {'parameters': ..., 'zeros': 0.0, 'bits': 16}
    """

    tokenizer: Anything
    """A step that makes a tokenizer, or a model whose tokenizer is meant."""
    hidden_size: Annotated[int, Interval(ge=32)] = 256
    """Width of the residual stream."""
    layers: Annotated[int, Interval(ge=1)] = 3
    """Blocks of the encoder, and of the decoder."""
    intermediate_size: Annotated[int, Interval(ge=32)] = 512
    """Width of the feed-forward layers."""
    heads: Annotated[int, Interval(ge=1)] = 4
    """Attention heads, which share the hidden size."""
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.1
    """Share of the activations that is dropped in training; the more the fewer rows there are."""
    max_length: Annotated[int, Interval(ge=16)] = 512
    """Longest text on either side, in tokens."""
    seed: int = 0
    """Of the weights."""

    makes = "model"
    heavy = True
    preload = MODEL
    version = 2  # norms before the layers

    def check(self) -> Iterator[Problem]:
        """Yield a problem if the heads can't share the hidden size."""
        if self.hidden_size % self.heads:
            yield Problem("", "heads", f"{self.heads} heads can't share a hidden size of {self.hidden_size} evenly")

    def run(self, tokenizer: Path, context: Context) -> Path:
        """Save the model, its tokenizer and its generation config."""
        import torch
        from transformers import AutoTokenizer, PegasusConfig, PegasusForConditionalGeneration

        fast = AutoTokenizer.from_pretrained(tokenizer)
        _end_texts(fast)
        torch.manual_seed(self.seed)
        layers = {"layers": self.layers, "attention_heads": self.heads, "ffn_dim": self.intermediate_size}
        config = PegasusConfig(
            vocab_size=-(-len(fast) // 64) * 64,
            d_model=self.hidden_size,
            **{f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in layers.items()},
            dropout=self.dropout,
            max_position_embeddings=self.max_length,
            scale_embedding=True,
            init_std=self.hidden_size**-0.5,
            bos_token_id=None,
            eos_token_id=fast.eos_token_id,
            pad_token_id=fast.pad_token_id,
            decoder_start_token_id=fast.eos_token_id,
            forced_eos_token_id=None,
        )
        PegasusForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(context.out)
        save_tokenizer(fast, context.out)
        return context.out


def _end_texts(tokenizer: Tokenizer) -> None:
    """Let `tokenizer` put the end token after every text, as T5's does, and forget its chat template."""
    from tokenizers.processors import TemplateProcessing

    end = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    tokenizer.chat_template = None
