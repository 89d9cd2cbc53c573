"""A run never costs more than its budget, stops with all that was answered kept, and goes on with a larger one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes import context_in
from faulty_server import FaultyServer, faulty_server
from potstill.engine.running import services
from potstill.teachers.cache.response_cache import Asker
from potstill.teachers.openai.budget import BudgetSpent, Price
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.protocol import Request, Sampling


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with faulty_server() as state:
        yield state


PRICE = Price(prompt=1.0, completion=10.0)


def spend(teacher: Endpoint, folder: Path, rows: int = 100) -> Any:
    context = context_in(folder)
    with Asker(teacher, context) as asker:
        list(
            asker.ask(
                (n, Request([{"role": "user", "content": f"p{n}"}], Sampling(max_tokens=100))) for n in range(rows)
            )
        )
    return context


def test_the_cost_is_counted(server: FaultyServer, tmp_path: Path) -> None:
    server.usage = (1000, 100)
    usage = spend(Endpoint(server.url, "m", price=PRICE), tmp_path, rows=10).notes["usage"]
    assert usage["cost"] == pytest.approx(10 * 0.002)
    assert "cost" not in spend(Endpoint(server.url, "m"), tmp_path, rows=20).notes["usage"]


def test_a_budget_of_tokens_stops_in_time_and_a_larger_one_goes_on(server: FaultyServer, tmp_path: Path) -> None:
    server.usage = (5, 45)
    with pytest.raises(BudgetSpent, match=r"of max_tokens_total=1,000 tokens spent.*raise the budget") as caught:
        spend(Endpoint(server.url, "m", max_tokens_total=1000), tmp_path)
    done = len(server.answered)
    assert f"{50 * done:,} of" in str(caught.value)
    assert 16 <= done <= 20
    assert context_in(tmp_path).store_journal.count("responses") == done
    context = spend(Endpoint(server.url, "m", max_tokens_total=10_000), tmp_path)
    assert context.notes["usage"]["cached"] == done
    assert set(server.answered.values()) == {1}
    assert len(server.answered) == 100


def test_a_budget_of_dollars_stops_in_time(server: FaultyServer, tmp_path: Path) -> None:
    server.usage = (10, 100)
    with pytest.raises(BudgetSpent, match=r"\$0\.0\d+ of max_cost=\$0\.0300 spent"):
        spend(Endpoint(server.url, "m", max_cost=0.03, price=PRICE), tmp_path)
    assert 0.9 * 0.03 < len(server.answered) * PRICE.of(10, 100) <= 0.03


def test_steps_of_a_run_share_the_budget(server: FaultyServer, tmp_path: Path) -> None:
    server.usage = (50, 50)
    run = services.Services(tmp_path / "store")
    teacher = Endpoint(server.url, "m", max_tokens_total=1000, price=PRICE)
    with services.within(run.access):
        spend(teacher, tmp_path / "one", rows=6)
        with pytest.raises(BudgetSpent):
            spend(teacher, tmp_path / "two", rows=6)
    run.close()
    assert 6 < sum(server.answered.values()) <= 10
    assert not (tmp_path / "store" / "services").exists()


def test_steps_at_once_never_pass_the_budget_together(server: FaultyServer, tmp_path: Path) -> None:
    """Each waits for what the other has set aside, and ends when what is spent leaves no room."""
    server.usage = (10, 100)
    run = services.Services(tmp_path / "store")
    teacher = Endpoint(server.url, "m", concurrency=4, max_tokens_total=3000)
    ended: list[str] = []

    def step(name: str) -> None:
        with services.within(run.access):
            try:
                spend(teacher, tmp_path / name)
            except BudgetSpent as error:
                ended.append(str(error))

    steps = [threading.Thread(target=step, args=(name,)) for name in ("one", "two", "three")]
    for one in steps:
        one.start()
    for one in steps:
        one.join()
    run.close()
    assert len(ended) == 3
    assert 3000 - 3 * 110 < 110 * sum(server.statuses.values()) <= 3000


def test_a_step_that_needs_no_more_gives_back_what_it_had_set_aside(server: FaultyServer, tmp_path: Path) -> None:
    server.usage, server.seconds = (1, 1), 0.3
    run = services.Services(tmp_path / "store")
    teacher = Endpoint(server.url, "m", concurrency=8, max_tokens_total=1000)
    request = [Request([{"role": "user", "content": f"p{n}"}], Sampling(max_tokens=100)) for n in range(50)]
    with services.within(run.access), teacher.open(threads=1) as session:
        answers = session.generate(request)
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        (lane,) = session.dispatcher.lanes
        assert lane.budget.account.set_aside() == (0, 0.0)
        assert 0 < lane.budget.account.spent()[0] <= 1000, "what was in flight may have been answered"
    run.close()
