"""A pipeline killed at random moments and restarted gives the bytes of an undisturbed one, and asks nothing twice."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
from collections import Counter
from pathlib import Path

import msgpack
import numpy as np
import pytest

import fakes
from potstill.teachers.cache.response_cache import GROUP, NAMESPACE
from projects import Project, payloads

KILLS = 50
PIPELINE = '''
from fakes import EchoTeacher
from potstill import Pipeline, Rows, Step
from potstill.steps import LoadSeeds, PseudoLabel, SelfInstruct, Split


class Mark(Step):
    """A user's own step, with a journal of its own."""

    rows: Rows

    def run(self, rows, context):
        return context.each(rows, self.one)

    def one(self, row):
        return None if "otter" in row["output"] else {**row, "length": len(row["output"])}


writer = EchoTeacher(log="calls.log", lines=6, delay=0.002)
answerer = EchoTeacher("other", log="calls.log", delay=0.002)
seeds = LoadSeeds("seeds.jsonl")
tasks = SelfInstruct(seeds, teacher=writer, target=500, prompts_per_round=20, patience=50)
labels = PseudoLabel(tasks, teacher=answerer, top_k=3)
marked = Mark(labels)
data = Split(marked, test=0.2)
pipeline = Pipeline("random", outputs={"train": data.train, "test": data.test})
'''


def text_of(line: str, lines: int) -> str:
    """Return what the teacher answered to the call in a line of its log: its words are drawn by the call's number."""
    draw = np.random.default_rng(int(line.split()[0], 16))
    result = [" ".join(draw.choice(fakes.WORDS, 6)) for _ in range(max(lines, 1))]
    return "\n".join(f"{number}. {text}" for number, text in enumerate(result, 1)) if lines else result[0]


def journalled(store: Path) -> set[str]:
    """Return the answers that the journal holds."""
    if not (store / "journal.sqlite").exists():
        return set()
    connection = sqlite3.connect(store / "journal.sqlite", timeout=60)
    try:
        rows = connection.execute("SELECT value FROM entries WHERE namespace = ?", [NAMESPACE]).fetchall()
    except sqlite3.OperationalError:
        return set()  # killed before the table was made
    finally:
        connection.close()
    return {msgpack.unpackb(value[8:])["text"] for (value,) in rows}


class Watch:
    """Looks after every kill whether what was journalled by then is asked again."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.known: set[str] = set()
        self.read = 0
        self.texts: Counter[str] = Counter()

    def look(self) -> None:
        lines = fakes.calls(self.project.folder / "calls.log")
        new = [self._text(line) for line in lines[self.read :]]
        self.read = len(lines)
        assert not self.known & set(new), "a finished call was asked again"
        self.texts.update(new)
        self.known = journalled(self.project.store)

    def _text(self, line: str) -> str:
        return text_of(line, 6 if "Here are" in line else 0)


@pytest.mark.slow
def test_fifty_random_kills_change_no_byte_and_repeat_no_finished_call(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(PIPELINE)
    project.rows([f"seed instruction number {number} {word}" for number, word in enumerate(fakes.WORDS)])
    project.run("--set", "writer.delay=0", "--set", "answerer.delay=0")
    undisturbed = payloads(project.store)
    needed = len(fakes.calls(project.folder / "calls.log"))
    draw = random.Random(2)
    kills = rounds = 0
    while kills < KILLS:
        shutil.rmtree(project.store)
        (project.folder / "calls.log").unlink()
        rounds += 1
        here = 0
        watch = Watch(project)
        while True:
            started = project.start("run", "pipe.py")
            if kills < KILLS:
                started.process.join(draw.uniform(0, 1.5))
            ended = started.kill() if kills < KILLS else started.wait()
            watch.look()
            if ended.code == 0:
                break
            assert ended.code == -signal.SIGKILL, ended.err
            kills, here = kills + 1, here + 1
        assert payloads(project.store) == undisturbed
        project.cli("verify")
        assert len(watch.texts) == needed
        assert watch.texts.total() - needed <= here * GROUP
    assert kills == KILLS
    assert rounds >= 1
