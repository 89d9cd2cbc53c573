"""Two projects with pipelines of one name, quick runs beside long ones, and `gc` beside all: nothing is lost."""

from __future__ import annotations

from pathlib import Path

from projects import Project, Started

PIPELINE = """
import time
from potstill import Pipeline, Rows, Step


class Same(Step):
    rows: Rows
    seconds: float = 0.0
    word: str = "PROJECT"

    def run(self, rows, context):
        time.sleep(self.seconds)
        return context.each(rows, lambda row: {**row, "word": self.word, "seconds": self.seconds})


class Both(Step):
    a: Rows
    b: Rows

    def run(self, a, b):
        return [{"a": len(a), "b": len(b), "words": ",".join(sorted({*a["word"], *b["word"]}))}]


class Seeds(Step):
    n: int = 20

    def run(self):
        return [{"n": number} for number in range(self.n)]


seeds = Seeds()
one = Same(seeds)
two = Same(one, seconds=3.0)
both = Both(one, two)
pipeline = Pipeline("tasks", outputs={"rows": both})
"""


def project(folder: Path, word: str, store: Path) -> Project:
    folder.mkdir()
    result = Project(folder, {"POTSTILL_STORE": str(store)})
    result.write(PIPELINE.replace("PROJECT", word))
    return result


def test_runs_and_gc_beside_each_other(tmp_path: Path) -> None:
    projects = [project(tmp_path / word, word, tmp_path / "store") for word in ("first", "second")]
    long = [one.start("run", "pipe.py", "--json") for one in projects]
    collecting: list[Started] = []
    for number in range(3):
        collecting = [one.start("gc", *["--yes"] * (number == 2)) for one in projects]
        quick = projects[number % 2].run("--set", "two.seconds=0.01", "--set", f"seeds.n={number + 1}")
        assert "failed" not in quick.statuses().values()
        ends = [one.wait() for one in collecting]
        assert [end.code for end in ends] == [0, 0], ends
    assert not any(one.ended for one in long)
    for one, started in zip(projects, long, strict=True):
        result = started.wait()
        assert result.code == 0, result.err
        (words,) = one.values(result, "both", "words")
        assert words == one.folder.name
        assert (one.values(result, "both", "a"), one.values(result, "both", "b")) == ([20], [20])
        assert set(one.run().statuses().values()) == {"hit"}
    assert projects[0].cli("gc", "--json").json["removed"]  # what the quick runs had made
    assert "0 damaged" in projects[0].cli("verify").out
    for one in projects:
        assert set(one.run().statuses().values()) == {"hit"}


def test_a_killed_run_keeps_what_it_made_until_somebody_consents(tmp_path: Path) -> None:
    one = project(tmp_path / "first", "first", tmp_path / "store")
    started = one.start("run", "pipe.py")
    while (
        not any((tmp_path / "store" / "work").glob("*/payload"))
        or len(list((tmp_path / "store" / "artifacts").glob("*"))) < 2
    ):
        assert not started.ended
    started.kill()
    one.run("--set", "two.seconds=0.0", "--set", "seeds.n=3")
    asked = one.cli("gc")
    assert "0 artifacts removed" in asked.out
    assert "more" in asked.out and "--yes deletes them too" in asked.out
    assert "would be removed" in one.cli("gc", "--yes", "--dry-run").out
    assert one.run().statuses() == {"seeds": "hit", "one": "hit", "two": "ran", "both": "ran"}
