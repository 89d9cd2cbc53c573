from __future__ import annotations

import importlib.util
import itertools
import subprocess
import sys

import pytest
import torch
from transformers import AutoConfig

import compressing
import exported
from potstill.errors import BadInput, PotstillError
from potstill.exporting.decoders.executorch import CHUNK, FILE, ExecuTorch, cache_length, with_cache
from potstill.exporting.folder import command_of
from potstill.exporting.probe import InMemory
from potstill.steps.exporting.language_model import Export

needs_packages = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("executorch", "torchao", "pytorch_tokenizers"))),
    reason="the packages of the extra executorch are not installed",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a model of one block, because lowering takes seconds a block."""
    folder = tmp_path_factory.mktemp("executorch") / "model"
    return exported.causal(folder, tie_word_embeddings=True, num_hidden_layers=1)


@pytest.fixture(scope="module")
def made(model, tmp_path_factory):
    """An export in float32 by the step, which asks it in a fresh process, and what was found."""
    context = compressing.context(tmp_path_factory.mktemp("executorch"), "export")
    step = Export(str(model), format="executorch", precision="f32")
    return step.run(model=str(model), context=context), context.notes


@pytest.fixture(scope="module")
def small(model, tmp_path_factory):
    """An export in 4 bits."""
    out, source = tmp_path_factory.mktemp("int4"), exported.source(model)
    source.tokenizer.save_pretrained(out)
    ExecuTorch("int4", 32).check(source)
    ExecuTorch("int4", 32).write(source, out)
    return out


def runtime(folder):
    from potstill.exporting.decoders.executorch_runtime import ExecuTorch as Runtime

    return Runtime(folder)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_a_module_with_its_own_cache_answers_as_the_model_wherever_a_text_is_cut(tmp_path, kind):
    source, ids = exported.source(exported.causal(tmp_path, kind)), torch.tensor([exported.ids(12)])
    with torch.no_grad():
        expected = source.model(input_ids=ids).logits[0]
        for cuts in [(0, 12), (0, 5, 12), (0, 11, 12)]:
            cached = with_cache(source.model)
            for start, end in itertools.pairwise(cuts):
                actual = cached(ids[:, start:end], torch.arange(start, end))
                assert actual.shape == (1, 1, expected.shape[1])
                torch.testing.assert_close(actual[0, 0], expected[end - 1])


def test_the_cache_is_no_longer_than_what_the_model_was_made_for_or_sees():
    assert cache_length(AutoConfig.for_model("qwen3", max_position_embeddings=40960)) == 2048
    assert cache_length(AutoConfig.for_model("llama", max_position_embeddings=512)) == 512
    sliding = {"use_sliding_window": True, "sliding_window": 100, "max_window_layers": 0}
    assert cache_length(AutoConfig.for_model("qwen2", **sliding)) == 100


@needs_packages
def test_the_exported_folder_answers_as_the_model_in_a_fresh_process(made):
    out, notes = made
    assert notes["deployable"] is True
    assert notes["export"]["perplexity ratio"] == pytest.approx(1, abs=1e-4)
    assert notes["export"]["equal greedy tokens"] == 1
    assert "Checked in a fresh process by ExecuTorch 1" in (out / "SERVE.md").read_text()


@needs_packages
def test_prompts_longer_than_a_call_are_read_in_parts(model, made):
    source, prompt = exported.source(model), exported.ids(CHUNK + 20)
    read = runtime(made[0])
    assert read.continued(prompt, 6) == InMemory(source.model, source.tokenizer).continued(prompt, 6)
    with pytest.raises(PotstillError, match=r"text of 300 tokens .* has room for 256.*shorter ones"):
        read.continued(exported.ids(300), 1)


@needs_packages
def test_the_script_of_serve_md_answers(made):
    out, _ = made
    command = [sys.executable, "-c", command_of(out)]
    answered = subprocess.run(command, cwd=out, capture_output=True, text=True, timeout=300, check=False)
    assert answered.returncode == 0, answered.stderr
    assert answered.stdout.strip()


@needs_packages
def test_the_file_tells_the_runner_what_it_asks(model, made):
    read, config = runtime(made[0]), AutoConfig.from_pretrained(model)
    reported = {name: read._constants(name) for name in sorted(read.program.method_names - {"forward"})}
    assert reported == {
        "enable_dynamic_shape": [1],
        "get_eos_ids": [config.eos_token_id],
        "get_max_context_len": [256],
        "get_max_seq_len": [CHUNK],
        "get_vocab_size": [config.vocab_size],
        "use_kv_cache": [1],
        "use_sdpa_with_kv_cache": [0],
    }


@needs_packages
def test_four_bits_are_stored_in_four_bits_and_near(model, made, small):
    assert (small / FILE).stat().st_size < 0.3 * (made[0] / FILE).stat().st_size
    ids, source = exported.ids(24), exported.source(model)
    mine = torch.tensor(InMemory(source.model, source.tokenizer).log_probabilities(ids))
    theirs = torch.tensor(runtime(small).log_probabilities(ids))
    assert 0 < (mine - theirs).abs().mean() < 0.5 * mine.std()


@needs_packages
def test_eight_bits_are_smaller_and_answer_as_the_model_in_a_fresh_process(model, made, tmp_path):
    context = compressing.context(tmp_path, "export")
    folder = Export(str(model), format="executorch", precision="int8").run(model=str(model), context=context)
    assert (folder / FILE).stat().st_size < 0.4 * (made[0] / FILE).stat().st_size
    assert context.notes["deployable"]
    assert abs(context.notes["export"]["perplexity ratio"] - 1) < 0.005


@needs_packages
def test_a_type_that_is_not_tested_and_groups_that_do_not_fit_are_refused(model):
    source = exported.source(model)
    with pytest.raises(BadInput, match=r"groups of 128 don't divide \[64\] input features.*precision=\"int8\""):
        ExecuTorch("int4", 128).check(source)
    source.model.config.model_type = "other"
    with pytest.raises(BadInput, match="'other' can't be exported to ExecuTorch here; supported are llama, qwen2, q"):
        ExecuTorch("f32").check(source)
