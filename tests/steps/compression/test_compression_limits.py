"""What compression says where numbers, memory or the processor don't suffice."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import compressing
import tiny
from potstill import Pipeline, StepFailed
from potstill.errors import BadInput
from potstill.models.folder import fits
from potstill.steps.compression.cast_half import CastHalf
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.sparsegpt import SparseGPTPrune
from potstill.steps.pruning.wanda import WandaPrune
from potstill.steps.quantization.int4 import QuantizeInt4, note_processor


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("limits") / "model", layers=1)


class Greedy(WandaPrune):
    """Asks for more memory than there is."""

    heavy: ClassVar[bool] = False

    def run(self, model, calibration, context):
        torch.empty(2**60)


class GreedyCast(CastHalf):
    """Asks for more memory than there is, without calibration texts."""

    heavy: ClassVar[bool] = False

    def run(self, model, context):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")


def test_where_memory_runs_out_fewer_texts_and_block_offload_are_named(folder, tmp_path):
    step = Greedy(str(folder), calibration=LoadRows(compressing.rows().to_list()), samples=7)
    remedies = r"out of memory in Greedy \(.*lower samples \(7 now\) or max_length \(256 now\).*block offload"
    with pytest.raises(StepFailed, match=remedies):
        Pipeline("greedy", outputs={"model": step}).run(store=tmp_path / "store")


def test_a_step_without_calibration_texts_names_block_offload_first(folder, tmp_path):
    step = GreedyCast(str(folder))
    with pytest.raises(
        StepFailed, match=r"GreedyCast \(CUDA out of memory.*\): layer by layer methods .*block offload"
    ):
        Pipeline("greedy", outputs={"model": step}).run(store=tmp_path / "store")


def test_a_model_that_fills_the_gpu_stays_in_main_memory(folder):
    model = AutoModelForCausalLM.from_pretrained(folder)
    size = sum(weight.nbytes for weight in model.parameters())
    assert fits(model, 2 * size)
    assert not fits(model, 2 * size - 1)


@pytest.mark.parametrize(("kind", "fields"), [(QuantizeInt4, {}), (SparseGPTPrune, {"sparsity": 0.5})])
def test_a_hessian_that_can_not_be_inverted_is_damped_more_and_noted(folder, tmp_path, kind, fields):
    rows = compressing.rows(1).to_list() * 16  # one text: fewer different tokens than features
    from datasets import Dataset

    out, context = compressing.run_step(
        kind, folder, tmp_path, calibration=Dataset.from_list(rows), damping=1e-15, **fields
    )
    taken = context.notes["damping"]
    assert "model.layers.0.mlp.down_proj" in taken
    assert all(1e-15 < damping <= 1 for damping in taken.values())
    result = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    assert torch.isfinite(result(input_ids=torch.arange(3, 20)[None]).logits).all()


def test_a_regular_hessian_has_nothing_to_note(folder, tmp_path):
    _, context = compressing.run_step(QuantizeInt4, folder, tmp_path, calibration=compressing.rows())
    assert "damping" not in context.notes


@pytest.mark.parametrize(("kind", "fields"), [(QuantizeInt4, {}), (SparseGPTPrune, {"sparsity": 0.5})])
def test_a_hessian_that_is_not_finite_names_the_layer(folder, tmp_path, kind, fields):
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.model.layers[0].input_layernorm.weight.fill_(1e25)  # finite, and its square is not
    model.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "broken")
    with pytest.raises(BadInput, match=r"model.layers.0.self_attn.q_proj: the Hessian .* is not finite"):
        compressing.run_step(kind, tmp_path / "broken", tmp_path, calibration=compressing.rows(), **fields)


def test_a_processor_that_can_not_serve_four_bits_is_noted(tmp_path):
    (tmp_path / "cpuinfo").write_text("flags : fpu avx2\n")
    context = compressing.context(tmp_path)
    note_processor(context, tmp_path / "cpuinfo")
    assert "no AVX-512" in context.notes["serving"]
    assert "QuantizeInt8" in context.notes["serving"]
