"""A raw request is continued as it stands: no chat template, no system prompt, and a key of its own."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer

from fakes import EchoTeacher, context_in
from potstill.data import home
from potstill.teachers.cache.response_cache import Asker
from potstill.teachers.chat_tokens import Encoded, Renderer
from potstill.teachers.openai.payloads import Form, request_body
from potstill.teachers.protocol import Request, Sampling

SAMPLING = Sampling(temperature=1.0, max_tokens=9)
RAW = Request([], SAMPLING, 1, raw="<user>turn on")


def test_local_engines_read_its_tokens_alone() -> None:
    tokenizer = AutoTokenizer.from_pretrained(home.FOLDER / "teacher")
    (result,) = Renderer(tokenizer, "You are kind.", None, 100).encode([RAW])
    assert isinstance(result, Encoded)
    assert result.ids == tokenizer("<user>turn on", add_special_tokens=False)["input_ids"]


def test_endpoints_send_it_as_a_completion() -> None:
    for api in ("chat", "completions"):
        body = request_body(Form("m", "You are kind.", api, True, "here"), RAW)
        assert body.path == "/completions"
        assert body.fields["prompt"] == "<user>turn on"
        assert body.fields["add_special_tokens"] is False
        assert "messages" not in body.fields


def test_it_is_kept_apart_in_the_journal(tmp_path: Path) -> None:
    asker = Asker(EchoTeacher(), context_in(tmp_path))
    keys = {
        asker.key(Request([], SAMPLING, 1)),
        asker.key(RAW),
        asker.key(Request([], SAMPLING, 1, raw="other")),
        asker.key(Request([], SAMPLING, 1, continuation="<user>turn on")),
    }
    assert len(keys) == 4
