"""What filters and failures took is shown by reason with examples, also of a step that failed for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, Rows, Step
from potstill.cli import main
from potstill.engine.progress import Silent
from potstill.looking.lost import described, losses
from potstill.steps import Decontaminate, LoadRows


class Fail(Step):
    rows: Rows
    max_failed: float = 1.0

    def run(self, rows: Any, context: Any) -> Any:
        for number in range(5):
            context.ledger.lose(f"r{number}", "permanent", "no answer", "the\x1b[2J\n answer " + "x" * 1000 * number)
        context.ledger.lose("late", "retryable", "server was away")
        context.ledger.keep(len(rows))
        return rows


def store_of(folder: Path, **steps: Any) -> dict[str, str]:
    run = Pipeline("p", outputs=steps).execute(store=folder, watcher=Silent())
    return {record.name: record.key for record in run.records}


def test_reasons_have_counts_and_examples(tmp_path: Path) -> None:
    rows = LoadRows([{"id": "a", "instruction": "same text"}, {"id": "b", "instruction": "another"}], name="rows")
    clean = Decontaminate(rows, against=LoadRows([{"instruction": "Same text!"}], name="test"), name="clean")
    keys = store_of(tmp_path, clean=clean, failing=Fail(rows, name="failing"))
    actual = losses(str(tmp_path), keys["clean"][:10], 3)
    assert (actual.name, actual.kept, actual.total, actual.finished) == ("clean", 1, 1, True)
    (reason,) = actual.reasons
    assert (reason.state, reason.reason, reason.count) == ("filtered", "in the test set", 1)
    assert reason.examples[0]["row"] == "a"
    actual = losses(str(tmp_path), keys["failing"], 2)
    assert [(one.state, one.count, len(one.examples)) for one in actual.reasons] == [
        ("permanent", 5, 2),
        ("retryable", 1, 1),
    ]
    assert losses(str(tmp_path), keys["rows"], 3).reasons == []
    assert described(losses(str(tmp_path), keys["rows"], 3)) == "rows: no row was lost"


def test_the_command_cuts_details_and_prints_them_whole_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = store_of(tmp_path, failing=Fail(LoadRows([{"n": 1}], name="rows"), name="failing"))["failing"]
    assert main(["lost", key, "--store", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "failing: 6 lost of 7 rows" in out
    assert "\x1b" not in out and "…+" in out and max(map(len, out.splitlines())) < 220
    assert main(["lost", key, "--store", str(tmp_path), "--json", "--examples", "5"]) == 0
    actual = json.loads(capsys.readouterr().out)
    assert (actual["lost"], actual["kept"]) == (6, 1)
    assert actual["reasons"][0]["examples"][4]["detail"].endswith("x" * 4000)
    assert main(["lost", "nothing", "--store", str(tmp_path)]) == 2


def test_a_step_that_failed_for_its_losses_can_be_asked(tmp_path: Path) -> None:
    keys = store_of(tmp_path, failing=Fail(LoadRows([{"n": 1}], name="rows"), max_failed=0.1, name="failing"))
    actual = losses(str(tmp_path), keys["failing"], 1)
    assert (actual.name, actual.finished, actual.kept, actual.total) == ("failing", False, None, 6)
    assert "6 lost so far (the step is not done" in described(actual)


def test_a_line_that_was_cut_short_counts_for_nothing(tmp_path: Path) -> None:
    keys = store_of(tmp_path, failing=Fail(LoadRows([{"n": 1}], name="rows"), max_failed=0.1, name="failing"))
    path = tmp_path / "work" / keys["failing"] / "payload" / "lost.jsonl"
    path.write_text(path.read_text() + '{"row": "x", "sta\n[1]\n')
    assert losses(str(tmp_path), keys["failing"], 1).total == 6
