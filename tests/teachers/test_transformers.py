"""The fallback without vLLM: real models, greedy and drawn, held to forms, scored; nothing depends on the batch."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from potstill.errors import BadInput, MissingExtra
from potstill.models.chat import encode
from potstill.prompts import render
from potstill.teachers.protocol import Request, Response, Sampling, Structured
from potstill.teachers.token_sampling import choose
from potstill.teachers.transformers import Transformers

HOME = Path(__file__).parents[2] / "src" / "potstill" / "data" / "home" / "teacher"
COMMANDS = [
    "turn on the lamp in the kitchen",
    "Lock the garage.",
    "brew two cups",
    "set the heating to 21 degrees please",
]
WARM = Sampling(temperature=2.0, top_p=0.99, max_tokens=24)


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    with Transformers(HOME, dtype="float32", batch_size=4).open(threads=1) as opened:
        yield opened


def request(text: str, sampling: Sampling = Sampling(), seed: int = 0, continuation: str | None = None) -> Request:  # noqa: B008
    return Request(render("home.jinja", {"instruction": text}), sampling, seed, continuation)


def answers(session: Any, requests: list[Request]) -> list[Response]:
    actual = dict(session.generate(requests))
    assert sorted(actual) == list(range(len(requests)))
    return [actual[index] for index in range(len(requests))]


def logprobs(session: Any, messages: Any, text: str) -> np.ndarray:
    """Return the model's log-probabilities [T, V] at the tokens of `text` and the end of turn."""
    ids, prompt = encode(session.tokenizer, messages, text)
    with torch.inference_mode():
        logits = session.model(torch.tensor([ids])).logits[0, prompt - 1 : -1]
    return torch.log_softmax(logits, -1).numpy()


def test_greedy_answers_are_the_models_own(session: Any) -> None:
    for command, actual in zip(COMMANDS, answers(session, [request(c) for c in COMMANDS]), strict=True):
        ids, prompt = encode(session.tokenizer, render("home.jinja", {"instruction": command}), "")
        with torch.inference_mode():
            whole = session.model.generate(torch.tensor([ids[:-1]]), max_new_tokens=60, eos_token_id=ids[-1])[
                0, prompt:
            ]
        assert actual.text == session.tokenizer.decode(whole, skip_special_tokens=True)
        assert json.loads(actual.text)["device"]
        assert (actual.finish_reason, actual.prompt_tokens, actual.completion_tokens) == ("stop", prompt, len(whole))
        assert actual.token_ids is None


def test_kept_log_probabilities_are_the_models_at_temperature_1(session: Any) -> None:
    asked = [request(c, Sampling(temperature, top_p=0.9, top_k=8), 3) for c in COMMANDS for temperature in (0, 0.5)]
    for one, actual in zip(asked, answers(session, asked), strict=True):
        expected = logprobs(session, one.messages, actual.text)
        assert actual.token_ids is not None
        assert len(expected) == len(actual.token_ids) == actual.completion_tokens
        assert actual.token_ids[-1] == session.tokenizer.eos_token_id
        np.testing.assert_allclose(
            actual.token_logprobs,
            np.take_along_axis(expected, actual.token_ids[:, None].astype(int), 1)[:, 0],
            atol=1e-3,
        )
        assert actual.top_ids.shape == actual.top_logprobs.shape == (len(expected), 8)
        assert np.array_equal(actual.top_ids[:, 0], expected.argmax(1))
        np.testing.assert_allclose(
            actual.top_logprobs.astype(np.float32), np.sort(expected, 1)[:, :-9:-1], atol=5e-3, rtol=2e-3
        )


def test_a_given_text_is_scored_as_training_reads_it(session: Any) -> None:
    texts = ['{"device":"lamp"}', "", "no, an em\N{DOG FACE}ji", '{"device":"light","room":"kitchen"}']
    asked = [
        request(c, Sampling(top_k=k), continuation=t) for c, t, k in zip(COMMANDS, texts, (0, 4, 4, 0), strict=True)
    ]
    for one, text, actual in zip(asked, texts, answers(session, asked), strict=True):
        ids, prompt = encode(session.tokenizer, one.messages, text)
        expected = logprobs(session, one.messages, text)
        assert actual.text == text
        assert actual.token_ids.tolist() == ids[prompt:]
        assert (actual.finish_reason, actual.prompt_tokens, actual.completion_tokens) == ("stop", len(ids), 0)
        own = np.take_along_axis(expected, actual.token_ids[:, None].astype(int), 1)[:, 0]
        np.testing.assert_allclose(actual.token_logprobs, own, atol=1e-3)
        assert (actual.top_ids is None) == (not one.sampling.top_k)
        if one.sampling.top_k:
            np.testing.assert_allclose(
                actual.top_logprobs.astype(np.float32), np.sort(expected, 1)[:, :-5:-1], atol=2e-2
            )


def test_what_is_drawn_depends_on_the_seed_and_not_on_the_batch(session: Any) -> None:
    nonsense = ["tell me a story", "why", "list five things to do on a rainy day in the garden with a friend"]
    alone = [answers(session, [request(text, WARM, seed)])[0].text for text in nonsense for seed in (1, 2)]
    asked = [request(text, WARM, seed) for text in nonsense for seed in (1, 2)]
    among = answers(session, [*(request(c, Sampling(max_tokens=5)) for c in COMMANDS), *reversed(asked)])
    assert [response.text for response in reversed(among[4:])] == alone
    assert len(set(alone)) > 3


def test_draws_follow_the_distribution_and_the_nucleus() -> None:
    probs = torch.tensor([0.5, 0.3, 0.15, 0.05])
    count = 4000
    rows = probs.log().expand(count, 4)
    uniform = (torch.arange(count) + 0.5) / count

    def shares(temperature: float, top_p: float) -> list[float]:
        drawn = choose(rows, torch.full((count,), temperature), torch.full((count,), top_p), uniform)
        return (torch.bincount(drawn, minlength=4) / count).tolist()

    assert shares(1.0, 1.0) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=1e-3)
    assert shares(1.0, 0.75) == pytest.approx([0.625, 0.375, 0, 0], abs=1e-3)
    assert shares(1.0, 0.1) == [1, 0, 0, 0]
    squared = probs**2 / (probs**2).sum()
    assert shares(0.5, 1.0) == pytest.approx(squared.tolist(), abs=1e-3)
    assert shares(0.0, 1.0) == [1, 0, 0, 0]


def test_rows_of_one_batch_keep_to_their_own_rules(session: Any) -> None:
    free = answers(session, [request(COMMANDS[0])])[0]
    cut, stopped, whole, tops = answers(
        session,
        [
            request(COMMANDS[0], Sampling(max_tokens=3)),
            request(COMMANDS[0], Sampling(stop=('"room"', "zzz"))),
            request(COMMANDS[0]),
            request(COMMANDS[0], Sampling(top_k=2)),
        ],
    )
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 3)
    assert free.text.startswith(cut.text)
    assert (stopped.finish_reason, stopped.text) == ("stop", free.text[: free.text.index('"room"')])
    assert whole == free
    assert tops.text == free.text
    assert tops.top_ids.shape == (free.completion_tokens, 2)


def test_answers_are_held_to_the_form(session: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"light": {"type": "integer"}},
        "required": ["light"],
        "additionalProperties": False,
    }
    forms = [
        Structured(choice=("on", "on and on", "a kitchen", '"quoted"')),
        Structured(regex=r"[0-9]{3}-[xyz]"),
        Structured(json_schema=json.dumps(schema)),
    ]
    for sampling in (Sampling(max_tokens=60), Sampling(1.0, max_tokens=60)):
        asked = [
            request(c, Sampling(sampling.temperature, max_tokens=60, structured=f)) for f in forms for c in COMMANDS
        ]
        actual = answers(session, asked)
        assert all(one.text in forms[0].choice for one in actual[:4])
        assert all(re.fullmatch(forms[1].regex, one.text) for one in actual[4:8])
        assert all(isinstance(json.loads(one.text)["light"], int) for one in actual[8:] if one.finish_reason == "stop")
        assert {one.finish_reason for one in actual[:8]} == {"stop"}
        assert any(one.finish_reason == "stop" for one in actual[8:])


def test_a_form_that_is_none_fails_its_row_alone(session: Any) -> None:
    bad, good = answers(session, [request("x", Sampling(structured=Structured(regex="(("))), request(COMMANDS[0])])
    assert (bad.finish_reason, bad.retryable) == ("error", False)
    assert "((" in bad.text
    assert good.finish_reason == "stop"


def test_without_xgrammar_choices_still_work(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgrammar", None)
    held = Sampling(structured=Structured(choice=("on", "off")))
    assert answers(session, [request("turn on the lamp", held)])[0].text in ("on", "off")
    with pytest.raises(MissingExtra, match=r"xgrammar.*pip install"):
        answers(session, [request("x", Sampling(structured=Structured(regex="a+")))])


def test_a_prompt_that_is_too_long_is_refused_with_its_tokens_and_the_limit(session: Any) -> None:
    long, fine, scored, greedy = answers(
        session,
        [
            request("light " * 2000),
            request(COMMANDS[0]),
            request(COMMANDS[0], continuation="light " * 2000),
            request(COMMANDS[0], Sampling(top_k=9999)),
        ],
    )
    tokens = len(encode(session.tokenizer, request("light " * 2000).messages, "")[0]) - 1
    assert f"{tokens} tokens" in long.text
    assert "1024" in long.text
    assert not long.retryable
    assert "to score" in scored.text
    assert "9999" in greedy.text
    assert fine.finish_reason == "stop"


def test_requests_are_drawn_as_needed(session: Any) -> None:
    drawn = []

    def many() -> Iterator[Request]:
        for number in range(10_000):
            drawn.append(number)
            yield request(f"prompt {number}", Sampling(max_tokens=1))

    stream = session.generate(many())
    next(stream)
    assert len(drawn) <= 8 * session.batch_size
    stream.close()


def test_a_raw_text_is_continued_as_it_is(session: Any) -> None:
    chat = request(COMMANDS[0])
    text = session.tokenizer.apply_chat_template(chat.messages, add_generation_prompt=True, tokenize=False)
    whole, raw = answers(session, [chat, Request([], Sampling(), raw=text)])
    assert raw == whole


def test_system_prompt_and_thinking_reach_the_template(tmp_path: Path) -> None:
    folder = tiny.causal_lm(tmp_path / "tiny")
    with (folder / "chat_template.jinja").open("a") as file:
        file.write("{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}")
    chat = [{"role": "system", "content": "You control"}, {"role": "user", "content": "hello"}]
    with Transformers(folder, system="be brief", thinking=False).open(threads=1) as opened:
        text = opened.tokenizer.decode(opened.renderer.encode([Request(chat, Sampling())])[0].ids)
    assert "be brief\n\nYou control" in text
    assert text.endswith("<think></think>")


def test_identity_covers_what_changes_the_answer(tmp_path: Path) -> None:
    folder = tiny.causal_lm(tmp_path / "tiny")
    base = Transformers(folder).identity()
    assert Transformers(str(folder), batch_size=3, device="cpu").identity() == base
    for other in (
        Transformers(folder, system="x"),
        Transformers(folder, dtype="float32"),
        Transformers(folder, max_model_length=9),
        Transformers(folder, thinking=False),
        Transformers(folder, trust_remote_code=True),
        Transformers(tiny.causal_lm(tmp_path / "other", seed=1)),
    ):
        assert other.identity() != base


def test_a_model_that_can_not_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "none such"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(BadInput, match="can't load"), Transformers(tmp_path).open(threads=1):
        pass


def test_without_transformers_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r'pip install "potstill\[train\]"'), Transformers(HOME).open(threads=1):
        pass


def test_a_template_that_opens_thoughts_makes_them_part_of_the_text(session: Any) -> None:
    own = session.tokenizer.chat_template
    session.tokenizer.chat_template = own + "{% if add_generation_prompt %}<think>\n{% endif %}"
    try:
        (actual,) = answers(session, [request(COMMANDS[0], Sampling(max_tokens=4, top_k=2))])
    finally:
        session.tokenizer.chat_template = own
    assert actual.text.startswith("<think>")
    assert actual.token_ids is not None
    assert actual.text == "<think>" + session.tokenizer.decode(actual.token_ids, skip_special_tokens=True), (
        "tokens stay whole"
    )
