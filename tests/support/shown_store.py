"""A small store with all that the local page shows: runs that ended well and badly, hostile rows, answers, a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from potstill import Metrics, Pipeline, Rows, Step
from potstill.engine.progress import Silent
from potstill.metrics.kept_rows import write
from potstill.steps import Report

SCRIPT = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
IMAGE = "![pixel](http://evil.example/a.png) <img src='http://evil.example/b.png'>"
BIDI = "user\u202e nimda \u2066"
MEGABYTE = "long " * 200_000
ROWS = 300


class Talk(Step):
    """Makes rows, some of which would do harm if they were anything but text."""

    count: int = ROWS

    def run(self) -> Any:
        texts = {0: SCRIPT, 1: BIDI, 2: MEGABYTE, 3: IMAGE, 4: "", 5: None}
        return [
            {
                "id": f"r{number}",
                "text": texts.get(number, f"command {number % 7}"),
                "number": number * 37 % self.count,
                "half": None if number % 2 else number / 2,
                'odd name"; <b>': f"{number % 3}",
                "tags": ["a", str(number)],
                "blob": b"\x00\xff" * (number + 1),
            }
            for number in range(self.count)
        ]


class Drop(Step):
    """Loses rows for two reasons."""

    rows: Rows
    least: int = 100

    def run(self, rows: Any, context: Any) -> Any:
        context.logger.info("dropping, and \u202e %s", SCRIPT)
        records = []
        for row in rows:
            if row["number"] >= self.least:
                records.append(row)
            else:
                context.ledger.lose(row["id"], "filtered", f"too small {SCRIPT}", str(row["text"]))
        context.ledger.lose("r999", "permanent", "no answer", "half \ud800 a character")
        return records

    max_failed: float = 0.5


class Learn(Step):
    """Notes a curve as trainers do."""

    rows: Rows
    rate: float = 0.1

    def run(self, rows: Any, context: Any) -> Any:
        context.notes["curve"] = [{"step": step, "loss": 2.0 / (step + 1), "grad_norm": 1.0} for step in range(20)]
        return {"accuracy": 0.5 + self.rate}


class Answer(Step):
    """Keeps answers as evaluations do: wrong at every `wrong`-th row."""

    rows: Rows
    wrong: int = 3

    def run(self, rows: Any, context: Any) -> Any:
        columns = {**dict.fromkeys(("id", "set", "input", "gold", "answer"), "text"), "exact_match": "flag"}
        write(context.out, columns, self._answers(rows))
        return {"sets": {"test": {"rows": len(rows)}}}

    def _answers(self, rows: Sequence[Any]) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows):
            right = number % self.wrong != 0
            answer = "turn it on" if right else f"turn it off {SCRIPT}"
            set_name = "spoken" if number % 2 else "written"
            yield {
                "id": row["id"],
                "set": set_name,
                "input": f"{row['id']}: {row['text'] or ''}"[:200],
                "gold": "turn it on",
                "answer": answer,
                "exact_match": right,
            }


class Fail(Step):
    """Fails."""

    rows: Rows

    def run(self, rows: Any) -> Any:
        raise ValueError(f"nothing works {SCRIPT}")


def pipeline(name: str = "talk", *, rate: float = 0.1, fails: bool = False, rows: int = ROWS) -> Pipeline:
    talk = Talk(rows, name="talk")
    dropped = Drop(talk, name="dropped")
    learned: Metrics = Learn(dropped, rate, name="learned")
    answers = {label: Answer(dropped, wrong, name=f"scores[{label}]") for label, wrong in (("large", 7), ("small", 3))}
    report = Report({"learned": learned, "published": {"accuracy": 0.7}}, title="Talk", name="report")
    outputs: dict[str, Any] = {"report": report, **answers}
    return Pipeline(name, outputs=outputs | ({"failing": Fail(dropped, name="failing")} if fails else {}))


def make(folder: Path) -> Path:
    """Run three times: as it is, with another rate, and with a step that fails; return the store."""
    for one in (pipeline(), pipeline(rate=0.2), pipeline("broken", fails=True)):
        one.execute(store=folder, watcher=Silent())
    return folder
