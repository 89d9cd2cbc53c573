"""Where modules lay before they moved: keys name them by the old place, and old imports work for one release."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object  # that module imports a dozen others

HOME = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - pathlib takes long to import
"""The folder of the package."""
_TABLE = """
compression < compression: block_backward=backward cpu_kernels=processor layerwise=walk loss=objective
compression.formats < compression: bitsandbytes=bitsandbytes_format checkpoint=stored compressed_tensors
    gemma=gemma_format
compression.pruning < compression: activation_importance=activity bonsai depth gates hard_concrete head_importance
    l0_masks magnitude mask_regression masked_model masks nm_pattern=pattern rewinding shapes slicing sparse_storage
    sparsegpt wanda
compression.quantization < compression: awq bit_allocation=allocation clipping curvature fp8 gobo gptq gptq_columns
    int8_matmul layerwise_distill llm_int8 nf4 rounding scale_folding=folding sensitivity smoothquant straight_through
engine < .: annotations arguments columns context digests encoding=keys field_texts graph inventory json_text ledger
    loader logs pipeline pipeline_file plan processes progress records settings signatures step terminal type_checks
    typed_json validate value_text
engine.code < code: actions classes foreign functions holders inert lookup modules names origins scripts sources
    statements states syntax values walk
engine.keys < .: identity inputs
engine.rows < .: copies files=rows values
engine.rows < arrow: arrow_values=values casting dicts features flaws lists objects optional_keys parts reading sizes
    sources taking types
engine.running < .: carried children execute executor fork_server=zygote forks interrupts messages nursery
    out_of_memory=memory own_code process_state results runner=run service_state services supervisor=keeper traces
engine.store < .: artifacts=store file_locks garbage journal key_locks=locks lines manifests pins run_records usage
exporting < exporting: child_process=process logprobs=scores silence=quiet
exporting.decoders < exporting: compressed_tensors executorch executorch_runtime fresh_process=fresh gguf gguf_runtime
    gguf_tokenizer=gguf_tokens ollama onnx onnx_graph onnx_runtime openvino openvino_runtime vllm_runtime
exporting.encoders < exporting: exporter=encoder_exporter fresh_process=encoder_fresh model=encoder_model
    onnx=encoder_onnx openvino=encoder_openvino probe=encoder_probe script=encoder_script
labelling < steps: class_shares
metrics < .: answers=metrics classification perplexity significance spans=tagging
metrics < text: translation=bleu
models < .: card=modelcard chat encoder_decoder footprint hidden_states identity=models turns word_tokens
models < steps: folder=checkpoint sentence_encoder=encoder
recipes < methods: born_again co_training compress ensemble lessons=training lottery_ticket self_training
    sequence_level students=course teaching_assistant
reporting < reporting: graph_layout=layers model_table=models number_formats=formats summary=words
steps < steps: init_models=scratch
steps.compression < steps: calibration cast_half keep_layers low_rank share_weights trim_vocabulary
steps.compression < steps.bases: base=compression loss_base=labelled
steps.evaluation < steps: classifier=evaluate_classifier diversity language_model=evaluate
    perplexity=evaluate_perplexity size_table token_classifier=evaluate_token_classifier
    translation=evaluate_translation
steps.evaluation < steps.bases: classifier_base=class_evaluation evaluation_sets=test_sets exported_teacher exports
    losses read_model
steps.exporting < steps: encoder=export_encoder language_model=export
steps.filtering < steps: confidence=confident decontaminate deduplicate filter text_quality=quality
steps.generation < steps: answer_parsers=parse attributes constraints=choices decode few_shot filter_prompt
    from_prompt list_parsers=reading process prompt rank retrieval=retrieval_prompt structured
steps.generation < steps.bases: base=teacher choice in_context search_base=search
steps.instructions < steps: backtranslate classify_tasks evol_instruct=evolve evol_rules=evolution grow_examples=grow
    input_from_label instance_rules instances magpie parse_prompt pool=instruction_pool rules=instruction_rules
    self_instruct training_text=encode
steps.labelling < steps: add_pseudo_labels=pseudo_labels average_probabilities=average class_probabilities classify
    consensus ensemble_query=panel hidden_labels=hidden interpolate judge judge_generations
    labeling_functions=functions pairwise_verdict=verdict preference_pairs pseudo_label=label score split_text=halves
    task_model
steps.labelling < steps.bases: classifier_base=classifier scoring_base=given_text
steps.loading < steps: csv_files=load_csv files hub=load_hub in_memory=load_rows json_files=load_json json_list
    parquet_files=load_parquet schema seeds=load text_files=load_text
steps.loading < steps.bases: file_reader=records
steps.pruning < steps: bonsai=bonsai_prune depth=depth_prune heads=head_prune magnitude=magnitude_prune rewind
    sparsegpt=sparsegpt_prune wanda=prune width=width_prune
steps.pruning < steps.bases: structured=cut unstructured=zeros
steps.quantization < steps: encoder=quantize_encoder fp8=quantize_fp8 gobo int4=quantize_int4 int8=quantize_int8
    layerwise_distill llm_int8 mixed_precision nf4
steps.quantization < steps.bases: base=quantization
steps.retrieval < steps: embed neighbours retrieve similarity vector_index=nearest
steps.rows < steps: columns concat_zip=combine group_explode=shape join map_rows=transform prompt_columns=templates
    sort_sample=order split sql sql_syntax to_messages
steps.rows < steps.bases: added base=rows
teachers < .: response_codec=responses search=decoding
teachers < teachers: chat_tokens=rendering constrained_decoding=forms kv_cache_memory=memory lora_adapter=adapter
    token_sampling=drawing
teachers.cache < .: forecast parse_retry=asking parsed response_cache=generate soft_labels
teachers.cache < steps: search_cache=hypotheses
teachers.openai < teachers: account address aimd_window=window answers budget client=wire connection dispatch endpoint
    event_loop fitting outcome payloads=bodies pool sending
teachers.vllm < teachers: arguments=vllm_arguments engine=vllm_engine server teacher=vllm
text < .: patterns
text < steps: bit_lcs rouge_novelty=novelty schema_patterns
text < text: diversity=variety
trainers.compressed < trainers: binary cofi_prune low_bit mask_parametrization=mask_form qat ternary
trainers.encoders < trainers: base=class_training class_names=classes class_teacher classifier
    embedding_batches=embeddings layer_map layer_match layer_objective layer_tasks masked_language_model=masked
    meta_loop meta_pseudo_labels sentence_encoder text_batches=texts token_classifier word_batches=words
trainers.language_models < trainers: architecture base=causal chunked_losses=chunked cross_tokenizer=two_tokenizers
    divergence hard_label=hard on_policy on_policy_objective=written packing preference
    preference_batches=pairs rollouts=sampling seq2seq_batches=seq2seq soft_label=soft soft_objective
    stored_labels=stored trl_kernel trl_vllm=trl_adapter vocabulary_check=vocabulary
trainers.loop < trainers: base=training checkpoints context=surroundings examples
    failure_messages=faults fsdp=sharding hf_trainer=student_trainer launcher=launch loop lora objective
    parametrization=form process_group=group student_model=student token_store=tokenized
    trackers worker
trainers.losses < trainers: meta_feedback=feedback
"""
"""A line for each pair of rooms, `NEW < OLD: names`; `.` is the package itself, and `new=old` a module renamed."""


def _moves(table: str) -> dict[str, str]:
    """Return the names of modules as they are now, with those that they had."""
    moves: dict[str, str] = {}
    new = old = ""
    for word in table.replace(" < ", "<").split():
        if word.endswith(":"):
            new, old = (f"potstill.{room}." if room != "." else "potstill." for room in word[:-1].split("<"))
        else:
            name, _, before = word.partition("=")
            moves[new + name] = old + (before or name)
    return moves


_SPLIT = {
    "potstill.commands": "potstill.cli",
    "potstill.compression.quantization.activations": "potstill.compression.agreement",
    "potstill.data.home.rooms": "potstill.data.home.lexicon",
    "potstill.engine.rows.common_types": "potstill.arrow.types",
    "potstill.engine.rows.families": "potstill.arrow.values",
    "potstill.engine.rows.scalar_values": "potstill.arrow.values",
    "potstill.engine.running.provenance": "potstill.execute",
    "potstill.engine.running.spec": "potstill.execute",
    "potstill.engine.store.disk": "potstill.store",
    "potstill.labelling.class_names": "potstill.trainers.classes",
    "potstill.steps.evaluation.answer_scores": "potstill.steps.evaluate",
    "potstill.teachers.openai.lanes": "potstill.teachers.dispatch",
    "potstill.teachers.vllm.settings": "potstill.teachers.vllm",
    "potstill.trainers.compressed.mask_fields": "potstill.trainers.cofi_prune",
    "potstill.trainers.compressed.masks": "potstill.trainers.cofi_prune",
    "potstill.trainers.loop.schedule": "potstill.trainers.loop",
    "potstill.trainers.loop.session": "potstill.trainers.training",
}
"""Parts of modules that are modules of their own now."""
MOVED: dict[str, str] = {
    "potstill.engine.code": "potstill.code",
    "potstill.recipes": "potstill.methods",
    **_moves(_TABLE),
    **_SPLIT,
}
"""What keys call modules of Potstill that have moved, by the name that they have now.

Keys name Potstill's functions and classes by module, those that are given as parameters and those that code of the
user's builds on, so a module that moves keeps the name in keys that it had first, and no result is lost. When a module
moves, add one entry for each, such as `"potstill.engine.step": "potstill.step"`; of one that moves again, only the
left side changes. A module that is split has an entry for each part; two can't become one whose functions and classes
are in keys. Classes keep their names: those are in keys without their module. Where code looks for one of Potstill's
modules by name, it asks for the old one. `tests/support/golden_keys.json` tells which keys a move would change.
"""
_NOW = {old: new for new, old in MOVED.items() if new not in _SPLIT}
_GONE = frozenset({"potstill.arrow", "potstill.steps.bases"})
"""Packages whose modules lie in several rooms, or beside others, now."""
_TAKEN = {
    name: _NOW.pop(name)
    for name in (
        "potstill.metrics",
        "potstill.models",
        "potstill.teachers.vllm",
        "potstill.trainers.loop",
    )
}
"""Old modules whose name is that of a room now, which hands out what was in them."""


def former(package: str, name: str) -> Any:
    """Return what the module had that was called as the room `package` is now.

    Raises:
        AttributeError: if it has no such name.
    """
    is_module = PathFinder.find_spec(f"{package}.{name}", sys.modules[package].__path__) is not None
    if not name.startswith("__") and not is_module:  # `from room import module` asks for an attribute first
        module = importlib.import_module(_TAKEN[package])
        if hasattr(module, name):
            _warn(f"{package}.{name}", f"{_TAKEN[package]}.{name}", 4)
            return getattr(module, name)
    raise AttributeError(f"module {package!r} has no attribute {name!r}")


def namesake(value: object, name: str) -> object:
    """Return the module that was called as a room is now, where `name` was taken from it; else `value` itself."""
    place = _TAKEN.get(getattr(value, "__name__", "")) if isinstance(value, ModuleType) else None
    return value if place is None or name in vars(value) else importlib.import_module(place)


class OldNames(Loader):
    """Finds modules by the names that they had: both names are one module object."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how an old name is imported; None for every other name."""
        if name in _NOW:
            return ModuleSpec(name, self)
        return ModuleSpec(name, self, is_package=True) if name in _GONE else None

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python to make the module that `exec_module` replaces."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of the new name in the place of that of the old one."""
        name = module.__name__
        if name in _GONE:
            return
        _warn(name, _NOW[name], 3)
        sys.modules[name] = importlib.import_module(_NOW[name])


def install() -> None:
    """Let old names be imported; before all other finders, as a room that was renamed has its modules' files too."""
    if not any(isinstance(one, OldNames) for one in sys.meta_path):
        sys.meta_path.insert(0, OldNames())


def _warn(old: str, new: str, level: int) -> None:
    """Warn the user of an old name."""
    warnings.warn(f"{old} has moved to {new}; the old name goes with the next release", DeprecationWarning, level)
