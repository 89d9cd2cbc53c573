"""The real engine on small models: what it says is what transformers says; a bad row spoils no other.

Tests that open an engine of their own come first: leaving an engine takes down what a second one shares with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from potstill.prompts import render
from potstill.teachers.lora_adapter import adapter_rank
from potstill.teachers.protocol import Request, Response, Sampling, Structured
from potstill.teachers.transformers import Transformers
from potstill.teachers.vllm.engine import entries
from potstill.teachers.vllm.settings import Speculative
from potstill.teachers.vllm.teacher import VLLM

HOME = Path(__file__).parents[3] / "src" / "potstill" / "data" / "home" / "teacher"
LIMIT = 128
GREEDY = Sampling(max_tokens=60)
COMMANDS = ["turn on the lamp in the kitchen", "Lock the garage.", "brew two cups", "set the heating to 21 please"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.causal_lm(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    teacher = VLLM(HOME, max_model_length=LIMIT, dtype="float32", kv_cache_gib=0.1)
    with teacher.open(threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def fallback() -> Iterator[Any]:
    with Transformers(HOME, max_model_length=LIMIT, dtype="float32").open(threads=1) as opened:
        yield opened


def request(text: str, sampling: Sampling = GREEDY, seed: int = 0, continuation: str | None = None) -> Request:
    return Request(render("home.jinja", {"instruction": text}), sampling, seed, continuation)


def answers(session: Any, requests: list[Request]) -> list[Response]:
    actual = dict(session.generate(requests))
    assert sorted(actual) == list(range(len(requests)))
    return [actual[index] for index in range(len(requests))]


def assert_same(got: Response, expected: Response) -> None:
    """Compare two responses with log-probabilities."""
    assert got.token_ids is not None
    assert got.token_ids.tolist() == expected.token_ids.tolist()
    assert (got.text, got.finish_reason) == (expected.text, expected.finish_reason)
    assert (got.prompt_tokens, got.completion_tokens) == (expected.prompt_tokens, expected.completion_tokens)
    np.testing.assert_allclose(got.token_logprobs, expected.token_logprobs, atol=5e-3)
    assert (got.top_ids is None) == (expected.top_ids is None)
    if got.top_ids is not None:
        assert got.top_ids.shape == got.top_logprobs.shape == expected.top_ids.shape
        assert np.array_equal(got.top_ids[:, 0], expected.top_ids[:, 0])
        np.testing.assert_allclose(
            got.top_logprobs.astype(np.float32), expected.top_logprobs.astype(np.float32), atol=2e-2
        )


@pytest.mark.vllm
def test_leaving_gives_back_threads_memory_and_the_way_to_a_second_engine(folder: Path) -> None:
    import torch

    threads = torch.get_num_threads()
    teacher = VLLM(folder, max_model_length=128, kv_cache_gib=0.5)
    chat = [{"role": "user", "content": "turn on the light"}]
    texts, sizes = [], []
    for _ in range(2):
        with teacher.open(threads=1) as opened:
            texts.append(answers(opened, [Request(chat, Sampling(max_tokens=12))])[0].text)
        sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
        torch.set_num_threads(3)
        assert torch.get_num_threads() == 3
    torch.set_num_threads(threads)
    assert texts[0] == texts[1]
    assert sizes[1] - sizes[0] < 2**28  # half of one cache: nothing is left behind


def make_adapter(model: Path, folder: Path) -> tuple[Path, Path]:
    """Save a LoRA adapter that changes much, and the model that it is merged into."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    modules = ["q_proj", "v_proj", "o_proj", "down_proj"]
    adapted = get_peft_model(base, LoraConfig(r=4, lora_alpha=16, init_lora_weights=False, target_modules=modules))
    adapted.save_pretrained(folder / "adapter")
    adapted.merge_and_unload().save_pretrained(folder / "merged")
    AutoTokenizer.from_pretrained(model).save_pretrained(folder / "merged")
    return folder / "adapter", folder / "merged"


@pytest.mark.vllm
def test_an_adapter_answers_as_the_model_it_is_merged_into(tmp_path: Path) -> None:
    adapter, merged = make_adapter(HOME, tmp_path)
    assert adapter_rank(adapter) == 4
    asked = [request(c, Sampling(max_tokens=12, top_k=8)) for c in COMMANDS]
    with Transformers(merged, dtype="float32").open(threads=1) as reference:
        expected = answers(reference, asked)
    teacher = VLLM(HOME, lora=adapter, max_model_length=LIMIT, dtype="float32", kv_cache_gib=0.1)
    with teacher.open(threads=1) as opened:
        for actual, one in zip(answers(opened, asked), expected, strict=True):
            assert_same(actual, one)


@pytest.mark.vllm
def test_speculative_decoding_changes_no_greedy_answer(fallback: Any) -> None:
    kinds = [GREEDY, Sampling(max_tokens=60, top_k=4)]
    asked = [request(f"repeat: {c} {c}", kind) for kind in kinds for c in COMMANDS]
    teacher = VLLM(HOME, speculative=Speculative("ngram", 3), max_model_length=LIMIT, dtype="float32", kv_cache_gib=0.1)
    drawn = [request("why", Sampling(2.0, max_tokens=24), seed) for seed in (1, 2)]
    with teacher.open(threads=1) as opened:
        actual = answers(opened, asked)
        texts = [one.text for one in answers(opened, drawn)]
        assert texts == [answers(opened, [one])[0].text for one in drawn]
        assert texts[0] != texts[1]
    expected = answers(fallback, asked)
    assert [one.text for one in actual] == [one.text for one in expected]
    for one, other in zip(actual[4:], expected[4:], strict=True):
        assert_same(one, other)


@pytest.mark.vllm
def test_answers_and_log_probabilities_are_those_of_transformers(session: Any, fallback: Any) -> None:
    asked = [request(c, Sampling(max_tokens=tokens, top_k=32)) for c in COMMANDS for tokens in (5, 60)]
    for actual, expected in zip(answers(session, asked), answers(fallback, asked), strict=True):
        assert_same(actual, expected)
        assert actual.finish_reason == ("length" if actual.completion_tokens == 5 else "stop")
    texts = [one.text for one in answers(fallback, [request(c) for c in COMMANDS])]
    assert [one.text for one in answers(session, [request(c) for c in COMMANDS])] == texts
    assert all(json.loads(text)["device"] for text in texts)


@pytest.mark.vllm
def test_a_presence_penalty_works_as_that_of_transformers(session: Any, fallback: Any) -> None:
    unsure = ["turn on", "the lamp, the lamp and", '{"device":']  # raw: what follows is open
    plain, held = (Sampling(max_tokens=24, top_k=8, presence_penalty=penalty) for penalty in (0.0, 2.0))
    actual, expected, free = (
        answers(engine, [Request([], sampling, raw=text) for text in unsure])
        for engine, sampling in ((session, held), (fallback, held), (fallback, plain))
    )
    for one, other in zip(actual, expected, strict=True):
        assert_same(one, other)
    assert [one.text for one in actual] != [one.text for one in free]
    # what is kept is what the model thinks, penalty or not
    first = [[float(one.token_logprobs[0]) for one in some] for some in (expected, free)]
    assert first[0] == pytest.approx(first[1])


@pytest.mark.vllm
def test_a_given_text_is_scored_as_training_reads_it(session: Any, fallback: Any) -> None:
    texts = ['{"device":"light","room":"kitchen","action":"on","value":null}', "", "an em\N{DOG FACE}ji", "lamp " * 30]
    asked = [
        request(c, Sampling(temperature=0.7, max_tokens=3, top_k=k), continuation=text)
        for k in (0, 1, 16)
        for c, text in zip(COMMANDS, texts, strict=True)
    ]
    # twice, because the second time the prefix cache knows the prompts
    for actual in (answers(session, asked), answers(session, asked)):
        for one, expected in zip(actual, answers(fallback, asked), strict=True):
            assert_same(one, expected)
    # the tokens are scored even where they are not among the most probable
    outside = [
        own < top[-1] - 0.1 for one in actual[8:] for own, top in zip(one.token_logprobs, one.top_logprobs, strict=True)
    ]
    assert any(outside)
    generated = answers(session, [request(COMMANDS[0], Sampling(max_tokens=60, top_k=16))])[0]
    again = answers(session, [request(COMMANDS[0], Sampling(top_k=16), continuation=generated.text)])[0]
    assert again.token_ids.tolist() == generated.token_ids.tolist()
    np.testing.assert_allclose(again.token_logprobs, generated.token_logprobs, atol=1e-3)


@pytest.mark.vllm
def test_answers_are_held_to_the_form(session: Any, fallback: Any) -> None:
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
    for temperature in (0.0, 1.0):
        held = [Sampling(temperature, max_tokens=60, structured=form) for form in forms]
        actual = answers(session, [request(c, sampling, 1) for sampling in held for c in COMMANDS])
        assert all(one.text in forms[0].choice for one in actual[:4])
        assert all(re.fullmatch(forms[1].regex, one.text) for one in actual[4:8])
        assert {one.finish_reason for one in actual[:8]} == {"stop"}
        assert any(one.finish_reason == "stop" for one in actual[8:])
        assert all(isinstance(json.loads(one.text)["light"], int) for one in actual[8:] if one.finish_reason == "stop")
    # the probabilities kept are those among what the form allows, as the fallback has them
    asked = [request(c, Sampling(max_tokens=20, top_k=2, structured=forms[1])) for c in COMMANDS]
    for one, expected in zip(answers(session, asked), answers(fallback, asked), strict=True):
        assert_same(one, expected)


@pytest.mark.vllm
def test_a_form_that_is_none_fails_its_row_alone(session: Any) -> None:
    bad, good = answers(session, [request("x", Sampling(structured=Structured(regex="(("))), request(COMMANDS[0])])
    assert (bad.finish_reason, bad.retryable) == ("error", False)
    assert good.finish_reason == "stop"


@pytest.mark.vllm
def test_kept_log_probabilities_are_of_temperature_1_and_ordered_whatever_is_drawn(session: Any) -> None:
    prompt = "tell me a story"
    drawn = answers(session, [request(prompt, Sampling(2.0, max_tokens=12, top_k=3), seed) for seed in range(12)])
    first = answers(session, [request(prompt, Sampling(max_tokens=1, top_k=3))])[0].top_logprobs[0]
    outside = 0
    for actual in drawn:
        np.testing.assert_allclose(actual.top_logprobs[0].astype(np.float32), first.astype(np.float32), atol=5e-3)
        assert np.all(np.diff(actual.top_logprobs.astype(np.float32), axis=1) <= 0)
        for token, own, ids, top in zip(
            actual.token_ids, actual.token_logprobs, actual.top_ids, actual.top_logprobs, strict=True
        ):
            place = np.flatnonzero(ids == token)
            assert own <= top[-1] + 1e-2 if not len(place) else abs(own - top[place[0]]) < 1e-2
            outside += not len(place)
    assert outside > 0


@pytest.mark.vllm
def test_a_seed_fixes_what_is_drawn_whatever_else_is_in_the_batch(session: Any) -> None:
    warm = Sampling(2.0, max_tokens=24)
    asked = [request(text, warm, seed) for text in ("tell me a story", "why") for seed in (1, 2)]
    alone = [answers(session, [one])[0].text for one in asked]
    among = answers(session, [*(request(c) for c in COMMANDS), *reversed(asked)])
    assert [one.text for one in reversed(among[4:])] == alone
    assert len(set(alone)) > 2


@pytest.mark.vllm
def test_a_row_that_is_too_long_is_refused_alone_with_its_tokens_and_the_limit(session: Any) -> None:
    sampling = Sampling(max_tokens=3)
    asked = [
        request(COMMANDS[0], sampling),
        request("light " * 500, sampling),
        request(COMMANDS[1], sampling),
        request(COMMANDS[0], sampling, continuation="light " * 500),
    ]
    first, long, third, scored = answers(session, asked)
    assert [one.finish_reason for one in (first, long, third, scored)] == ["length", "error", "length", "error"]
    tokens = len(
        session.tokenizer.apply_chat_template(asked[1].messages, add_generation_prompt=True, return_dict=False)
    )
    assert f"{tokens} tokens" in long.text
    assert str(LIMIT) in long.text
    assert "to score" in scored.text
    assert not long.retryable
    assert first.text == answers(session, [request(COMMANDS[0], sampling)])[0].text


@pytest.mark.vllm
def test_a_raw_text_is_continued_as_it_is(session: Any) -> None:
    chat = request(COMMANDS[0])
    text = session.tokenizer.apply_chat_template(chat.messages, add_generation_prompt=True, tokenize=False)
    whole, raw = answers(session, [chat, Request([], GREEDY, raw=text)])
    assert raw == whole


@pytest.mark.vllm
def test_stop_strings_end_the_response(session: Any) -> None:
    whole = answers(session, [request(COMMANDS[0])])[0].text
    stop = '"room"'
    cut = answers(session, [request(COMMANDS[0], Sampling(max_tokens=60, stop=(stop,)))])[0]
    assert cut.finish_reason == "stop"
    assert cut.text == whole[: whole.index(stop)]


@pytest.mark.vllm
def test_requests_are_drawn_as_needed_and_dropped_when_no_more_are_wanted(session: Any) -> None:
    drawn = []

    def many() -> Iterator[Request]:
        for number in range(100_000):
            drawn.append(number)
            yield request(f"prompt {number}", Sampling(max_tokens=4))

    stream = session.generate(many())
    for _ in range(300):
        next(stream)
    assert len(drawn) <= 300 + 2 * session.queue
    stream.close()
    assert session.engine.llm_engine.get_num_unfinished_requests() == 0
    assert len(answers(session, [request(c) for c in COMMANDS])) == 4


class Left(Exception):
    """Whoever reads an answer leaves."""


@pytest.mark.vllm
def test_an_answer_that_is_shown_while_it_is_written_is_the_same_and_can_be_left(session: Any, fallback: Any) -> None:
    chat = request(COMMANDS[0])
    (whole,) = answers(session, [chat])

    def leave(text: str) -> None:
        raise Left

    for teacher in (session, fallback):
        texts: list[str] = []
        assert teacher.stream(chat, texts.append) == whole
        assert len(texts) > 5 and all(whole.text.startswith(text) for text in texts)
        with pytest.raises(Left):
            teacher.stream(chat, leave)
        long = request("x " * 500)
        assert teacher.stream(long, texts.append).finish_reason == "error"
    assert session.engine.llm_engine.get_num_unfinished_requests() == 0


def test_entries_are_read_from_the_flat_list() -> None:
    class Flat:  # the first prompt token has none; at the others the token itself comes first
        start_indices = (0, 0, 4)
        token_ids = (9, 1, 2, 3, 5, 5, 6, 7)
        logprobs = (-9.0, -1.0, -2.0, -3.0, -0.5, -0.5, -1.5, -2.5)

    own, ids, logprobs = entries(Flat, 3, first=1)
    assert own.tolist() == [-9.0, -0.5]
    assert ids.tolist() == [[1, 2, 3], [5, 6, 7]]
    assert logprobs.tolist() == [[-1.0, -2.0, -3.0], [-0.5, -1.5, -2.5]]
    last = entries(Flat, 2, first=2)
    assert (last.own.tolist(), last.ids.tolist()) == ([-0.5], [[5, 6]])
    assert entries(Flat, 0, first=1) == (pytest.approx([-9.0, -0.5]), None, None)
