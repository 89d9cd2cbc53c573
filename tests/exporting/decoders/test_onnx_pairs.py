"""Encoder-decoders of every type are written for ONNX Runtime, which answers as transformers does."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

import compressing
import translating
import typed_models
from learning import dataset
from potstill.errors import BadInput
from potstill.exporting.folder import command_of
from potstill.steps.evaluation.translation import EvaluateTranslation
from potstill.steps.exporting.language_model import Export
from promises import loaded

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
WRITTEN = 12
"""Tokens that are written greedily."""


def exported(folder, tmp_path, name="onnx", **fields):
    context = compressing.context(tmp_path, name)
    out = Export(str(folder), format="onnx", **fields).run(model=str(folder), probe=None, context=context)
    return out, context.notes


@pytest.mark.parametrize("name", typed_models.ENCODER_DECODERS)
def test_every_type_writes_what_transformers_does(name, tmp_path):
    from potstill.exporting.decoders.onnx_pairs import ONNXPairs
    from potstill.exporting.decoders.onnx_pairs_runtime import OnnxPairs
    from potstill.steps.exporting.language_model import load

    folder = typed_models.folder(tmp_path / "model", name)
    settings = json.loads((folder / "generation_config.json").read_text())
    # rules that real models of these types have
    rules = {"M2M-100": {"forced_bos_token_id": 7}, "Marian": {"bad_words_ids": [[0]]}}.get(name, {})
    (folder / "generation_config.json").write_text(json.dumps({**settings, "forced_eos_token_id": None, **rules}))
    source, out = load(str(folder), quantized=False, pairs=True), tmp_path / "onnx"
    out.mkdir()
    ONNXPairs("f32").check(source)
    ONNXPairs("f32").write(source, out)
    for file in ("generation_config.json", "tokenizer.json"):
        (out / file).write_bytes((folder / file).read_bytes())
    model, runtime = loaded(name, folder), OnnxPairs(out)
    for length in (1, 9, 40):
        ids = torch.randint(3, 380, (1, length), generator=torch.Generator().manual_seed(length))
        [want] = model.generate(ids, max_new_tokens=WRITTEN, do_sample=False, num_beams=1).tolist()
        assert runtime.continued(ids[0].tolist(), WRITTEN) == want[1:]


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A T5 that translates the pairs."""
    return translating.learned(tmp_path_factory.mktemp("taught") / "t5")


@pytest.fixture(scope="module")
def written(taught, tmp_path_factory):
    return exported(taught, tmp_path_factory.mktemp("export"))


def test_eight_bits_are_a_quarter_of_the_size_and_deployable(taught, written, tmp_path):
    out, notes = written
    assert notes["deployable"] and "onnxruntime" in notes["checked"]
    exact, same = exported(taught, tmp_path, precision="f32")
    assert same["export"]["perplexity ratio"] == pytest.approx(1, abs=1e-4)
    assert same["export"]["equal greedy tokens"] == 1
    sizes = [sum(file.stat().st_size for file in folder.glob("*_model.onnx")) for folder in (out, exact)]
    assert sizes[0] < 0.5 * sizes[1]


def test_the_script_answers_as_transformers_does(taught, written):
    script = command_of(written[0])
    for row, want in zip(translating.rows(3), translating.translations(taught, translating.rows(3)), strict=True):
        run = [sys.executable, "-c", script, row["instruction"]]
        answer = subprocess.run(run, cwd=written[0], capture_output=True, text=True, check=True)
        assert answer.stdout.strip() == want


def test_translations_are_measured_through_the_runtime(taught, written, tmp_path):
    pytest.importorskip("sacrebleu")
    rows = dataset(translating.rows())
    results = {}
    for name, folder in (("model", taught), ("export", written[0])):
        step = EvaluateTranslation(str(folder), rows, max_tokens=40)
        results[name] = step.run(str(folder), rows, context=compressing.context(tmp_path, name))
    assert results["export"]["sets"]["test"]["examples"] == results["model"]["sets"]["test"]["examples"]
    assert results["export"]["sets"]["test"]["bleu"] == results["model"]["sets"]["test"]["bleu"]
    runtimes = {name: result["engine"]["runtime"].split()[0] for name, result in results.items()}
    assert runtimes == {"model": "transformers", "export": "onnxruntime"}
    step = EvaluateTranslation(str(written[0]), rows, method="beam")
    with pytest.raises(BadInput, match="an export writes greedily"):
        step.run(str(written[0]), rows, context=compressing.context(tmp_path, "beam"))


def test_rows_are_probed_as_pairs(taught, tmp_path):
    rows = dataset(translating.rows() * 8)
    context = compressing.context(tmp_path, "probed")
    step = Export(str(taught), format="onnx", precision="f32", probe=rows, max_length=32)
    step.run(model=str(taught), probe=rows, context=context)
    # it has learned them, so that they are far likelier than by chance
    assert context.notes["export"]["perplexity exported"] < 5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": "gguf"}, 'an encoder-decoder: Export writes it as format="onnx"'),
        ({"format": "onnx", "precision": "int4"}, "as f32 or int8, not 'int4'"),
    ],
)
def test_what_an_encoder_decoder_can_not_be_written_as(taught, tmp_path, fields, message):
    with pytest.raises(BadInput, match=message):
        Export(str(taught), **fields).run(model=str(taught), probe=None, context=compressing.context(tmp_path))


def test_other_evaluations_send_to_the_one_that_measures_it(written):
    from potstill.steps.evaluation.perplexity import EvaluatePerplexity

    [problem] = EvaluatePerplexity(str(written[0]), rows=None).check()
    assert "EvaluateTranslation measures it" in str(problem)
