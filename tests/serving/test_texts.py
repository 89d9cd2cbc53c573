"""Classifiers and sentence encoders are served as folders and as exports, with the answers of the model in memory."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from starlette.testclient import TestClient

import tiny_encoders
from potstill.serving.app import application
from potstill.serving.backend import desk_of
from potstill.serving.served_model import Kind, ServedModel, served_model
from potstill.serving.text_readers import reader_of
from potstill.steps import ExportEncoder
from potstill.web.guard import Tokens
from running import artifact_of

TEXTS = ["turn on the light", "<b>warm</b> and \u202e dry", "close the blinds " * 60]
EXPORTS: tuple[tuple[Kind, Literal["onnx", "openvino"], str], ...] = (
    ("classes", "onnx", "onnxruntime"),
    ("vectors", "openvino", "openvino"),
)
BASE, KEY = "http://127.0.0.1:8765", {"authorization": "Bearer key-of-a-test-123456"}


def nothing() -> None:
    """Stands for nobody who leaves."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("texts")
    folders = {"classes": root / "classes", "vectors": root / "vectors"}
    tiny_encoders.classifier(folders["classes"])
    tiny_encoders.sentence_encoder(folders["vectors"])
    exports = {}
    for kind, fmt, package in EXPORTS:
        pytest.importorskip(package)
        step = ExportEncoder(str(folders[kind]), format=fmt, precision="f32", name=fmt)
        exports[f"{kind} export"] = artifact_of(
            step, root / "store", here=True
        ).path  # openvino asks for the file of the main module
    return folders | exports


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "runtime"), [(kind, package) for kind, _, package in EXPORTS])
def test_an_export_answers_as_the_folder_does(folders: dict[str, Path], kind: str, runtime: str) -> None:
    own = reader_of(served_model(folders[kind], "m"), 1).read(TEXTS, nothing)
    assert own["cut"] == [2]
    if kind == "classes":
        assert [sum(numbers) for numbers in own["numbers"]] == pytest.approx([1, 1, 1])
    served = served_model(folders[f"{kind} export"], "m")
    assert served.kind == kind and served.runtime.startswith(runtime)
    exported = reader_of(served, 1).read(TEXTS, nothing)
    assert (exported["cut"], exported["tokens"]) == (own["cut"], own["tokens"])
    for one, other in zip(exported["numbers"], own["numbers"], strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def client_of(served: ServedModel) -> TestClient:
    tokens = Tokens()
    client = TestClient(application(desk_of(served), tokens, "cookie", KEY["authorization"][7:]), base_url=BASE)
    client.__enter__()
    client.get("/", params={"token": tokens.token})
    return client


@pytest.fixture(scope="module")
def classifier(folders: dict[str, Path]) -> Iterator[TestClient]:
    client = client_of(served_model(folders["classes export"], "mood"))
    yield client
    client.__exit__(None, None, None)


@pytest.mark.slow
def test_classes_come_with_their_probabilities_the_most_probable_first(classifier: TestClient) -> None:
    assert classifier.post("/classify", json={"texts": TEXTS}).status_code == 401
    answer = classifier.post("/classify", json={"texts": TEXTS, "model": "mood"}, headers=KEY).json()
    assert answer["cut"] == [2] and len(answer["data"]) == 3
    for one in answer["data"]:
        probabilities = [label["probability"] for label in one["labels"]]
        assert {label["label"] for label in one["labels"]} == set(tiny_encoders.NAMES)
        assert probabilities == sorted(probabilities, reverse=True) and sum(probabilities) == pytest.approx(1)
        assert (one["label"], one["probability"]) == (one["labels"][0]["label"], probabilities[0])
    wrong = classifier.post("/classify", json={"texts": [1]}, headers=KEY)
    assert wrong.status_code == 400 and "texts [0] is a text, got [1]" in wrong.json()["error"]["message"]
    assert classifier.post("/v1/embeddings", json={"input": "x"}, headers=KEY).status_code == 404


@pytest.mark.slow
def test_the_page_shows_hostile_texts_as_text(classifier: TestClient) -> None:
    answer = classifier.post("/", data={"texts": "\r\n".join(TEXTS[:2])}, headers={"origin": BASE})
    assert answer.status_code == 200
    assert "<b>" not in answer.text and "&lt;b&gt;" in answer.text and "\u202e" not in answer.text
    assert "light" in answer.text and "%" in answer.text
    assert classifier.post("/", data={"texts": "x"}).status_code == 403  # from no page
    assert "Give 1 to 32 texts" in classifier.post("/", data={"texts": " "}, headers={"origin": BASE}).text


@pytest.mark.slow
def test_vectors_come_in_openai_s_form_as_numbers_or_base64(folders: dict[str, Path]) -> None:
    client = client_of(served_model(folders["vectors"], "encoder"))
    try:
        plain = client.post("/v1/embeddings", json={"input": TEXTS[:2], "model": "encoder"}, headers=KEY).json()
        packed = client.post(
            "/v1/embeddings", json={"input": TEXTS[0], "encoding_format": "base64"}, headers=KEY
        ).json()
        vector = plain["data"][0]["embedding"]
        assert [one["index"] for one in plain["data"]] == [0, 1] and len(vector) == 24
        assert plain["usage"]["prompt_tokens"] > 0
        numbers = struct.unpack("<24f", base64.b64decode(packed["data"][0]["embedding"]))
        assert list(numbers) == pytest.approx(vector, abs=1e-5)
        page = client.post("/", data={"texts": "one\none"}, headers={"origin": BASE})
        assert "24 numbers a text" in page.text and "1.0000" in page.text
    finally:
        client.__exit__(None, None, None)
