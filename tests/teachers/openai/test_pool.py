"""Replicas as one teacher: routed by load, without those that are down, and whoever answers, it is the same teacher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fakes import context_in
from faulty_server import FaultyServer, faulty_server
from potstill.engine.encoding import digest
from potstill.engine.running.services import free_port
from potstill.errors import BadInput
from potstill.teachers.cache.response_cache import Asker
from potstill.teachers.openai import lanes
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.openai.pool import Pool
from potstill.teachers.protocol import Request, Response, Sampling


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "FIRST_WAIT", 0.05)


@pytest.fixture
def servers() -> Iterator[list[FaultyServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(faulty_server()) for _ in range(2)]


def request(prompt: str) -> Request:
    return Request([{"role": "user", "content": prompt}], Sampling())


def pool(*urls: str, **fields: Any) -> Pool:
    return Pool([Endpoint(url, "m", **{"concurrency": 8, **fields}) for url in urls])


def down() -> str:
    return f"http://127.0.0.1:{free_port()}/v1"


def answers(teacher: Pool, prompts: list[str]) -> dict[str, Response]:
    with teacher.open(threads=1) as session:
        actual = list(session.generate([request(prompt) for prompt in prompts]))
    assert sorted(index for index, _ in actual) == list(range(len(prompts)))
    return {prompts[index]: response for index, response in actual}


def prompts(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


def test_requests_go_where_the_load_is_least(servers: list[FaultyServer]) -> None:
    fast, slow = servers
    fast.seconds, slow.seconds = 0.01, 0.5
    assert len(answers(pool(fast.url, slow.url), prompts(150))) == 150
    assert sum(fast.answered.values()) > 2 * sum(slow.answered.values()) > 0
    assert max(fast.most, slow.most) <= 8


def test_capacity_counts_so_a_larger_server_gets_more(servers: list[FaultyServer]) -> None:
    large, small = servers
    both = Pool([Endpoint(large.url, "m", concurrency=12), Endpoint(small.url, "m", concurrency=3)])
    answers(both, prompts(200))
    assert small.most <= 3
    assert sum(large.answered.values()) > 2 * sum(small.answered.values())


def test_a_replica_that_is_down_is_left_out(servers: list[FaultyServer]) -> None:
    actual = answers(pool(down(), servers[0].url, max_retries=0), prompts(60))
    assert {response.finish_reason for response in actual.values()} == {"stop"}
    assert sum(servers[0].answered.values()) == 60


def test_a_replica_that_only_fails_does_not_draw_the_requests(servers: list[FaultyServer]) -> None:
    bad, good = servers
    bad.key = good.key = ""
    failing = [f"500 x1 {number}" for number in range(20)]
    actual = answers(pool(bad.url, good.url, max_retries=3), [*failing, *prompts(20)])
    assert {response.finish_reason for response in actual.values()} == {"stop"}


def test_a_replica_that_dies_midway_loses_nothing(servers: list[FaultyServer]) -> None:
    with ExitStack() as stack:
        mortal = stack.enter_context(faulty_server())

        def requests() -> Iterator[Request]:
            for number in range(200):
                if number == 100:
                    stack.close()
                yield request(f"p{number}")

        with pool(mortal.url, servers[0].url).open(threads=1) as session:
            actual = dict(session.generate(requests()))
    assert {response.finish_reason for response in actual.values()} == {"stop"}
    assert len(actual) == 200
    assert mortal.answered


def test_all_down_is_said_once_with_all_addresses() -> None:
    one, two = down(), down()
    with pytest.raises(BadInput, match="can't be reached") as caught:
        answers(pool(one, two, max_retries=1), prompts(5))
    assert one in str(caught.value)
    assert two in str(caught.value)


def test_it_is_the_same_teacher_whoever_answers(servers: list[FaultyServer], tmp_path: Path) -> None:
    first, second = pool(servers[0].url), pool(servers[0].url, servers[1].url)
    assert digest(first) == digest(second)
    assert digest(first) != digest(pool(servers[1].url, servers[0].url))  # its first server names it
    assert digest(first) != digest(Pool([Endpoint(servers[0].url, "other")]))
    context = context_in(tmp_path)
    for teacher in (first, second):
        with Asker(teacher, context) as asker:
            list(asker.ask((prompt, request(prompt)) for prompt in prompts(30)))
    assert context.notes["usage"]["calls"] == context.notes["usage"]["cached"] == 30


def test_different_models_are_no_pool() -> None:
    mixed = Pool([Endpoint("http://a/v1", "m"), Endpoint("http://b/v1", "n")])
    assert "same model" in str(*mixed.check())
    assert "http://b/v1: 'n'" in str(*mixed.check())
    assert "no endpoints" in str(*Pool([]).check())
    assert "no http" in str(*Pool([Endpoint("a", "m")]).check())
    assert not list(pool("http://a/v1", "http://b/v1").check())
