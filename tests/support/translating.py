"""Tiny encoder-decoders for tests (T5, BART, Marian) with random weights and one tokenizer, and pairs to translate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PAIRS = [
    ("a man in a red shirt", "ein Mann in einem roten Hemd"),
    ("two dogs play in the snow", "zwei Hunde spielen im Schnee"),
    ("a woman reads", "eine Frau liest"),
    ("the child is on the beach today", "das Kind ist heute am Strand"),
    ("a dog runs", "ein Hund rennt"),
    ("two men play", "zwei Männer spielen"),
    ("a woman in a red dress is on the beach", "eine Frau in einem roten Kleid ist am Strand"),
    ("snow", "Schnee"),
]


def rows(count: int = 8) -> list[dict[str, str]]:
    """Return English captions and their translations."""
    return [{"id": str(n), "instruction": source, "output": target} for n, (source, target) in enumerate(PAIRS[:count])]


def tokenizer(folder: Path) -> Any:
    """Save a tokenizer that has learned most words of the pairs, and ends every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        [text for pair in PAIRS for text in pair] * 3,
        trainers.BpeTrainer(vocab_size=500, special_tokens=["<pad>", "<s>", "</s>"], initial_alphabet=alphabet),
    )
    core.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    fast = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", pad_token="<pad>")
    fast.save_pretrained(folder)
    return fast


def model(folder: Path, kind: str = "t5", hidden: int = 32, layers: int = 1, seed: int = 0) -> Path:
    """Save an encoder-decoder without dropout, whose tokenizer ends every text; `kind` is t5, bart or marian."""
    import torch
    from transformers import (
        BartConfig,
        BartForConditionalGeneration,
        MarianConfig,
        MarianMTModel,
        T5Config,
        T5ForConditionalGeneration,
    )

    fast = tokenizer(folder)
    ends = {"vocab_size": len(fast), "pad_token_id": 0, "eos_token_id": 2}
    wide = {
        "d_model": hidden,
        "encoder_layers": layers,
        "decoder_layers": layers,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 2 * hidden,
        "decoder_ffn_dim": 2 * hidden,
        "dropout": 0.0,
        "max_position_embeddings": 64,
    }
    torch.manual_seed(seed)
    if kind == "t5":
        result = T5ForConditionalGeneration(
            T5Config(
                d_model=hidden,
                d_kv=hidden // 2,
                d_ff=2 * hidden,
                num_layers=layers,
                num_heads=2,
                dropout_rate=0,
                decoder_start_token_id=0,
                **ends,
            )
        )
    elif kind == "bart":
        result = BartForConditionalGeneration(
            BartConfig(decoder_start_token_id=2, bos_token_id=1, forced_eos_token_id=None, **wide, **ends)
        )
    else:
        result = MarianMTModel(
            MarianConfig(decoder_start_token_id=0, scale_embedding=True, decoder_vocab_size=len(fast), **wide, **ends)
        )
    result.save_pretrained(folder)
    return folder


def translations(folder: Path, made: list[dict[str, str]]) -> list[str]:
    """Return what the model in `folder` writes to the rows, by transformers' own greedy search."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    texts = []
    for row in made:
        written = loaded.generate(**tokenizer(row["instruction"], return_tensors="pt"), max_new_tokens=40)
        texts.append(tokenizer.decode(written[0], skip_special_tokens=True))
    return texts


def learned(folder: Path, kind: str = "t5", steps: int = 60, hidden: int = 48) -> Path:
    """Save an encoder-decoder that has learned the pairs for some steps, by a loop that is none of ours."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    start = AutoModelForSeq2SeqLM.from_pretrained(model(folder, kind, hidden), dtype=torch.float32)
    fast = AutoTokenizer.from_pretrained(folder)
    batch = fast([source for source, _ in PAIRS], padding=True, return_tensors="pt")
    batch = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    target = fast([target for _, target in PAIRS], padding=True, return_tensors="pt")
    labels = target["input_ids"].masked_fill(target["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(start.parameters(), lr=1e-2)
    for _ in range(steps):
        start(**batch, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(start.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    start.save_pretrained(folder)
    return folder
