"""An endpoint that fails in every way a server can: each row gets its answer, or its own clear error."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes import context_in
from faulty_server import FaultyServer, faulty_server
from potstill.engine.running import services
from potstill.errors import BadInput, PotstillError
from potstill.teachers.cache.response_cache import Asker
from potstill.teachers.openai import lanes
from potstill.teachers.openai.budget import Price
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.protocol import Request, Response, Sampling, Structured

GREEDY = Sampling()
KEY = "sk-very-secret"
PRICE = Price(prompt=1.0, completion=10.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with faulty_server() as state:
        yield state


def request(prompt: str, sampling: Sampling = GREEDY) -> Request:
    return Request([{"role": "user", "content": prompt}], sampling, seed=5)


def answers(teacher: Any, prompts: list[str], sampling: Sampling = GREEDY) -> dict[str, Response]:
    with teacher.open(threads=1) as session:
        actual = list(session.generate([request(prompt, sampling) for prompt in prompts]))
    assert sorted(index for index, _ in actual) == list(range(len(prompts)))
    return {prompts[index]: response for index, response in actual}


def test_every_kind_of_failure_is_retried(server: FaultyServer) -> None:
    failing = ["429 x2", "500 x1", "503 x3", "cut x1", "garbage x2", "empty x1", "slow x1", "fine"]
    actual = answers(Endpoint(server.url, "m", timeout=0.6), failing)
    assert {prompt: response.text for prompt, response in actual.items()} == {p: f"re: {p}" for p in failing}
    assert server.tries["503 x3"] == 4
    assert server.tries["fine"] == 1
    assert (actual["fine"].prompt_tokens, actual["fine"].completion_tokens) == (3, 2)


def test_what_stays_broken_is_the_error_of_that_row_alone(server: FaultyServer) -> None:
    actual = answers(
        Endpoint(server.url, "m", max_retries=2), ["500 x99", "garbage x99", "400 x1", "bad", "fine", "long"]
    )
    assert actual["fine"].text == "re: fine"
    assert actual["long"].finish_reason == "length"
    for prompt, text, retryable in (
        ("500 x99", "3 attempts: 500", True),
        ("garbage x99", "unreadable", True),
        ("400 x1", "400", False),
        ("bad", "content_filter", False),
    ):
        assert actual[prompt].finish_reason == "error"
        assert text in actual[prompt].text
        assert actual[prompt].retryable is retryable
    assert server.tries["400 x1"] == 1


def test_a_thousand_rows_through_all_faults_are_each_answered_and_journalled_once(tmp_path: Path) -> None:
    draw = random.Random(0)
    kinds = ["429 x1", "500 x1", "503 x2", "cut x1", "garbage x1", "empty x2"]
    prompts = [f"{draw.choice(kinds)} {number}" if draw.random() < 0.3 else f"row {number}" for number in range(1000)]
    context = context_in(tmp_path)
    with faulty_server(seconds=0.001) as server:
        teacher = Endpoint(server.url, "m", concurrency=32)
        with Asker(teacher, context) as asker:
            actual = dict(asker.ask((prompt, request(prompt)) for prompt in prompts))
    assert {prompt: response.text for prompt, response in actual.items()} == {p: f"re: {p}" for p in prompts}
    assert context.store_journal.count("responses") == 1000
    assert set(server.answered.values()) == {1}
    assert context.notes["usage"]["calls"] == 1000
    assert context.notes["usage"]["errors"] == 0


def test_concurrency_shrinks_to_what_the_server_takes_and_loses_nothing() -> None:
    with faulty_server(capacity=6, seconds=0.02) as server:
        actual = answers(Endpoint(server.url, "m", concurrency=48), [f"p{number}" for number in range(300)])
        assert {response.finish_reason for response in actual.values()} == {"stop"}
        assert server.history[0] <= 48
        late = server.history[len(server.history) // 2 :]
        assert sum(late) / len(late) < 16
        assert server.statuses[429] < 250


def test_what_slows_a_step_down_stands_in_its_progress_and_figures(tmp_path: Path) -> None:
    notes: list[str] = []

    def progress(done: int, total: int | None = None, *, tokens: int = 0, note: str = "") -> None:
        notes.append(note)

    context = replace(context_in(tmp_path), progress=progress)
    with faulty_server(capacity=2, seconds=0.01) as server:
        with Asker(Endpoint(server.url, "m", concurrency=16), context) as asker:
            list(asker.ask((n, request(f"p{n}")) for n in range(100)))
        refused = server.statuses[429]
    assert refused
    assert f"refused {refused:,} times (429 or 503), now " in notes[-1]
    assert context.notes["usage"]["refused"] == refused


def test_concurrency_grows_again_when_the_server_recovers() -> None:
    with faulty_server(capacity=2, seconds=0.01) as server:

        def requests() -> Iterator[Request]:
            for number in range(600):
                if number == 200:
                    server.capacity = 0
                yield request(f"p{number}")

        with Endpoint(server.url, "m", concurrency=16).open(threads=1) as session:
            assert len(list(session.generate(requests()))) == 600
            window = session.dispatcher.lanes[0].window
            assert window.least <= 4
            assert window.limit > 8
        assert server.history[-1] <= 16


def test_retry_after_is_honoured_for_all_requests(server: FaultyServer) -> None:
    server.retry_after = "1"
    assert answers(Endpoint(server.url, "m", concurrency=1), ["429 x1", "b"])["b"].text == "re: b"
    assert server.at[1] - server.at[0] >= 1.0


def test_a_server_that_wants_hours_ends_the_step_and_keeps_what_is_done(server: FaultyServer, tmp_path: Path) -> None:
    server.retry_after = "7200"
    context = context_in(tmp_path)
    prompts = ["a", "b", "429 x1", "c"]
    with (
        pytest.raises(PotstillError, match="asks to wait 7200 s"),
        Asker(Endpoint(server.url, "m", concurrency=1), context) as asker,
    ):
        list(asker.ask((prompt, request(prompt)) for prompt in prompts))
    assert context.store_journal.count("responses") == 2


def test_a_busy_server_is_waited_for_beyond_max_retries(server: FaultyServer) -> None:
    prompts = ["429 x12", *[f"p{number}" for number in range(200)]]
    server.seconds = 0.005
    actual = answers(Endpoint(server.url, "m", concurrency=2, max_retries=2), prompts)
    assert actual["429 x12"].text == "re: 429 x12"


def test_the_key_is_sent_and_shown_nowhere(server: FaultyServer) -> None:
    teacher = Endpoint(server.url, "m", max_retries=0)
    actual = answers(teacher, ["500 x9"])
    assert server.keys == {f"Bearer {KEY}"}
    assert KEY not in actual["500 x9"].text
    assert "***" in actual["500 x9"].text
    assert KEY not in repr(teacher) + repr(teacher.identity())
    with teacher.open(threads=1) as session:
        assert KEY not in repr(session)


def test_a_wrong_key_ends_the_step_at_once_and_says_where_the_key_is(server: FaultyServer) -> None:
    server.key = "another"
    with pytest.raises(BadInput, match=r"401.*check the key in the variable OPENAI_API_KEY") as caught:
        answers(Endpoint(server.url, "m"), [f"p{number}" for number in range(500)])
    assert KEY not in str(caught.value)
    assert len(server.bodies) <= 64
    with pytest.raises(BadInput, match=r"the variable NO_SUCH_KEY, which is empty"):
        answers(Endpoint(server.url, "m", api_key_env="NO_SUCH_KEY"), ["p"])


def test_no_file_of_a_store_ever_holds_the_key(server: FaultyServer, tmp_path: Path) -> None:
    from potstill import Pipeline
    from potstill.engine.progress import Silent
    from potstill.steps import LoadSeeds, PseudoLabel

    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"instruction": "500 x1"}\n{"instruction": "403 x9"}\n')
    teacher = Endpoint(server.url, "m", concurrency=1, max_tokens_total=10_000)
    label = PseudoLabel(LoadSeeds(rows, fields=("instruction",)), teacher=teacher)
    failed = Pipeline("p", outputs={"a": label}).execute(store=tmp_path / "store", watcher=Silent())
    server.key = "another"
    wrong = Pipeline("p", outputs={"a": label}).execute(store=tmp_path / "store", watcher=Silent())
    assert failed.failed
    assert wrong.failed
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert any("Traceback" in path.read_text() for path in files if path.name == "log.txt")
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_a_key_that_can_not_be_one_is_not_sent_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nother")
    with pytest.raises(BadInput, match="such as a line break") as caught:
        answers(Endpoint("http://127.0.0.1:9/v1", "m"), ["p"])
    assert KEY not in str(caught.value)


def test_an_unknown_model_is_told_the_known_ones(server: FaultyServer) -> None:
    server.models = ("large", "small")
    with pytest.raises(BadInput, match=r"'medium' with 404.*the models that it knows: large, small"):
        answers(Endpoint(server.url, "medium"), ["p"])


def test_what_was_answered_before_a_fatal_error_is_kept(server: FaultyServer, tmp_path: Path) -> None:
    context = context_in(tmp_path)

    def requests() -> Iterator[tuple[str, Request]]:
        for number in range(500):
            if number == 300:
                server.key = "changed"
            yield str(number), request(f"p{number}")

    with pytest.raises(BadInput, match="401"), Asker(Endpoint(server.url, "m", concurrency=4), context) as asker:
        list(asker.ask(requests()))
    assert context.store_journal.count("responses") == len(server.answered) >= 200


def test_a_server_that_is_down_is_said_after_the_retries() -> None:
    with pytest.raises(BadInput, match=r"http://127.0.0.1:9/v1 can't be reached, in 3 attempts: ConnectError"):
        answers(Endpoint("http://127.0.0.1:9/v1", "m", max_retries=2), [f"p{number}" for number in range(100)])


def test_a_server_that_comes_up_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "FIRST_WAIT", 0.3)
    port = services.free_port()
    up, done = threading.Event(), threading.Event()

    def late() -> None:
        time.sleep(0.5)
        with faulty_server(port):
            up.set()
            done.wait(20)

    thread = threading.Thread(target=late)
    thread.start()
    actual = answers(Endpoint(f"http://127.0.0.1:{port}/v1", "m"), [f"p{number}" for number in range(20)])
    done.set()
    thread.join()
    assert {response.finish_reason for response in actual.values()} == {"stop"}


def test_a_prompt_that_is_too_long_is_lost_alone_with_its_length(server: FaultyServer) -> None:
    server.context = 10
    actual = answers(Endpoint(server.url, "m"), ["a " * 12, "b"])
    assert actual["b"].text == "re: b"
    assert actual["a " * 12].retryable is False
    assert "context overflow" in actual["a " * 12].text
    assert "contains 12 input tokens" in actual["a " * 12].text
    assert server.tries["a " * 12] == 1


def test_no_more_than_the_allowed_requests_are_in_flight(server: FaultyServer) -> None:
    actual = answers(Endpoint(server.url, "m", concurrency=4), [f"p{number}" for number in range(40)])
    assert len(actual) == 40
    assert 2 <= server.most <= 4


def test_answers_are_yielded_as_they_come_and_requests_drawn_as_needed(server: FaultyServer) -> None:
    drawn = []

    def requests() -> Iterator[Request]:
        for number in range(1000):
            drawn.append(number)
            yield request("slow x1" if number == 0 else f"p{number}")

    with Endpoint(server.url, "m", concurrency=2).open(threads=1) as session:
        stream = session.generate(requests())
        assert next(stream)[0] == 1
        assert len(drawn) <= 8
        stream.close()  # type: ignore[attr-defined]
        assert len(server.bodies) <= 8
        assert [index for index, _ in session.generate([request("again")])] == [0]


def test_the_chat_request_says_what_was_asked(server: FaultyServer) -> None:
    answers(Endpoint(server.url, "m", system="be brief"), ["p"], Sampling(0.7, 0.9, 33, ("END",)))
    body = server.bodies[0]
    assert server.paths == ["/v1/chat/completions"]
    assert body["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "p"}]
    asked = {name: value for name, value in body.items() if name != "messages"}
    expected = {"model": "m", "temperature": 0.7, "top_p": 0.9, "max_tokens": 33, "stop": ["END"], "seed": 5}
    assert asked == expected


def test_a_completion_continues_the_texts_of_the_messages(server: FaultyServer) -> None:
    actual = answers(Endpoint(server.url, "m", system="Count.", api="completions"), ["one two"])
    assert server.paths == ["/v1/completions"]
    assert server.bodies[0]["prompt"] == "Count.\n\none two"
    assert actual["one two"].text == "re: Count.\n\none two"


def test_answers_are_held_to_a_form(server: FaultyServer) -> None:
    schema = {"type": "object"}
    schemed, choosing = (
        Sampling(structured=form)
        for form in (Structured(json_schema=json.dumps(schema)), Structured(choice=("a", "b")))
    )
    answers(Endpoint(server.url, "m"), ["p"], schemed)
    assert server.bodies[0]["response_format"]["json_schema"]["schema"] == schema
    answers(Endpoint(server.url, "m", vllm=True), ["p"], choosing)
    assert server.bodies[1]["structured_outputs"] == {"choice": ["a", "b"]}
    answers(Endpoint(server.url, "m", vllm=True, api="completions"), ["p"], schemed)
    assert server.bodies[2]["structured_outputs"] == {"json": schema}
    with pytest.raises(BadInput, match="say vllm=True"):
        answers(Endpoint(server.url, "m"), ["p"], choosing)


def test_what_the_server_can_not_do_is_refused_before_it_is_asked(server: FaultyServer) -> None:
    with pytest.raises(BadInput, match="without token ids"):
        answers(Endpoint(server.url, "m"), ["p"], Sampling(top_k=5))
    with Endpoint(server.url, "m").open(threads=1) as session, pytest.raises(BadInput, match="score a given text"):
        list(session.generate([Request([], GREEDY, continuation="x")]))
    assert not server.bodies
    assert not Endpoint(server.url, "m").gives_top_k
    assert Endpoint(server.url, "m", vllm=True).gives_top_k


def test_identity_and_check() -> None:
    assert Endpoint("http://a/v1/", "m").identity() == Endpoint("http://a/v1", "m", timeout=1).identity()
    assert Endpoint("http://a/v1", "m").identity() == Endpoint("http://a/v1", "m", max_cost=1, price=PRICE).identity()
    assert Endpoint("http://a/v1", "m").identity() != Endpoint("http://b/v1", "m").identity()
    assert Endpoint("http://a/v1", "m").identity() != Endpoint("http://a/v1", "m", api="completions").identity()
    assert "password" in str(*Endpoint("http://me:pw@a/v1", "m").check())
    assert "no http" in str(*Endpoint("localhost:8000", "m").check())
    assert "api must be chat or completions" in str(*Endpoint("http://a/v1", "m", api="chats").check())  # type: ignore[arg-type]
    assert "timeout must be more than 0" in str(*Endpoint("http://a/v1", "m", timeout=0).check())
    assert "needs price" in str(*Endpoint("http://a/v1", "m", max_cost=1).check())
    assert not list(Endpoint("http://a/v1", "m").check())
