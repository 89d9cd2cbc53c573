from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import subprocess
import sys

import pytest

import compressing
import exported
import tiny
from kernels import needs_int4
from potstill.errors import BadInput, MissingExtra, PotstillError
from potstill.exporting.decoders import compressed_tensors
from potstill.exporting.decoders.fresh_process import fresh_answers
from potstill.exporting.folder import command_of
from potstill.exporting.probe import Probe
from potstill.exporting.verdict import NotDeployableError
from potstill.steps.exporting.language_model import Export
from potstill.steps.quantization.int4 import QuantizeInt4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return exported.causal(tmp_path_factory.mktemp("export") / "model")


def said_to_be_int4(folder, out):
    """Copy a model, and let its config say that it is quantized."""
    shutil.copytree(folder, out)
    config = json.loads((out / "config.json").read_text())
    config["quantization_config"] = exported.quantization(4)
    (out / "config.json").write_text(json.dumps(config))
    return out


def run(model, tmp_path, probe=None, **fields):
    """Run the step; return its folder and notes."""
    context = compressing.context(tmp_path, "export")
    return Export(str(model), probe=probe, **fields).run(model=str(model), probe=probe, context=context), context.notes


def problems(**fields):
    return [(problem.field, problem.message) for problem in Export("model", **fields).check()]


def test_a_precision_that_the_format_lacks_is_told_before_anything_runs():
    assert problems(format="onnx", precision="int4") == problems(format="gguf") == []
    [(field, message)] = problems(format="onnx", precision="q8_0")
    assert field == "precision"
    assert message == "format 'onnx' can't store 'q8_0': it has 'int4', 'int8', 'f32'"


def test_what_answers_otherwise_is_no_export(folder, tmp_path):
    pytest.importorskip("onnxruntime_genai", reason="the package onnxruntime-genai is not installed")
    with pytest.raises(NotDeployableError, match=r"perplexity goes from .* in onnxruntime-genai .*more than 0\.0%"):
        run(folder, tmp_path, format="onnx", precision="int4", tolerance=1e-6)


def test_an_export_holds_all_that_serving_needs(folder, tmp_path):
    pytest.importorskip("onnxruntime_genai", reason="the package onnxruntime-genai is not installed")
    out, notes = run(folder, tmp_path, compressing.rows(), format="onnx", precision="f32")
    assert notes["deployable"] is True
    assert notes["export"]["perplexity ratio"] == pytest.approx(1, abs=1e-3)
    assert notes["export"]["equal greedy tokens"] == 1
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    assert "yes, checked with the serving runtime" in (out / "README.md").read_text()
    assert "Checked in a fresh process by onnxruntime-genai" in (out / "SERVE.md").read_text()
    check = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=out, check=False, capture_output=True)
    assert check.returncode == 0
    command = [sys.executable, "-c", command_of(out)]
    answered = subprocess.run(command, cwd=out, capture_output=True, text=True, timeout=60, check=False)
    assert answered.returncode == 0, answered.stderr
    assert answered.stdout.strip()


def test_a_fresh_process_that_takes_too_long_or_fails_says_so(tmp_path):
    probe = Probe(((1, 2),), (1,), ((1,),))
    with pytest.raises(PotstillError, match=r"did not answer within 0 s.*raise time_limit"):
        fresh_answers("gguf-transformers", tmp_path, probe, 0.01)
    with pytest.raises(PotstillError, match="can't load or run what was exported"):
        fresh_answers("nothing", tmp_path, probe, 60)  # a runtime that there is none of


def test_a_quantized_model_is_not_quantized_again(folder, tmp_path):
    with pytest.raises(BadInput, match=r'quantized already.*take the 16-bit model.*format="compressed-tensors"'):
        run(said_to_be_int4(folder, tmp_path / "int4"), tmp_path, format="gguf")


def test_an_encoder_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is a BertModel: Export writes causal language models"):
        run(tiny.encoder(tmp_path / "encoder"), tmp_path, format="onnx")


@pytest.mark.parametrize(
    ("format", "package", "line"),
    [
        ("gguf", "gguf", 'pip install "potstill[gguf]"'),
        ("onnx", "onnxruntime_genai", 'pip install "potstill[onnx]"'),
        ("openvino", "openvino", 'pip install "potstill[openvino]"'),
        ("executorch", "executorch", 'pip install "potstill[executorch]"'),
        ("compressed-tensors", "vllm", 'pip install "potstill['),
    ],
)
def test_a_format_whose_runtime_is_missing_names_the_pip_line(folder, monkeypatch, format, package, line):
    actual = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == package else actual(name, *rest)
    )
    source = exported.source(folder)
    with pytest.raises(MissingExtra) as caught:
        Export(str(folder), format=format)._exporter(source).check(source)
    assert line in str(caught.value)


def test_four_bits_without_avx_512_are_refused_with_what_works(folder, tmp_path, monkeypatch):
    source = dataclasses.replace(exported.source(folder), folder=said_to_be_int4(folder, tmp_path / "int4"))
    processor = tmp_path / "cpuinfo"
    processor.write_text("flags : fpu avx2\n")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(BadInput, match=r"no AVX-512.*QuantizeInt8, or export"):
        compressed_tensors.CompressedTensors(processor=processor).check(source)
    compressed_tensors.CompressedTensors(needs_kernels=False, processor=processor).check(source)


def test_what_another_method_quantized_is_refused(folder, tmp_path):
    source = exported.source(folder)
    config = json.loads((folder / "config.json").read_text()) | {
        "quantization_config": {"quant_method": "bitsandbytes"}
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="quantized by 'bitsandbytes', which vLLM does not load"):
        compressed_tensors.CompressedTensors().check(dataclasses.replace(source, folder=tmp_path))


@pytest.mark.slow
def test_a_gguf_file_read_back_by_transformers_alone_is_not_called_deployable(folder, tmp_path):
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    out, notes = run(folder, tmp_path, format="gguf", precision="q4_0", kernels=False)
    assert notes["deployable"] is False
    assert notes["export"]["perplexity ratio"] != 1
    assert "Not checked by llama.cpp itself, so not called deployable" in (out / "SERVE.md").read_text()
    assert "llama-server --model model.gguf --jinja" in (out / "SERVE.md").read_text()
    assert "<|im_start|>" in (out / "Modelfile").read_text()
    card = (out / "README.md").read_text()
    assert "not checked" in card
    assert "ChatML" in card


@needs_int4
@pytest.mark.vllm
@pytest.mark.slow
def test_the_command_of_serve_md_serves_a_quantized_folder_as_it_is_in_memory(folder, tmp_path):
    rows = compressing.rows()
    step = QuantizeInt4(str(folder), calibration=rows, method="rtn")
    int4 = step.run(model=str(folder), calibration=rows, context=compressing.context(tmp_path, "int4"))
    out, notes = run(int4, tmp_path, rows)
    for name in ("model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (out / name).read_bytes() == (int4 / name).read_bytes()
    assert notes["export"]["perplexity ratio"] == pytest.approx(1, abs=5e-3)
    assert notes["deployable"] is True
    assert "vLLM" in notes["checked"]
    assert "python -m vllm.entrypoints.openai.api_server --model ." in (out / "SERVE.md").read_text()
    assert "pack-quantized" in (out / "README.md").read_text()
