"""What changes is sent while somebody looks, and a reload resumes where it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.requests import Request

from potstill.engine.pipeline import open_store
from potstill.engine.store.run_history import History, PlannedStep
from potstill.engine.store.run_records import Origin
from potstill.ui import live
from potstill.ui.step_pages import log_path


def asked(**headers: str) -> Request:
    names = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": names})


def collected(events: AsyncIterator[bytes]) -> list[tuple[str, str, object]]:
    """Return (event, id, data) of all events."""

    async def gather() -> list[bytes]:
        return [event async for event in events]

    parsed = []
    for event in asyncio.run(gather()):
        fields = dict(line.split(": ", 1) for line in event.decode().strip().splitlines())
        parsed.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return parsed


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0.01)


def test_a_fragment_is_sent_when_it_changes_until_it_is_over() -> None:
    states: Iterator[tuple[str, bool]] = iter([("a", False), ("a", False), ("b", False), ("b", True)])
    events = collected(live.changes(asked(), lambda: next(states)))
    assert [(name, data) for name, _, data in events] == [("html", "a"), ("html", "b"), ("over", "")]
    last = events[1][1]
    assert collected(live.changes(asked(last_event_id=last), lambda: ("b", True))) == [("over", last, "")]


def test_a_log_is_sent_as_it_grows_and_resumes_behind_what_was_sent(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("first\n")
    polls = iter([False, False, False, True])

    def path_of() -> tuple[Path, bool]:
        over = next(polls)
        if over:
            log.write_text("first\nsecond \u00fc\n")
        return log, over

    events = collected(live.tail(asked(), path_of))
    assert [data for _, _, data in events] == ["first\n", "second \u00fc\n", ""]
    resumed = collected(live.tail(asked(last_event_id=events[0][1]), lambda: (log, True)))
    assert [(name, data) for name, _, data in resumed] == [("text", "second \u00fc\n"), ("over", "")]
    lost = collected(live.tail(asked(last_event_id="nowhere.6"), lambda: (log, True)))
    assert [data for _, _, data in lost] == ["first\nsecond \u00fc\n", ""]


def test_another_file_in_the_place_of_a_log_is_shown_from_its_start(tmp_path: Path) -> None:
    printed, log = tmp_path / "output", tmp_path / "log.txt"
    printed.write_text("printed, and longer than the log\n")
    log.write_text("logged\n")
    polls = iter([(None, False), (printed, False), (log, True)])
    events = collected(live.tail(asked(), lambda: next(polls)))
    assert [(name, data) for name, _, data in events] == [
        ("text", "printed, and longer than the log\n"),
        ("reset", ""),
        ("text", "logged\n"),
        ("over", ""),
    ]


def test_only_the_end_of_a_long_log_is_sent_and_no_character_is_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes("\u00fc".encode() * 100_000)
    text, at, whole = live.read_on(log, -1)
    assert (len(text), at, whole) == (live.TAIL_BYTES // 2, 200_000, True)
    log.write_bytes(b"ab\xc3")
    assert live.read_on(log, 0) == ("ab", 2, True)  # the other half is not there yet
    log.write_bytes(b"ab\xff\xfe\xff\xfe")
    assert live.read_on(log, 0)[0].startswith("ab\ufffd")
    assert live.read_on(tmp_path / "none", 5) == ("", 5, True)


def test_a_running_step_that_has_logged_nothing_shows_what_its_process_prints(tmp_path: Path) -> None:
    key, store = "ab" * 16, open_store(tmp_path)
    history = History(tmp_path, Origin("p"))
    history.planned([PlannedStep("a", "Make")], {})
    history.started("a", key)
    own = tmp_path / "work" / key / "payload" / "log.txt"
    own.parent.mkdir(parents=True)
    own.write_text("")
    printed = tmp_path / "work" / f"{key}.output"
    printed.write_text("loading")
    assert log_path(store, key) == (printed, False)
    own.write_text("logged")
    assert log_path(store, key) == (own, False)
    history.finished("a", "failed", key=key)
    history.close("failed")
    assert log_path(store, key) == (own, True)
    finished = tmp_path / "artifacts" / key / "log.txt"
    finished.parent.mkdir(parents=True)
    finished.write_text("all")
    assert log_path(store, key) == (finished, True)
