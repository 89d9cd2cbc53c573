from __future__ import annotations

import os
import subprocess
import sys

import pytest

import exported
from potstill.errors import BadInput
from potstill.exporting.decoders.openvino import FILE, OpenVINO, without_telemetry
from potstill.exporting.probe import InMemory, answers_of, probe_of

without_telemetry()
for package in ("openvino", "openvino_tokenizers", "nncf"):
    pytest.importorskip(package, reason=f"the package {package} is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model and its export in float32."""
    folder = tmp_path_factory.mktemp("openvino")
    source = exported.source(exported.causal(folder / "model", tie_word_embeddings=True))
    (folder / "out").mkdir()
    OpenVINO("f32").check(source)
    OpenVINO("f32").write(source, folder / "out")
    return source, folder / "out"


def test_the_runtime_answers_as_the_model_with_and_without_its_state(made):
    from potstill.exporting.decoders.openvino_runtime import OpenVINO as Runtime

    source, out = made
    probe = probe_of([(exported.ids(24), 0), (exported.ids(9), 0)])
    memory = answers_of(InMemory(source.model, source.tokenizer), probe)
    runtime = answers_of(Runtime(out), probe)
    assert runtime.surprise == pytest.approx(memory.surprise, rel=1e-4)
    assert runtime.continued == memory.continued
    assert runtime.tokens == memory.tokens


def test_eight_bits_are_smaller_and_near(made, tmp_path):
    from potstill.exporting.decoders.openvino_runtime import OpenVINO as Runtime

    source, out = made
    OpenVINO("int8").write(source, tmp_path)
    weights = FILE.replace("xml", "bin")
    assert (tmp_path / weights).stat().st_size < 0.4 * (out / weights).stat().st_size
    ids = exported.ids(24)
    mine = InMemory(source.model, source.tokenizer).log_probabilities(ids)
    assert Runtime(tmp_path).log_probabilities(ids) == pytest.approx(mine, abs=0.3)


def test_the_pipeline_of_serve_md_takes_the_folder(made):
    pytest.importorskip("openvino_genai", reason="the package openvino-genai is not installed")
    source, out = made
    # a process of its own, on all processors: pinned to one, openvino-genai 2026.4 divides by zero on some machines
    everywhere = f"import os; os.sched_setaffinity(0, range({os.cpu_count()}))\n"
    lines = OpenVINO().serving(source).command  # the very lines that a user runs
    done = subprocess.run([sys.executable, "-c", everywhere + lines], cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_nothing_is_sent_to_anyone(made):
    assert sys.modules["openvino_telemetry"] is None


def test_a_type_that_is_not_tested_is_refused(made):
    source, _ = made
    source.model.config.model_type = "other"
    try:
        with pytest.raises(BadInput, match="'other' can't be exported to OpenVINO: it was not tried"):
            OpenVINO().check(source)
    finally:
        source.model.config.model_type = "qwen3"
