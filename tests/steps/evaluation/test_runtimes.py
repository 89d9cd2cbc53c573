"""One language model through every runtime: the same answers and right rows, with the threads that are allowed."""

from __future__ import annotations

import importlib
import json
from itertools import islice
from pathlib import Path

import pytest
from datasets import Dataset

from fakes import context_in
from potstill import VLLM, Transformers
from potstill.data import home
from potstill.exporting.decoders import fresh_process
from potstill.exporting.probe import ends_in
from potstill.steps import Evaluate, EvaluatePerplexity, Export

TEACHER = home.FOLDER / "teacher"
PACKAGES = {
    "gguf": "llama_cpp",
    "onnx": "onnxruntime_genai",
    "openvino": "openvino_tokenizers",
    "executorch": "executorch",
}
RUNTIMES = {"gguf": "llama.cpp", "onnx": "onnxruntime-genai", "openvino": "OpenVINO", "executorch": "ExecuTorch"}
READS = {"gguf": "llama.cpp", "onnx": "onnxruntime-genai", "openvino": "openvino"}
with (home.FOLDER / "grammar_test.jsonl").open(encoding="utf-8") as lines:
    ROWS = [json.loads(line) for line in islice(lines, 24)]
TEXTS = [{"text": row["output"]} for row in ROWS]
EVALUATE = Evaluate("model", None, prompt="home.jinja", max_tokens=48, latency_requests=1, warmup=0)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Exports the embedded teacher in float32, each format once."""
    folders: dict[str, Path] = {}
    export = importlib.import_module("potstill.steps.exporting.language_model")

    def write(fmt: str) -> Path:
        pytest.importorskip(PACKAGES[fmt], reason=f"the package {PACKAGES[fmt]} is not installed")
        if fmt not in folders:
            out = tmp_path_factory.mktemp(fmt)
            source = export.load(str(TEACHER), quantized=False)
            export._carry(source, out)
            Export("model", format=fmt, precision="f32")._exporter(source).write(source, out)
            folders[fmt] = out
        return folders[fmt]

    return write


@pytest.fixture(scope="module")
def by_transformers(tmp_path_factory):
    """What transformers answers in float32, and the perplexity that it measures."""
    where = tmp_path_factory.mktemp("transformers")
    answers = EVALUATE.run(Transformers(str(TEACHER), dtype="float32"), Dataset.from_list(ROWS), context_in(where))
    read = EvaluatePerplexity("model", None, documents=True, window=256)
    return answers, read.run(str(TEACHER), Dataset.from_list(TEXTS), context_in(where))


def quality(metrics):
    figures = metrics["sets"]["test"]
    return {name: figures[name] for name in ("n", "exact_match", "valid_json", "cut", "errors", "row_right")}


@pytest.mark.parametrize(
    "fmt", [pytest.param(fmt, marks=pytest.mark.slow) if fmt == "executorch" else fmt for fmt in PACKAGES]
)
def test_a_runtime_has_the_right_rows_that_transformers_has(fmt, written, by_transformers, tmp_path):
    answers, read = by_transformers
    assert quality(answers)["exact_match"] > 0.8
    own = EVALUATE.run(str(written(fmt)), Dataset.from_list(ROWS), context_in(tmp_path))
    assert quality(own) == quality(answers)
    assert own["engine"]["runtime"].startswith(RUNTIMES[fmt])
    assert own["engine"]["completion_tokens"] == answers["engine"]["completion_tokens"]
    assert own["tokens_per_s"] > 0
    step = EvaluatePerplexity("model", None, documents=True, window=256)
    losses = step.run(str(written(fmt)), Dataset.from_list(TEXTS), context_in(tmp_path))["sets"]["test"]
    # transformers reads the folder in bfloat16, as it is stored; llama.cpp keeps its cache in float16
    assert losses["perplexity"] == pytest.approx(read["sets"]["test"]["perplexity"], rel=5e-3)
    assert losses["tokens"] == read["sets"]["test"]["tokens"]


@pytest.mark.slow
@pytest.mark.vllm
def test_vllm_has_the_right_rows_that_transformers_has(by_transformers, tmp_path):
    own = EVALUATE.run(VLLM(str(TEACHER), dtype="float32"), Dataset.from_list(ROWS), context_in(tmp_path))
    assert quality(own) == quality(by_transformers[0])


def test_runtimes_take_the_threads_that_they_are_allowed(written):
    """By default llama.cpp reads prompts with every processor, and waits for those that others use."""
    psutil = pytest.importorskip("psutil")
    llama = fresh_process.opened("llama.cpp", written("gguf"), 1)
    assert (llama.model.n_threads, llama.model.n_threads_batch) == (1, 1)
    llama.close()
    compiled = fresh_process.opened("openvino", written("openvino"), 1).request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    threads = []
    for count in (1, 1, 4):  # the first one starts what all share
        before = psutil.Process().num_threads()
        runtime = fresh_process.opened("onnxruntime-genai", written("onnx"), count)
        threads.append(psutil.Process().num_threads() - before)
        del runtime
    assert threads[2] == threads[1] + 3


def test_llama_cpp_makes_room_for_texts_as_they_come(written):
    runtime = fresh_process.opened("llama.cpp", written("gguf"))
    assert runtime.model.n_ctx() == 512
    ids = [845, 320] * 300
    assert len(runtime.log_probabilities(ids)) == len(ids) - 1
    assert runtime.model.n_ctx() == 1024
    runtime.close()


def test_an_answer_ends_at_any_of_the_tokens_that_end_one(written, tmp_path):
    """A chat model has an end of turn beside the end of a text; only one of them is its tokenizer's."""
    assert ends_in(TEACHER) == {2}
    (tmp_path / "config.json").write_text('{"eos_token_id": 7}')
    assert ends_in(tmp_path) == {7}
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
    assert ends_in(tmp_path) == {5, 6}
    (tmp_path / "generation_config.json").write_text("{}")
    (tmp_path / "config.json").write_text('{"text_config": {"eos_token_id": 9}}')
    assert ends_in(tmp_path) == {9}
    runtime = fresh_process.opened("llama.cpp", written("gguf"))
    prompt = runtime.tokenized("turn on the light")
    free = runtime.continued(prompt, 6)
    runtime.ends = {free[0]}
    assert runtime.continued(prompt, 6) == free[:1]
    runtime.close()
