"""An exported language model chats by its runtime, token by token, as the model in memory does."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import exported
from potstill.exporting.exporter import RuntimeName
from potstill.serving.exported_chat import open_export
from potstill.serving.served_model import served_model
from potstill.steps.exporting.language_model import Export
from potstill.teachers.protocol import Request, Sampling
from potstill.teachers.transformers import Transformers
from running import artifact_of

CHAT = [{"role": "user", "content": "turn on the light"}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fmt", "package", "runtime"),
    [("onnx", "onnxruntime_genai", "onnxruntime-genai"), ("openvino", "openvino_tokenizers", "openvino")],
)
def test_it_streams_what_the_model_in_memory_answers(
    tmp_path: Path, fmt: str, package: str, runtime: RuntimeName
) -> None:
    pytest.importorskip(package)
    model = exported.causal(tmp_path / "model", "llama", hidden=128)
    folder = artifact_of(
        Export(str(model), format=fmt, precision="f32", kernels=False, name="e"), tmp_path / "store"
    ).path  # type: ignore[arg-type]
    assert served_model(folder, "m").runtime == runtime
    request = Request(CHAT, Sampling(max_tokens=6))
    with Transformers(str(model), dtype="float32").open(threads=1) as session:
        own = next(response for _, response in session.generate([request]))
    texts: list[str] = []
    with open_export(folder, runtime, 1) as session:
        answer = session.stream(request, texts.append)
        assert (answer.text, answer.prompt_tokens, answer.finish_reason) == (own.text, own.prompt_tokens, "length")
        assert len(texts) == answer.completion_tokens == 6 and texts[-1] == answer.text
        warm = Sampling(temperature=1.0, max_tokens=8)
        drawn = [session.stream(Request(CHAT, warm, seed=seed), texts.append).text for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1] != drawn[2]
        stop = own.text[2:4]
        stopped = session.stream(Request(CHAT, Sampling(max_tokens=6, stop=(stop,))), texts.append)
        assert stopped.finish_reason == "stop" and stopped.text == own.text[: own.text.index(stop)]
        long = session.stream(Request([{"role": "user", "content": "light " * 999}], Sampling()), texts.append)
        assert long.finish_reason == "error" and not long.retryable
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts[:6]))
