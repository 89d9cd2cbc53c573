"""A raw request is continued as it stands: no chat template, no system prompt, and a key of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from fakes import EchoTeacher, context_in
from potstill.data import home
from potstill.errors import BadInput
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


TOKENS = Request([], SAMPLING, 1, tokens=(1, 2, 3))
SCORED = Request([], Sampling(top_k=1), tokens=(1, 2, 3), scored_tokens=(4, 5))


def test_a_prompt_of_tokens_is_read_as_it_is_and_tokens_to_score_get_no_end_of_turn() -> None:
    tokenizer = AutoTokenizer.from_pretrained(home.FOLDER / "teacher")
    written, scored = Renderer(tokenizer, "You are kind.", None, 100).encode([TOKENS, SCORED])
    assert written == Encoded([1, 2, 3])
    assert scored == Encoded([1, 2, 3, 4, 5], 2)
    assert (TOKENS.scores, SCORED.scores) == (False, True)


def test_the_last_token_that_is_scored_needs_no_room_where_it_is_not_read() -> None:
    tokenizer = AutoTokenizer.from_pretrained(home.FOLDER / "teacher")
    for spare, limit, fits in ((-1, 4, True), (-1, 3, False), (1, 6, True), (1, 5, False)):
        (answer,) = Renderer(tokenizer, "", None, limit, spare=spare).encode([SCORED])
        assert isinstance(answer, Encoded) == fits, (spare, limit)


def test_tokens_are_kept_apart_in_the_journal_and_endpoints_refuse_them(tmp_path: Path) -> None:
    asker = Asker(EchoTeacher(), context_in(tmp_path))
    other = Request([], Sampling(top_k=1), tokens=(1, 2), scored_tokens=(3, 4, 5))
    assert len({asker.key(one) for one in (Request([], SAMPLING, 1), TOKENS, SCORED, other)}) == 4
    with pytest.raises(BadInput, match="can't score a given text"):
        request_body(Form("m", "", "chat", False, "here"), TOKENS)
