"""Every lost row has a state and a reason; too many failures fail the step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes import context_in
from potstill.engine.ledger import Ledger
from potstill.errors import TooManyLost


def filled(path: Path | None = None) -> Ledger:
    ledger = Ledger(path)
    ledger.keep(6)
    ledger.lose("r1", "retryable", "time-out", "after 3 s")
    ledger.lose("r2", "permanent", "cut")
    ledger.lose("r3", "filtered", "duplicate")
    ledger.lose("r4", "filtered", "duplicate")
    return ledger


def test_rows_are_counted_by_state_and_reason() -> None:
    assert filled().counts() == {
        "kept": 6,
        "retryable": 1,
        "permanent": 1,
        "filtered": {"duplicate": 2},
        "failed": {"cut": 1, "time-out": 1},
    }


def test_lost_rows_are_written_down(tmp_path: Path) -> None:
    filled(tmp_path / "lost.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "lost.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == ["r1", "r2", "r3", "r4"]
    assert lines[0] == {"row": "r1", "state": "retryable", "reason": "time-out", "detail": "after 3 s"}


@pytest.mark.parametrize(("allowed", "fails"), [(0.0, True), (0.19, True), (0.2, False), (1.0, False)])
def test_failures_count_against_all_rows_and_filtered_ones_do_not_count(allowed: float, fails: bool) -> None:
    if fails:
        with pytest.raises(
            TooManyLost, match=r"lost 2 of 10 rows.*the 1 retryable.*r1: time-out \(after 3 s\); r2: cut"
        ):
            filled().close(allowed)
    else:
        filled().close(allowed)


def test_filtered_rows_are_no_failure() -> None:
    ledger = Ledger()
    ledger.lose("r", "filtered", "duplicate")
    ledger.close(0.0)
    assert ledger.counts()["filtered"] == {"duplicate": 1}
    assert ledger.counts()["failed"] == {}


def test_each_keeps_finished_rows_filters_and_loses_a_bad_row_alone(tmp_path: Path) -> None:
    done = []

    def work(row: dict[str, int]) -> dict[str, int] | None:
        done.append(row["n"])
        if row["n"] == 1:
            raise ValueError("bad")
        return None if row["n"] == 2 else {"n": row["n"] * 10}

    rows = [{"n": number} for number in range(4)]
    first = context_in(tmp_path)
    assert list(first.each(rows, work)) == [{"n": 0}, {"n": 30}]
    assert first.ledger.counts()["failed"] == {"ValueError: bad": 1}
    assert first.ledger.counts()["filtered"] == {"dropped by the function": 1}
    assert list(context_in(tmp_path).each(rows, work)) == [{"n": 0}, {"n": 30}]
    assert done == [0, 1, 2, 3, 1]


def test_each_loses_a_row_that_can_not_be_journalled_alone(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    result = list(context.each([{"n": 1}, {"n": 2}], lambda row: {"n": object() if row["n"] == 1 else 2}))
    assert result == [{"n": 2}]
    assert context.ledger.total("retryable") == 1


def test_an_interrupt_is_no_bad_row(tmp_path: Path) -> None:
    def work(row: dict[str, int]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(context_in(tmp_path).each([{"n": 1}], work))


def test_too_many_losses_are_counted_by_reason_with_what_to_change() -> None:
    ledger = Ledger()
    ledger.keep(21)
    for number in range(9):
        ledger.lose(str(number), "permanent", "cut", remedy="raise max_tokens from 96")
    ledger.lose("9", "retryable", "server gone")
    with pytest.raises(TooManyLost) as refused:
        ledger.close(0.01)
    text = str(refused.value)
    assert "lost 10 of 31 rows, more than max_failed=0.01 allows: " in text
    assert "9 cut (raise max_tokens from 96), 1 server gone" in text
    assert "asks only for the 1 retryable ones; set max_failed=0.33 to go on without these" in text
    ledger.close(0.33)
