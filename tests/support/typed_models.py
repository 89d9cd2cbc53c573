"""Tiny models with random weights of each type that compression is described for, and of those that it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
LATENT = {
    **EXPERTS,
    "num_key_value_heads": 4,
    "kv_lora_rank": 32,
    "q_lora_rank": 32,
    "qk_rope_head_dim": 32,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "first_k_dense_replace": 2,
    "num_hidden_layers": 4,
    "n_group": 1,
    "topk_group": 1,
}
FOUR = {"num_hidden_layers": 4}
WINDOW = {"head_dim": 32, "sliding_window": 16, "query_pre_attn_scalar": 32}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.75,
    "short_factor": [1.0] * 6,
    "long_factor": [2.0] * 6,
    "original_max_position_embeddings": 256,
}
GPT2 = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128, "n_inner": 128}
CAUSAL: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama 3": ("llama", {"rope_parameters": LLAMA3, "tie_word_embeddings": True}),
    "Mistral": ("mistral", {"sliding_window": 16}),
    "Mistral without a window": ("mistral", {"sliding_window": None, "head_dim": 32}),
    "Qwen2.5": ("qwen2", {"tie_word_embeddings": True}),
    "Qwen3": ("qwen3", {"head_dim": 32, "tie_word_embeddings": True}),
    "Gemma": ("gemma", {"head_dim": 32}),
    "Gemma 2": ("gemma2", {**WINDOW, **FOUR}),
    "Gemma 3": (
        "gemma3_text",
        {**WINDOW, "num_hidden_layers": 6, "layer_types": ["sliding_attention"] * 5 + ["full_attention"]},
    ),
    "Phi-3": ("phi3", {"sliding_window": 64}),
    "Phi-4-mini": (
        "phi3",
        {
            "tie_word_embeddings": True,
            "original_max_position_embeddings": 256,
            "max_position_embeddings": 512,
            "rope_parameters": LONG,
        },
    ),
    "SmolLM3": ("smollm3", {**FOUR, "no_rope_layers": [1, 1, 1, 0]}),
    "Granite": (
        "granite",
        {
            "logits_scaling": 4.0,
            "embedding_multiplier": 12.0,
            "residual_multiplier": 0.22,
            "attention_multiplier": 0.1,
        },
    ),
    "OLMo 2": ("olmo2", {}),
    "StableLM": ("stablelm", {}),
    "StableLM, parallel": ("stablelm", {"use_parallel_residual": True}),
    "GPT-NeoX, Pythia": ("gpt_neox", {}),
    "OPT": ("opt", {"ffn_dim": 128, "word_embed_proj_dim": 64}),
    "OPT-350m": ("opt", {"ffn_dim": 128, "word_embed_proj_dim": 48, "do_layer_norm_before": False}),
    "Falcon": ("falcon", {"num_kv_heads": 2, "new_decoder_architecture": True, "ffn_hidden_size": 128}),
    "Falcon-7B": ("falcon", {"multi_query": True, "ffn_hidden_size": 128}),
    "Falcon-RW": (
        "falcon",
        {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True, "ffn_hidden_size": 128},
    ),
    "GPT-2": ("gpt2", GPT2),
    "Seed-OSS": ("seed_oss", {"head_dim": 32}),
    "ERNIE 4.5": ("ernie4_5", {"head_dim": 16}),
    "Ministral 3": ("ministral3", {"head_dim": 32}),
}
"""Name: model type, and what differs from `SIZES`."""
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "BERT": ("bert", {}),
    "RoBERTa": ("roberta", {}),
    "XLM-R": ("xlm-roberta", {}),
    "CamemBERT": ("camembert", {}),
    "DistilBERT": ("distilbert", {"dim": 64, "hidden_dim": 128, "n_layers": 2, "n_heads": 4}),
    "ELECTRA": ("electra", {"embedding_size": 48}),
    "MPNet": ("mpnet", {}),
    "DeBERTa-v3": (
        "deberta-v2",
        {
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_buckets": 32,
            "max_relative_positions": -1,
            "type_vocab_size": 0,
        },
    ),
    "ModernBERT": ("modernbert", {"num_hidden_layers": 6, "global_attn_every_n_layers": 2, "local_attention": 16}),
    "ALBERT": ("albert", {"embedding_size": 48, "num_hidden_groups": 1}),
}
"""The same for encoders, which are made as classifiers of two classes."""
EXPERT_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "Mixtral": ("mixtral", EXPERTS),
    "Qwen2-MoE": ("qwen2_moe", {**EXPERTS, "shared_expert_intermediate_size": 64}),
    "Qwen3-MoE": ("qwen3_moe", {**EXPERTS, "head_dim": 32}),
    "gpt-oss": ("gpt_oss", {**EXPERTS, **FOUR, "head_dim": 32, "sliding_window": 16}),
    "DeepSeek-V3": ("deepseek_v3", LATENT),
}
"""Mixtures of experts."""
CLIP = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
VISION: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "Gemma 3 with images": (
        "gemma3",
        {"mm_tokens_per_image": 4, "image_token_index": 380, "boi_token_index": 381, "eoi_token_index": 382},
        {
            **SIZES,
            **WINDOW,
            "num_hidden_layers": 6,
            "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
        },
        CLIP,
    ),
    "Mistral Small 3": (
        "mistral3",
        {"image_token_index": 380},
        {**SIZES, "model_type": "mistral", "head_dim": 32},
        CLIP,
    ),
    "Qwen2.5-VL": (
        "qwen2_5_vl",
        {"image_token_id": 380, "video_token_id": 381, "tie_word_embeddings": True},
        {**SIZES, "rope_parameters": MROPE},
        {"hidden_size": 32, "intermediate_size": 64, "depth": 1, "num_heads": 2, "out_hidden_size": 64},
    ),
    "Qwen3-VL": (
        "qwen3_vl",
        {"image_token_id": 380, "video_token_id": 381},
        {**SIZES, "head_dim": 16, "rope_parameters": MROPE},
        {
            "hidden_size": 32,
            "intermediate_size": 64,
            "depth": 1,
            "num_heads": 2,
            "out_hidden_size": 64,
            "deepstack_visual_indexes": [0],
        },
    ),
    "Llava": ("llava", {"image_token_index": 380}, {**SIZES, "model_type": "llama"}, CLIP),
}
"""Models that see images: type, and what differs in the configurations of the whole, its text and its vision part."""
START = {"decoder_start_token_id": 0}
T5 = {**START, "d_model": 64, "d_ff": 128, "d_kv": 16, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
BART = {
    "d_model": 64,
    **dict.fromkeys(("encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 128),
    "max_position_embeddings": 128,
}
ENCODER_DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "T5": ("t5", T5),
    "Flan-T5": ("t5", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "BART": ("bart", BART),
    "Marian": ("marian", {**BART, **START, "static_position_embeddings": True}),
    "mBART": ("mbart", {**BART, **START}),
    "M2M-100": ("m2m_100", BART),
}
"""Encoder-decoders."""
WIDE_HEADS: dict[str, dict[str, Any]] = {
    **{name: {"num_attention_heads": 2, "num_key_value_heads": 1} for name in (*CAUSAL, *EXPERT_MODELS)},
    "Phi-4-mini": {
        **{"num_attention_heads": 2, "num_key_value_heads": 1},
        "rope_parameters": {**LONG, "short_factor": [1.0] * 12, "long_factor": [2.0] * 12},
    },
    **{name: {"num_attention_heads": 2} for name in ("GPT-NeoX, Pythia", "OPT", "OPT-350m")},
    # vLLM knows no other feed-forward of a Falcon
    **{name: {"num_attention_heads": 2, "ffn_hidden_size": 256} for name in ("Falcon", "Falcon-7B", "Falcon-RW")},
    "GPT-2": {"n_head": 2, "num_attention_heads": 2},
    "ERNIE 4.5": {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32},
    "DeepSeek-V3": {"qk_nope_head_dim": 48, "v_head_dim": 64},
}
"""What gives heads of at least 32 features: vLLM has no kernels for smaller ones on processors."""
ALL = {
    **CAUSAL,
    **ENCODERS,
    **EXPERT_MODELS,
    **{name: (kind, own) for name, (kind, own, *_) in VISION.items()},
    **ENCODER_DECODERS,
}
WORDS = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def made(name: str, seed: int = 0, **changes: Any) -> Any:
    """Return a model in memory, in float32 and evaluation mode, with noise on all weights so that each one shows.

    The `changes` are of its config.
    """
    import torch
    import transformers
    from transformers import AutoConfig

    kind, own = ALL[name][0], {**ALL[name][1], **changes}
    reads = name in ENCODERS
    labels = {"id2label": {0: "good", 1: "bad"}, "label2id": {"good": 0, "bad": 1}} if reads else {}
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 2 if not reads else 3}
    wanted = {"vocab_size": 64 if reads else 384, **SIZES, **special, **labels, **own}
    plain = AutoConfig.for_model(kind)
    known = {*vars(plain), *getattr(plain, "attribute_map", {})}
    named = {*known, *own, *labels}
    config = AutoConfig.for_model(kind, **{key: wanted[key] for key in wanted if key in named})
    auto = (
        transformers.AutoModelForSequenceClassification
        if reads
        else transformers.AutoModelForSeq2SeqLM
        if name in ENCODER_DECODERS
        else transformers.AutoModelForCausalLM
    )
    torch.manual_seed(seed)
    model = auto.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape) * 0.1)
    return model


def seeing(name: str, seed: int = 0) -> Any:
    """Return a model in memory that sees images, as `made` does others."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    kind, own, text, vision = VISION[name]
    special = {"vocab_size": 384, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 2}
    config = AutoConfig.for_model(kind, **own, text_config={**special, **text}, vision_config=vision)
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape) * 0.1)
    return model


def folder(path: Path, name: str, seed: int = 0, **changes: Any) -> Path:
    """Save a model, with `changes` of its config, and a tokenizer; of one that sees images the text part, as it is."""
    from transformers import AutoTokenizer

    _ = _words(path) if name in ENCODERS else tiny.tokenizer(path, 384)
    if name in VISION:
        from potstill.compression.text_part import text_model

        text_model(seeing(name, seed)).save_pretrained(path)
    else:
        made(name, seed, **changes).save_pretrained(path)
    # transformers splits text by the type's own rule, Qwen2's say: what lies there is then what is loaded
    AutoTokenizer.from_pretrained(path).save_pretrained(path)
    return path


def _words(path: Path) -> None:
    """Save a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = sorted({word for text in tiny.CORPUS for word in text.lower().replace(",", " ").replace(".", " ").split()})
    vocabulary = {word: number for number, word in enumerate([*WORDS.values(), *words])}
    core = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=64, **WORDS).save_pretrained(path)
