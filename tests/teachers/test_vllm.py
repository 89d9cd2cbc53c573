"""The real engine on a tiny model: text and log-probabilities are those of transformers; a bad row spoils no other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from potstill.errors import BadInput, MissingExtra
from potstill.teachers.protocol import Request, Response, Sampling, with_system
from potstill.teachers.vllm import VLLM, top_entries

SHORT = Sampling(max_tokens=12)
SYSTEM = "You control a smart home."
PROMPTS = ["turn on the light", "open the blinds", "start the vacuum in the living room", "set the heating to 21"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.causal_lm(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def session(folder: Path) -> Iterator[Any]:
    teacher = VLLM(folder, system=SYSTEM, max_model_length=128, dtype="float32", kv_cache_gib=0.1)
    with teacher.open(threads=1) as opened:
        yield opened


def request(text: str, sampling: Sampling = SHORT, seed: int = 0) -> Request:
    return Request([{"role": "user", "content": text}], sampling, seed)


def answers(session: Any, requests: list[Request]) -> list[Response]:
    got = dict(session.generate(requests))
    assert sorted(got) == list(range(len(requests)))
    return [got[index] for index in range(len(requests))]


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    """Return a function that gives transformers' greedy tokens and log-probabilities [T, V] of a prompt."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from potstill.chat import prompt_ids

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def greedy(text: str, count: int) -> tuple[list[int], np.ndarray, str]:
        ids = prompt_ids(tokenizer, with_system(SYSTEM, [{"role": "user", "content": text}]))
        prompt, rows = len(ids), []
        for _ in range(count):
            with torch.no_grad():
                logits = model(torch.tensor([ids])).logits[0, -1]
            rows.append(torch.log_softmax(logits, -1).numpy())
            ids.append(int(logits.argmax()))
            if ids[-1] == tokenizer.eos_token_id:
                break
        return ids[prompt:], np.stack(rows), tokenizer.decode(ids[prompt:], skip_special_tokens=True)

    return greedy


@pytest.mark.vllm
def test_leaving_gives_back_threads_memory_and_the_way_to_a_second_engine(folder: Path) -> None:
    import torch

    threads = torch.get_num_threads()
    teacher = VLLM(folder, max_model_length=128, kv_cache_gib=0.5)
    texts, sizes = [], []
    for _ in range(2):
        with teacher.open(threads=1) as opened:
            texts.append(answers(opened, [request(PROMPTS[0])])[0].text)
        sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
        torch.set_num_threads(3)
        assert torch.get_num_threads() == 3
    torch.set_num_threads(threads)
    assert texts[0] == texts[1]
    assert sizes[1] - sizes[0] < 2**28  # half of one cache: nothing is left behind


@pytest.mark.vllm
def test_greedy_text_and_log_probabilities_are_those_of_transformers(session: Any, reference: Any) -> None:
    for prompt, got in zip(
        PROMPTS, answers(session, [request(p, Sampling(max_tokens=12, top_k=32)) for p in PROMPTS]), strict=True
    ):
        ids, rows, text = reference(prompt, 12)
        assert got.token_ids.tolist() == ids
        assert got.text == text
        assert got.completion_tokens == len(ids)
        assert got.finish_reason == ("length" if len(ids) == 12 else "stop")
        assert got.top_ids.shape == got.top_logprobs.shape == (len(ids), 32)
        assert np.array_equal(got.top_ids[:, 0], ids)
        expected = np.take_along_axis(rows, got.top_ids.astype(np.int64), axis=1)
        np.testing.assert_allclose(got.top_logprobs.astype(np.float32), expected, atol=5e-3)
        mass = np.exp(got.top_logprobs.astype(np.float64)).sum(axis=1)
        assert np.all(mass < 1)
        np.testing.assert_allclose(mass, np.exp(np.sort(rows, axis=1)[:, -32:]).sum(axis=1), rtol=5e-3)


@pytest.mark.vllm
def test_kept_log_probabilities_are_of_temperature_1_and_ordered_whatever_is_drawn(
    session: Any, reference: Any
) -> None:
    drawn = answers(session, [request(PROMPTS[0], Sampling(1.0, max_tokens=12, top_k=3), seed) for seed in range(12)])
    _, rows, _ = reference(PROMPTS[0], 1)
    first = np.sort(rows[0])[::-1][:3]
    outside = 0
    for got in drawn:
        np.testing.assert_allclose(got.top_logprobs[0].astype(np.float32), first, atol=5e-3)
        assert np.all(np.diff(got.top_logprobs.astype(np.float32), axis=1) <= 0)
        outside += int(got.token_ids[0] not in got.top_ids[0])
    assert outside > 0  # with 400 nearly equal tokens most draws are outside the top 3


@pytest.mark.vllm
def test_a_seed_fixes_what_is_drawn_whatever_else_is_in_the_batch(session: Any) -> None:
    sampling = Sampling(1.0, max_tokens=8)
    alone = answers(session, [request(PROMPTS[0], sampling, 7)])[0]
    among = answers(session, [*(request(p, sampling, 1) for p in PROMPTS), request(PROMPTS[0], sampling, 7)])
    assert among[-1].text == alone.text
    assert among[0].text != alone.text


@pytest.mark.vllm
def test_a_row_that_is_too_long_is_refused_alone(session: Any) -> None:
    got = answers(session, [request(PROMPTS[0]), request("light " * 500), request(PROMPTS[1])])
    assert [response.finish_reason for response in got] == ["length", "error", "length"]
    assert "128" in got[1].text
    assert not got[1].retryable
    assert got[0].text == answers(session, [request(PROMPTS[0])])[0].text


@pytest.mark.vllm
def test_stop_strings_end_the_response(session: Any) -> None:
    whole = answers(session, [request(PROMPTS[0])])[0].text
    stop = whole[len(whole) // 2 :][:2]
    cut = answers(session, [request(PROMPTS[0], Sampling(max_tokens=12, stop=(stop,)))])[0]
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
    assert len(answers(session, [request(p) for p in PROMPTS])) == 4


def test_top_entries_leave_the_drawn_token_out() -> None:
    class Flat:
        start_indices = (0, 4)
        token_ids = (9, 1, 2, 3, 5, 5, 6, 7)
        logprobs = (-9.0, -1.0, -2.0, -3.0, -0.5, -0.5, -1.5, -2.5)

    ids, logprobs = top_entries(Flat, 3)
    assert ids.tolist() == [[1, 2, 3], [5, 6, 7]]
    assert logprobs.tolist() == [[-1.0, -2.0, -3.0], [-0.5, -1.5, -2.5]]


def test_identity_covers_what_changes_the_answer(folder: Path, tmp_path: Path) -> None:
    base = VLLM(folder).identity()
    assert VLLM(str(folder), max_num_seqs=3, kv_cache_gib=9, enforce_eager=False, seed=4).identity() == base
    for other in (
        VLLM(folder, system="x"),
        VLLM(folder, dtype="float32"),
        VLLM(folder, quantization="fp8"),
        VLLM(folder, max_model_length=9),
        VLLM(folder, trust_remote_code=True),
        VLLM(tiny.causal_lm(tmp_path / "other", seed=1)),
    ):
        assert other.identity() != base


def test_a_path_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        VLLM(str(tmp_path / "nothing")).identity()


def test_without_vllm_the_pip_line_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    assert "pip install" in str(*VLLM(folder).check())
    with pytest.raises(MissingExtra, match=r'pip install "potstill\[(cpu|gpu)\]"'), VLLM(folder).open(threads=1):
        pass


def test_a_system_prompt_goes_first() -> None:
    user = {"role": "user", "content": "u"}
    assert with_system("", [user]) == [user]
    assert with_system("s", [user]) == [{"role": "system", "content": "s"}, user]
    assert with_system("s", [{"role": "system", "content": "t"}, user])[0]["content"] == "s\n\nt"
