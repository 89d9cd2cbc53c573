"""Each response is asked for once: over rows, rounds, runs and kills."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import fakes
from fakes import EchoTeacher, context_in
from potstill.engine.store.journal import Journal
from potstill.errors import PotstillError
from potstill.teachers.cache import response_cache
from potstill.teachers.cache.response_cache import Asker, ask, request_seed
from potstill.teachers.protocol import Request, Response, Sampling, Usage
from scripted import Scripted

GREEDY = Sampling()


def request(text: str, seed: int = 0, sampling: Sampling = GREEDY) -> Request:
    return Request([{"role": "user", "content": text}], sampling, seed)


def numbered(count: int) -> list[tuple[int, Request]]:
    return [(number, request(f"prompt {number}")) for number in range(count)]


@dataclass(frozen=True)
class Backwards(EchoTeacher):
    """Answers blocks of requests from the last to the first, and counts what it has drawn."""

    block: int = 10
    drawn: Counter[str] = field(default_factory=Counter)
    give_up: int = 0

    @contextmanager
    def open(self, *, threads: int) -> Iterator[Backwards]:
        self.drawn["opened"] += 1
        yield self

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        source = enumerate(requests)
        echo = fakes.EchoSession(self)
        try:
            while batch := list(itertools.islice(source, self.block)):
                self.drawn["requests"] += len(batch)
                for index, asked in reversed(batch):
                    if self.give_up and self.drawn["answered"] == self.give_up:
                        return
                    self.drawn["answered"] += 1
                    yield index, next(echo.generate([asked]))[1]
        finally:
            self.drawn["closed"] += 1


def test_responses_come_in_the_order_of_the_requests(tmp_path: Path) -> None:
    actual = list(ask(Backwards(), numbered(95), context_in(tmp_path)))
    straight = dict(ask(EchoTeacher(), numbered(95), context_in(tmp_path / "b")))
    assert [number for number, _ in actual] == list(range(95))
    assert {number: response.text for number, response in actual} == {n: r.text for n, r in straight.items()}
    assert len({response.text for _, response in actual}) == 95


def test_a_second_run_asks_nothing_and_opens_no_teacher(tmp_path: Path) -> None:
    teacher = Backwards()
    first = [response.text for _, response in ask(teacher, numbered(70), context_in(tmp_path))]
    context = context_in(tmp_path)
    again = [response.text for _, response in ask(teacher, numbered(70), context)]
    assert again == first
    assert teacher.drawn["opened"] == 1
    assert (context.notes["usage"]["calls"], context.notes["usage"]["cached"]) == (0, 70)


def test_only_what_is_new_is_asked(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    list(ask(EchoTeacher(log=log), numbered(30), context_in(tmp_path)))
    list(ask(EchoTeacher(log=log), numbered(50), context_in(tmp_path)))
    assert len(fakes.calls(log)) == 50


def test_equal_requests_are_asked_once(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    requests = [(number, request(f"prompt {number % 3}")) for number in range(600)]
    actual = list(ask(EchoTeacher(log=log), requests, context_in(tmp_path)))
    assert len(actual) == 600
    assert len(fakes.calls(log)) == 3


def test_an_error_is_not_kept_and_spoils_no_other(tmp_path: Path) -> None:
    log, fix = str(tmp_path / "calls"), tmp_path / "fixed"
    teacher = EchoTeacher(log=log, failing=("prompt 7",), fixed_by=str(fix))
    context = context_in(tmp_path)
    first = dict(ask(teacher, numbered(10), context))
    assert [number for number, response in first.items() if response.finish_reason == "error"] == [7]
    assert context.notes["usage"]["errors"] == 1
    fix.touch()
    second = dict(ask(teacher, numbered(10), context_in(tmp_path)))
    assert second[7].finish_reason == "stop"
    assert len(fakes.calls(log)) == 11


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (request("b"), False),
        (request("a", sampling=Sampling(max_tokens=7)), False),
        (request("a", sampling=Sampling(top_k=4)), False),
        (request("a", seed=1), True),  # greedy decoding has no seed
        (request("a", sampling=Sampling(temperature=0.5)), False),
    ],
)
def test_the_key_covers_prompt_and_sampling(tmp_path: Path, change: Request, same: bool) -> None:
    asker = Asker(EchoTeacher(), context_in(tmp_path))
    assert (asker.key(change) == asker.key(request("a"))) is same


def test_the_key_covers_the_seed_of_a_drawn_response_and_the_teacher(tmp_path: Path) -> None:
    drawn = Sampling(temperature=1.0)
    asker = Asker(EchoTeacher(), context_in(tmp_path))
    assert asker.key(request("a", 1, drawn)) != asker.key(request("a", 2, drawn))
    other = Asker(EchoTeacher(system="be brief"), context_in(tmp_path))
    assert asker.key(request("a")) != other.key(request("a"))
    quiet = Asker(EchoTeacher(delay=1.0), context_in(tmp_path))
    assert asker.key(request("a")) == quiet.key(request("a"))


def test_looking_ahead_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_cache, "WINDOW", 64)
    monkeypatch.setattr(response_cache, "SCAN", 16)
    drawn = 0

    def endless() -> Iterator[tuple[int, Request]]:
        nonlocal drawn
        for number in itertools.count():
            drawn = number + 1
            yield number, request(f"prompt {number}")

    # the first request is answered last of the first thousand: the window ends the block instead
    answers = ask(Backwards(block=1000), endless(), context_in(tmp_path))
    for expected in range(200):
        assert next(answers)[0] == expected
        assert drawn <= expected + 64 + 16
    answers.close()  # type: ignore[attr-defined]


def test_finished_responses_before_an_early_end_are_kept_and_the_rest_dropped(tmp_path: Path) -> None:
    teacher = Backwards()
    answers = ask(teacher, numbered(100), context_in(tmp_path))
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert teacher.drawn["closed"] == 1
    assert Journal(tmp_path / "journal.sqlite").count(response_cache.NAMESPACE) == 10


def test_a_teacher_that_stops_short_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PotstillError, match="unanswered"):
        list(ask(Backwards(give_up=25), numbered(100), context_in(tmp_path)))
    assert Journal(tmp_path / "journal.sqlite").count(response_cache.NAMESPACE) == 25


def test_request_seeds_differ_and_stay() -> None:
    seeds = {request_seed(0, number, prompt) for number in range(20) for prompt in range(20)}
    assert len(seeds) == 400
    assert request_seed(0, 1, 2) == request_seed(0, 1, 2)
    assert all(0 <= seed < 2**31 for seed in seeds)


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from fakes import EchoTeacher, context_in
from test_response_cache import numbered
from potstill.teachers.cache.response_cache import ask
for _ in ask(EchoTeacher(log={log!r}, delay=0.002), numbered(400), context_in(Path({folder!r}))):
    pass
"""


def test_a_kill_costs_one_group_at_most(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    code = KILLED.format(
        paths=[str(Path(one).parent) for one in (__file__, fakes.__file__)], log=log, folder=str(tmp_path)
    )
    for wanted in (100, 250):
        child = subprocess.Popen([sys.executable, "-c", code])
        deadline = time.monotonic() + 60
        while len(fakes.calls(log)) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    killed = list(ask(EchoTeacher(log=log), numbered(400), context_in(tmp_path)))
    undisturbed = list(ask(EchoTeacher(), numbered(400), context_in(tmp_path / "calm")))
    assert [response.text for _, response in killed] == [response.text for _, response in undisturbed]
    times = Counter(fakes.calls(log))
    assert len(times) == 400
    assert sum(times.values()) - 400 <= 2 * response_cache.GROUP


@dataclass(frozen=True)
class Saying(EchoTeacher):
    """Answers with the response that stands for a prompt, and counts what it was asked."""

    says: Mapping[str, Response] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def open(self, *, threads: int) -> Iterator[Saying]:
        yield self

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        for index, one in enumerate(requests):
            prompt = one.messages[-1]["content"]
            self.asked[prompt] += 1
            yield index, self.says.get(prompt, Response("fine", "stop", 1, 1))


def test_an_odd_answer_spoils_no_other_and_is_kept_like_them(tmp_path: Path) -> None:
    odd = {
        "prompt 3": Response("half \ud83d", "stop", 1, 1),
        "prompt 5": Response("a", "stop", int("9" * 30), -1),
        "prompt 7": Response("<think>b</think>c", "stop\ud83d"),
    }
    teacher = Saying(says=odd)
    first = dict(ask(teacher, numbered(60), context_in(tmp_path)))
    again = dict(ask(teacher, numbered(60), context_in(tmp_path)))
    assert (first[3].text, first[5].text, first[7].text, first[9].text) == ("half \ufffd", "a", "c", "fine")
    assert {n: response.text for n, response in again.items()} == {n: r.text for n, r in first.items()}
    assert set(teacher.asked.values()) == {1}


def test_an_answer_that_was_paid_for_and_can_not_be_used_is_not_asked_for_again(tmp_path: Path) -> None:
    refused = Response("the model refused", "error", 5, 6, retryable=False, unusable=True)
    teacher = Saying(says={"prompt 1": Response("", "stop", 5, 6), "prompt 2": refused})
    for run in range(2):
        context = context_in(tmp_path)
        actual = dict(ask(teacher, numbered(3), context))
        assert [actual[n].finish_reason for n in range(3)] == ["stop", "error", "error"]
        assert context.notes["usage"]["calls"] == (0 if run else 3)
        assert context.notes["usage"]["completion_tokens"] == (0 if run else 13)
    assert set(teacher.asked.values()) == {1}


def test_answers_of_an_older_journal_are_read_by_the_same_rules(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    asker = Asker(Saying(), context)
    old = {"finish": "stop", "prompt": 1, "completion": 1}
    texts = ["<think>Ulm?</think>Berlin", ""]
    context.store_journal.put_many(
        "responses", {asker.key(one): old | {"text": text} for (_, one), text in zip(numbered(2), texts, strict=True)}
    )
    actual = dict(asker.ask(numbered(2)))
    assert (actual[0].text, actual[0].reasoning) == ("Berlin", "Ulm?")
    assert actual[1].finish_reason == "error"


def test_tries_that_could_not_be_read_count_too(tmp_path: Path) -> None:
    teacher = Saying(says={"prompt 0": Response("a", "stop", 1, 2, earlier=Usage(10, 20, 0.5))})
    context = context_in(tmp_path)
    list(ask(teacher, numbered(1), context))
    assert context.notes["usage"] == Counter(
        calls=1, cached=0, errors=0, prompt_tokens=11, completion_tokens=22, cost=0.5
    )


@pytest.mark.parametrize("field", ["token_logprobs", "top_logprobs"])
def test_nan_as_log_probability_is_an_error_also_in_an_older_journal(tmp_path: Path, field: str) -> None:
    broken = Response("on", "stop", **{field: np.array([[-1.0], [float("nan")]], np.float32)})
    context = context_in(tmp_path)
    [(_, fresh)] = ask(Scripted(say=lambda _: broken), numbered(1), context)
    assert fresh.finish_reason == "error" and "NaN" in fresh.text and not fresh.retryable
    assert context.notes["usage"]["errors"] == 1
    with Asker(Scripted(), context) as asker:
        assert asker.read(broken, request("on")).finish_reason == "error"
