"""Encoders as ONNX and in OpenVINO's format: any batch and length, padding, all parts of the model, small files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import tiny_encoders
import typed_models
from potstill.compression.model_types import TRACED_ENCODERS
from potstill.errors import BadInput
from potstill.exporting.decoders import onnx_graph
from potstill.exporting.decoders.openvino import without_telemetry
from potstill.exporting.encoders import onnx as encoder_onnx
from potstill.exporting.encoders.fresh_process import script_of
from potstill.exporting.encoders.model import sentence_encoder
from potstill.exporting.encoders.onnx import EncoderONNX
from potstill.exporting.encoders.openvino import EncoderOpenVINO
from potstill.exporting.encoders.probe import distances, in_memory, probe_texts
from potstill.exporting.folder import write_serving
from potstill.steps.exporting.encoder import load

without_telemetry()
FORMATS = {
    "onnx": (EncoderONNX, "onnxruntime", "model.onnx"),
    "openvino": (EncoderOpenVINO, "nncf", "openvino_model.bin"),
}
BOTH = pytest.mark.parametrize("format", FORMATS)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    return {
        "classes": load(str(tiny_encoders.classifier(folder / "classes"))),
        "vectors": load(str(tiny_encoders.sentence_encoder(folder / "vectors"))),
    }


def written(format, precision, model, out):
    """Write an export as far as its script needs it; returns what the script defines, and the size of the weights."""
    kind, package, file = FORMATS[format]
    pytest.importorskip(package, reason=f"the package {package} is not installed")
    exporter = kind(precision)
    exporter.check(model)
    out.mkdir()
    exporter.write(model, out)
    model.tokenizer.save_pretrained(out)
    write_serving(out, exporter.serving(model), "")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out)
        return script_of(out), (out / file).stat().st_size


@BOTH
@pytest.mark.parametrize("kind", ["classes", "vectors"])
def test_a_padded_batch_gets_the_answers_of_each_text_alone(format, kind, models, tmp_path):
    model = models[kind]
    texts = probe_texts(model, [], 0)
    names, _ = written(format, "f32", model, tmp_path / "f32")
    memory = in_memory(model, texts)
    np.testing.assert_allclose(names["read"](texts), memory.said, atol=2e-5)
    np.testing.assert_allclose(names["read"](texts[:1]), memory.said[:1], atol=2e-5)
    assert tuple(tuple(names["tokenizer"].encode(text).ids) for text in texts) == memory.tokens
    assert max(map(len, memory.tokens)) == model.limit == {"classes": 64, "vectors": 32}[kind]


@BOTH
def test_fewer_bits_are_smaller_and_nearly_the_same(format, models, tmp_path):
    model = models["vectors"]
    texts = probe_texts(model, [], 0)
    memory = in_memory(model, texts).said
    result = {bits: written(format, bits, model, tmp_path / bits) for bits in ("int8", "int4")}
    moved = {
        bits: np.diagonal(distances("vectors", memory, names["read"](texts))).mean()
        for bits, (names, _) in result.items()
    }
    assert 1e-3 < moved["int8"] < 0.2 and moved["int8"] < moved["int4"] < 0.5
    assert result["int4"][1] < result["int8"][1] < 4 * sum(weight.numel() for weight in model.network.parameters())


def test_the_graph_of_int8_holds_no_large_floats(models):
    """Embeddings and blocks are in bytes, and what is left of float32 is norms, biases, scales and the head."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    graph = encoder_onnx.compressed(encoder_onnx.traced(models["classes"]), "int8", "tensor").graph
    floats = {
        tensor.name: list(tensor.dims) for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT
    }
    wide = {name for name, shape in floats.items() if len(shape) > 1 and min(shape) > 1}
    assert wide == {"model.classifier.weight"}
    assert {node.op_type for node in graph.node} >= {"MatMulInteger", "Gather", "Gemm"}


def test_embeddings_of_four_bits_are_looked_up_to_the_digit(models):
    """What ONNX Runtime looks up equals what was rounded, and no number is further off than half a step."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    graph = encoder_onnx.traced(models["vectors"])
    tables = [weight for name, weight in models["vectors"].network.named_parameters() if "embeddings.weight" in name]
    encoder_onnx.compressed(graph, "int4", "tensor", "int4")
    lookups = [node for node in graph.graph.node if node.op_type == "GatherBlockQuantized"]
    assert len(lookups) == len(tables)
    table = np.random.default_rng(0).normal(size=(30, 64)).astype(np.float32)
    table[3] = 0
    packed, scales = onnx_graph.rounded_groups(table, 32)
    actual = looked_up(onnx, packed, scales, lookups[0])
    nibbles = np.stack([packed & 15, packed >> 4], axis=2).reshape(30, 2, 32).astype(np.float32) - 8
    np.testing.assert_array_equal(actual, (nibbles * scales[:, :, None]).reshape(30, 64))
    assert (np.abs(actual - table).reshape(30, 2, 32).max(2) <= scales / 2 + 1e-6).all()


def looked_up(onnx, packed, scales, like):
    """Return all rows of a table as ONNX Runtime looks them up by a node `like` this one."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    node = onnx.NodeProto()
    node.CopyFrom(like)
    node.input[:], node.output[:] = ["table", "rows", "scales"], ["found"]
    graph = onnx.helper.make_graph(
        [node],
        "lookup",
        [onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.INT64, [None])],
        [onnx.helper.make_tensor_value_info("found", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(packed, "table"), onnx.numpy_helper.from_array(scales, "scales")],
    )
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid(onnx_graph.CONTRIB, 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"rows": np.arange(len(packed))})[0]


def test_a_model_with_embeddings_of_four_bits_is_smaller_and_answers(models, tmp_path):
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    model = models["vectors"]
    texts = probe_texts(model, [], 0)
    memory, sizes = in_memory(model, texts).said, {}
    for embeddings in ("int8", "int4"):
        exporter, out = EncoderONNX("int4", embeddings=embeddings), tmp_path / embeddings
        out.mkdir()
        recipe = exporter.write(model, out)
        assert recipe["embeddings"].startswith(embeddings)
        model.tokenizer.save_pretrained(out)
        write_serving(out, exporter.serving(model), "")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(out)
            said = script_of(out)["read"](texts)
        assert np.diagonal(distances("vectors", memory, said)).mean() < 0.5
        sizes[embeddings] = (out / "model.onnx").stat().st_size
    assert sizes["int4"] < sizes["int8"]


@pytest.mark.parametrize("kind", sorted(set(TRACED_ENCODERS) - {"bert"}))
def test_all_types_that_are_named_are_traced(kind, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    changes = typed_models.ENCODERS["DeBERTa-v3"][1] if kind == "deberta-v2" else {}
    model = load(str(tiny_encoders.classifier(tmp_path / "model", kind, **changes)))
    assert ("token_type_ids" in model.inputs) == (kind == "electra")
    session = onnxruntime.InferenceSession(encoder_onnx.traced(model).SerializeToString())
    ids = torch.randint(4, 30, (3, 9))
    mask = torch.ones_like(ids)
    ids[1, 4:], mask[1, 4:] = 0, 0
    given = dict(zip(model.inputs, (ids, mask, torch.zeros_like(ids)), strict=False))
    with torch.no_grad():
        expected = model.network.model(**given).logits
    actual = session.run(None, {name: value.numpy() for name, value in given.items()})[0]
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_groups_that_do_not_fit_are_refused_with_what_does(models):
    pytest.importorskip("nncf", reason="the package nncf is not installed")
    model = dataclasses.replace(models["classes"], network=torch.nn.Linear(40, 3))
    with pytest.raises(BadInput, match=r'rows of 40 features don.t fit groups of 32: take precision="int8", or format'):
        EncoderOpenVINO("int4").check(model)
    EncoderOpenVINO("int8").check(model)


def test_one_file_holds_two_gigabytes(models):
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    with torch.device("meta"):
        large = torch.nn.Linear(30_000, 30_000)
    with pytest.raises(BadInput, match=r'3\.6 GB of weights in float32.*take format="openvino"'):
        EncoderONNX().check(dataclasses.replace(models["classes"], network=large))


def test_a_prompt_of_the_encoder_is_told_and_not_put_in(models, tmp_path):
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(
        str(models["vectors"].folder), device="cpu", prompts={"query": "search: "}, default_prompt_name="query"
    )
    model = sentence_encoder(models["vectors"].folder, "it", encoder)
    assert model.answer("the light") == pytest.approx(models["vectors"].answer("the light"), abs=1e-6)
    assert "texts that begin with 'search: ': put that before them yourself" in EncoderONNX().serving(model).more
