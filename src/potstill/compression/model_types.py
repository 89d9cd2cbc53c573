"""What is said of each model type: where it keeps its parts, and how its config counts them.

Nothing else knows types by name. To add one, name its parts here; `scripts/architectures.py` shows what then works.
Paths are those of transformers 5.19.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from potstill.compression.block_parts import Architecture, Description, Fold, Runtimes
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig

_QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_GATED = ("mlp.gate_proj", "mlp.up_proj")
_LLAMA = Architecture(
    blocks="layers",
    queries=_QKV,
    attended="self_attn.o_proj",
    units=_GATED,
    down="mlp.down_proj",
    norms=("input_layernorm", "post_attention_layernorm"),
    folds=(Fold("input_layernorm", _QKV), Fold("post_attention_layernorm", _GATED)),
)
_FREE = replace(_LLAMA, heads="free")
_BUILT = Runtimes(genai="builds")
# norms multiply by 1 + w
_GEMMA = replace(_FREE, norm_offset=1.0)
_GEMMA2 = replace(
    _GEMMA,
    norms=(
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ),
    folds=(Fold("input_layernorm", _QKV), Fold("pre_feedforward_layernorm", _GATED)),
    norms_behind=True,
)
_OLMO2 = replace(
    _LLAMA,
    # behind attention and feed-forward: what reads the residual stream is no norm's output
    norms=("post_attention_layernorm", "post_feedforward_layernorm"),
    folds=(),
    norms_behind=True,
    heads="kept",
    heads_kept="its queries and keys pass a norm over all heads together",
)
_PHI3 = replace(
    _LLAMA,
    queries=("self_attn.qkv_proj",),
    units=("mlp.gate_up_proj",),
    units_fused=True,
    folds=(
        Fold("input_layernorm", ("self_attn.qkv_proj",)),
        Fold("post_attention_layernorm", ("mlp.gate_up_proj",)),
    ),
)
# routers are no linear layers, and read the norm's output too: no scale of it can be folded
_EXPERTS = replace(_LLAMA, units=(), down="", folds=(Fold("input_layernorm", _QKV),), has_experts=True)
_MIXTRAL = replace(
    _EXPERTS,
    heads="free",
    stored_names=(
        (".mlp.", ".block_sparse_moe."),
        (".gate_proj", ".w1"),
        (".up_proj", ".w3"),
        (".down_proj", ".w2"),
    ),
)
# names that vLLM 0.32's code has for single experts; its loader takes 8-bit ones for 16-bit ones all the same
_GPT_OSS = replace(
    _EXPERTS,
    heads="free",
    per_head="self_attn.sinks",
    for_potstill_alone=True,
    stored_names=((".gate_up_proj.", ".w13_"), (".down_proj.", ".w2_")),
)
_GPT2 = Architecture(
    blocks="h",
    queries=("attn.c_attn",),
    attended="attn.c_proj",
    units=("mlp.c_fc",),
    down="mlp.c_proj",
    norms=("ln_1", "ln_2"),
    folds=(Fold("ln_1", ("attn.c_attn",)), Fold("ln_2", ("mlp.c_fc",))),
    unit_field="n_inner",
)
_NEOX = Architecture(
    blocks="layers",
    queries=("attention.query_key_value",),
    attended="attention.dense",
    units=("mlp.dense_h_to_4h",),
    down="mlp.dense_4h_to_h",
    norms=("input_layernorm", "post_attention_layernorm"),
    folds=(
        Fold("input_layernorm", ("attention.query_key_value",)),
        Fold("post_attention_layernorm", ("mlp.dense_h_to_4h",)),
    ),
    fused="groups",
)
_BERT = Architecture(
    blocks="encoder.layer",
    queries=("attention.self.query", "attention.self.key", "attention.self.value"),
    attended="attention.output.dense",
    units=("intermediate.dense",),
    down="output.dense",
    norms=("attention.output.LayerNorm", "output.LayerNorm"),
    is_encoder=True,
)
_DISTILBERT = Architecture(
    blocks="transformer.layer",
    queries=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    attended="attention.out_lin",
    units=("ffn.lin1",),
    down="ffn.lin2",
    norms=("sa_layer_norm", "output_layer_norm"),
    unit_field="hidden_dim",
    is_encoder=True,
)
_MPNET = Architecture(
    blocks="encoder.layer",
    queries=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
    attended="attention.attn.o",
    units=("intermediate.dense",),
    down="output.dense",
    norms=("attention.LayerNorm", "output.LayerNorm"),
    heads="kept",
    heads_kept="all blocks share a table of distances with a column for each head",
    mask="plain",
    is_encoder=True,
    puts_out_tuple=True,
)
_MODERNBERT = Architecture(
    blocks="layers",
    queries=("attn.Wqkv",),
    attended="attn.Wo",
    units=("mlp.Wi",),
    down="mlp.Wo",
    # the first block has no norm before its attention
    norms=("attn_norm", "mlp_norm"),
    folds=(Fold("attn_norm", ("attn.Wqkv",)), Fold("mlp_norm", ("mlp.Wi",))),
    units_fused=True,
    no_packing="its code sets missing weights by their names, and packed ones have others",
    is_encoder=True,
)
_T5 = Architecture(
    blocks="encoder.block",
    decoder_blocks="decoder.block",
    puts_out_bias=True,
    no_fp8="its code casts the inputs of a layer to the type of the weights, without a scale",
    no_bitsandbytes="one layer of each block is kept in float32",
)
_ALBERT_LAYER = "albert_layers.0"
_ALBERT = Architecture(
    blocks="encoder.albert_layer_groups",
    queries=tuple(f"{_ALBERT_LAYER}.attention.{name}" for name in ("query", "key", "value")),
    attended=f"{_ALBERT_LAYER}.attention.dense",
    units=(f"{_ALBERT_LAYER}.ffn",),
    down=f"{_ALBERT_LAYER}.ffn_output",
    norms=(f"{_ALBERT_LAYER}.attention.LayerNorm", f"{_ALBERT_LAYER}.full_layer_layer_norm"),
    is_encoder=True,
    is_repeated=True,
)


def _opt(config: Any) -> Architecture:
    """OPT: norms before the layers, but in OPT-350m."""
    queries = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    folds = (Fold("self_attn_layer_norm", queries), Fold("final_layer_norm", ("fc1",)))
    return Architecture(
        blocks="decoder.layers",
        queries=queries,
        attended="self_attn.out_proj",
        units=("fc1",),
        down="fc2",
        norms=("self_attn_layer_norm", "final_layer_norm"),
        folds=folds if config.do_layer_norm_before else (),
        unit_field="ffn_dim",
    )


def _falcon(config: Any) -> Architecture:
    """Falcon: three forms of attention, and one norm or two."""
    queries, units = ("self_attention.query_key_value",), ("mlp.dense_h_to_4h",)
    names = ("input_layernorm", "post_attention_layernorm")
    folds: tuple[Fold, ...] = (Fold(names[0], queries), Fold(names[1], units))
    if config.parallel_attn or config.new_decoder_architecture:
        own = config.new_decoder_architecture and config.num_ln_in_parallel_attn in (None, 2)
        names = ("ln_attn", "ln_mlp") if own else ("input_layernorm", "input_layernorm")
        folds = (Fold(names[0], queries), Fold(names[1], units)) if own else (Fold(names[0], (*queries, *units)),)
    one_group = config.multi_query and not config.new_decoder_architecture
    return Architecture(
        blocks="h",
        queries=queries,
        attended="self_attention.dense",
        units=units,
        down="mlp.dense_4h_to_h",
        norms=tuple(dict.fromkeys(names)),
        folds=folds,
        fused="parts" if one_group else "groups",
        unit_field="ffn_hidden_size",
        group_field="num_kv_heads" if config.new_decoder_architecture else "num_attention_heads",
        one_group=one_group,
        heads="kept" if config.alibi or one_group else "width",
        caches_all_heads=config.new_decoder_architecture,
        heads_kept="ALiBi's slopes depend on the number of heads" if config.alibi else "all share one key and value",
        puts_out_tuple=True,
        runtimes=Runtimes(llama_layout="jploski", vllm_lacks=_other_width(config)),
    )


def _other_width(config: Any) -> str:
    """Return what vLLM lacks of a Falcon: it makes room for 4 times the hidden size in each feed-forward."""
    units, usual = config.ffn_hidden_size, 4 * config.hidden_size
    return "" if units == usual else f"a feed-forward of {units} units in place of {usual} (ffn_hidden_size)"


def _stablelm(config: Any) -> Architecture:
    """StableLM: in a parallel block one norm is read by attention and feed-forward."""
    parallel = (Fold("input_layernorm", (*_QKV, *_GATED)),)
    lacks = Runtimes(vllm_lacks="attention and feed-forward that read one norm (use_parallel_residual)")
    base = replace(_LLAMA, folds=parallel, runtimes=lacks) if config.use_parallel_residual else _LLAMA
    if not config.qk_layernorm:
        return base
    return replace(base, heads="kept", heads_kept="each of its heads has norms of its own")


def _deberta(config: Any) -> Architecture:
    """DeBERTa: layers take the embeddings of distances besides.

    Raises:
        BadInput: a convolution lies between the first two blocks.
    """
    if getattr(config, "conv_kernel_size", 0):
        raise BadInput(
            "this DeBERTa has a convolution behind its first block (conv_kernel_size), so that its blocks can't be run "
            "one by one: take a DeBERTa-v3, or one without"
        )
    parts = tuple(f"attention.self.{name}_proj" for name in ("query", "key", "value"))
    return replace(_BERT, queries=parts, mask="plain", puts_out_tuple=True)


def _latent(config: Any) -> Architecture:
    """DeepSeek-V2 and V3: queries, keys and values are made of latents, which have norms of their own."""
    first = "q_a_proj" if config.q_lora_rank else "q_proj"
    folds = [
        Fold("input_layernorm", (f"self_attn.{first}", "self_attn.kv_a_proj_with_mqa")),
        Fold("self_attn.kv_a_layernorm", ("self_attn.kv_b_proj",)),
    ]
    if config.q_lora_rank:
        folds.append(Fold("self_attn.q_a_layernorm", ("self_attn.q_b_proj",)))
    return replace(
        _EXPERTS,
        queries=(),
        folds=tuple(folds),
        heads="kept",
        heads_kept="they share a latent that keys and values are made of",
    )


def _albert(config: Any) -> Architecture:
    """ALBERT: one block for all layers.

    Raises:
        BadInput: several groups of layers, or several layers in the block.
    """
    if config.num_hidden_groups != 1 or config.inner_group_num != 1:
        raise BadInput(
            f"this ALBERT has {config.num_hidden_groups} groups of {config.inner_group_num} layers: only those whose "
            "layers share one set of weights (num_hidden_groups=1, inner_group_num=1) can be compressed"
        )
    return _ALBERT


DESCRIPTIONS: Mapping[str, Description] = {
    "llama": replace(_LLAMA, heads="square", runtimes=replace(_BUILT, llama_turns_pairs=True, executorch=True)),
    "mistral": replace(
        _FREE, runtimes=Runtimes(llama_name="llama", llama_turns_pairs=True, genai="builds without a window")
    ),
    "ministral3": _FREE,
    "qwen2": replace(_LLAMA, runtimes=replace(_BUILT, executorch=True)),
    "qwen3": replace(_FREE, runtimes=replace(_BUILT, executorch=True)),
    "seed_oss": _FREE,
    "ernie4_5": replace(_LLAMA, runtimes=_BUILT),
    "smollm3": replace(_LLAMA, runtimes=Runtimes(llama_turns_pairs=True, llama_period=4)),
    "granite": replace(_LLAMA, runtimes=replace(_BUILT, llama_turns_pairs=True)),
    "stablelm": _stablelm,
    "gemma": replace(_GEMMA, runtimes=_BUILT),
    "gemma2": replace(_GEMMA2, runtimes=replace(_BUILT, llama_keeps_window=True, llama_wide_at=46)),
    "gemma3_text": replace(_GEMMA2, runtimes=Runtimes(llama_period=6, llama_keeps_window=True, llama_wide_at=62)),
    "olmo2": _OLMO2,
    "phi3": _PHI3,
    "mixtral": _MIXTRAL,
    "qwen2_moe": _EXPERTS,
    "qwen3_moe": replace(_EXPERTS, heads="free"),
    "gpt_oss": _GPT_OSS,
    "deepseek_v2": _latent,
    "deepseek_v3": _latent,
    "gpt2": _GPT2,
    "gpt_neox": _NEOX,
    "opt": _opt,
    "falcon": _falcon,
    **dict.fromkeys(("mt5", "t5", "umt5"), _T5),
    **dict.fromkeys(
        ("bart", "m2m_100", "marian", "mbart", "pegasus"),
        Architecture(blocks="encoder.layers", decoder_blocks="decoder.layers"),
    ),
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": _BERT,
    "distilbert": _DISTILBERT,
    "mpnet": _MPNET,
    "deberta-v2": _deberta,
    "modernbert": _MODERNBERT,
    "albert": _albert,
}
"""By the `model_type` of the config."""
TRACED_ENCODERS = (
    *("albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"),
)
"""Encoders that can be traced for an export; ModernBERT makes masks of two kinds by their values."""
TEXT_TYPES = {
    "qwen2_vl_text": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe_text": "qwen3_moe",
}
"""Types of text parts that are no causal models by themselves, and those that compute the same on texts."""
WHY_NOT = {
    "granitemoe": "its experts have a layout of their own",
}
"""What keeps types that users ask for out."""
BEHIND_PADDING: Mapping[str, int | None] = {
    **dict.fromkeys(("camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke")),
    **dict.fromkeys(("markuplm", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod")),
    # its code takes 1, whatever its configuration says
    "mpnet": 1,
}
"""Types that count positions from behind the padding token's number on (fairseq's habit), and that number; None is the
configuration's. RoBERTa reads 512 of its 514 positions."""
READ_BY_KERNELS: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"), ("out_proj", "conv1d")
)
"""State-space types, and their layers whose weights kernels read by themselves, past an adapter (peft refuses them)."""


def types_where(fact: Callable[[Architecture], bool]) -> list[str]:
    """Return the types that a fact is true of, whatever their config says, by name."""
    return sorted(kind for kind, own in DESCRIPTIONS.items() if isinstance(own, Architecture) and fact(own))


def runtimes_of(config: ModelConfig) -> Runtimes:
    """Return what runtimes have built in of models with this `config`: nothing of types that are not described."""
    description = DESCRIPTIONS.get(config.model_type)
    if description is None:
        return Runtimes()
    return (description if isinstance(description, Architecture) else description(config)).runtimes
