"""A user's folder with a pipeline file in it, and the command line run there in a process of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakes

DEADLINE = 240.0
"""Longest that anything here is waited for: generous, because the machine may be busy."""
PRELOAD = """
    unsynced potstill.cli potstill.commands potstill.engine.pipeline potstill.engine.loader potstill.engine.progress
    potstill.engine.inventory potstill.steps.loading.seeds potstill.steps.labelling.pseudo_label
    potstill.steps.instructions.self_instruct potstill.steps.rows.split typeguard pyarrow.parquet datasets httpx numpy
""".split()
"""Imported once, in the process from which the others are forked."""
MATRIX = '''
import helper
from fakes import EchoTeacher
from potstill import Pipeline, Rows, Step
from potstill.steps import LoadSeeds, PseudoLabel

MARK = "!"


def ending():
    """Return how a text ends."""
    return "."


def maker(times):
    return lambda text: text * times


twice = maker(2)


class Shout(Step):
    """Makes a text louder."""

    rows: Rows
    suffix: str = ""

    def run(self, rows):
        # one row at a time
        texts = [helper.loud(twice(text)) + MARK + ending() + self.suffix for text in rows["output"]]
        return ({"id": name, "text": text} for name, text in zip(rows["id"], texts))


class Count(Step):
    rows: Rows
    limit: object = 1

    def run(self, rows):
        return {"rows": len(rows)}


teacher = EchoTeacher(log="calls.log")
seeds = LoadSeeds("seeds.jsonl")
labels = PseudoLabel(seeds, teacher=teacher, prompt="prompt.jinja")
loud = Shout(labels)
count = Count(loud)
pipeline = Pipeline("matrix", outputs={"count": count})
'''
"""A pipeline of four steps: rows, a teacher's answers, a step of the user's own, figures."""
HELPER = """
def loud(text):
    return inner(text)


def inner(text):
    return text.upper()
"""
"""The file beside it, whose code is the user's too."""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(PRELOAD)


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line on standard output."""
        return dict(json.loads(self.out.splitlines()[-1]))

    def statuses(self) -> dict[str, str]:
        """Return the status of each step of a run or a plan."""
        return {step["name"]: step["status"] for step in self.json["steps"]}

    def step(self, name: str) -> dict[str, Any]:
        """Return the entry of one step."""
        return next(step for step in self.json["steps"] if step["name"] == name)


@dataclass
class Started:
    """A command that runs."""

    process: Any
    output: Path

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    @property
    def ended(self) -> bool:
        return not self.process.is_alive()

    def send(self, number: int) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def kill(self) -> Result:
        """End it with SIGKILL."""
        if not self.ended:
            self.send(signal.SIGKILL)
        return self.wait()

    def wait(self, seconds: float = DEADLINE) -> Result:
        """Return how it ended; fail the test if it does not."""
        self.process.join(seconds)
        if not self.ended:
            self.process.kill()
            self.process.join()
            raise AssertionError(f"still running after {seconds} s:\n{self._read('out')}\n{self._read('err')}")
        return Result(self.process.exitcode, self._read("out"), self._read("err"))

    def _read(self, name: str) -> str:
        path = self.output.with_suffix(f".{name}")
        return path.read_text(encoding="utf-8") if path.exists() else ""


@dataclass
class Project:
    """A folder with a pipeline file and a store."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    @property
    def store(self) -> Path:
        return self.folder / ".potstill"

    def write(self, text: str, name: str = "pipe.py") -> Path:
        """Write a file, the pipeline's unless it is named."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def edit(self, old: str, new: str, name: str = "pipe.py") -> None:
        """Replace a text that is there once."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, (old, text)
        self.write(text.replace(old, new), name)

    def rows(self, texts: list[str], name: str = "seeds.jsonl") -> None:
        """Write a seed file with one instruction a row."""
        lines = [json.dumps({"id": f"r{number}", "instruction": text}) for number, text in enumerate(texts)]
        self.write("\n".join(lines) + "\n", name)

    def start(self, *arguments: str, before: Callable[[], None] | None = None) -> Started:
        """Start a command; `before` is called in its process first."""
        self._count += 1
        output = self.folder / f"command-{self._count}"
        environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **self.environment}
        process = _FORKS.Process(target=_command, args=(arguments, self.folder, environment, output, before))
        process.start()
        return Started(process, output)

    def cli(self, *arguments: str, code: int = 0, before: Callable[[], None] | None = None) -> Result:
        """Run a command to its end and check its exit code."""
        result = self.start(*arguments, before=before).wait()
        assert result.code == code, f"exit code {result.code}\n{result.out}\n{result.err}"
        return result

    def run(self, *arguments: str, code: int = 0, before: Callable[[], None] | None = None) -> Result:
        """Run the pipeline."""
        return self.cli("run", "pipe.py", "--json", *arguments, code=code, before=before)

    def plan(self, *arguments: str) -> dict[str, list[str]]:
        """Return the reasons of each step's miss; an empty list is a hit."""
        planned = self.cli("plan", "pipe.py", "--json", *arguments).json["steps"]
        return {step["name"]: step["reasons"] for step in planned}

    def values(self, result: Result, step: str, column: str) -> list[Any]:
        """Return a column of the rows that a step made."""
        return values(Path(result.step(step)["path"]), column)


def values(artifact: Path, column: str) -> list[Any]:
    """Return a column of the rows of an artifact."""
    import pyarrow.parquet as pq

    return [value for file in sorted(artifact.rglob("*.parquet")) for value in pq.read_table(file)[column].to_pylist()]


def matrix(folder: Path) -> Project:
    """Return a project with the pipeline of four steps and five questions."""
    result = Project(folder)
    result.write(MATRIX)
    result.write(HELPER, "helper.py")
    result.write("Answer: {{ instruction }}", "prompt.jinja")
    result.rows([f"question {number}" for number in range(5)])
    return result


def calls(project: Project) -> list[str]:
    """Return what its teacher was asked."""
    return fakes.calls(project.folder / "calls.log")


def run_of(project: Project, *arguments: str) -> str:
    """Run the pipeline of four steps; return what became of seeds, labels, loud and count."""
    statuses = project.run(*arguments).statuses()
    assert list(statuses) == ["seeds", "labels", "loud", "count"]
    return " ".join(statuses.values())


def payloads(store: Path) -> dict[str, dict[str, str]]:
    """Return the SHA-256 of every payload file, by key."""
    actual = {}
    for path in sorted((store / "artifacts").iterdir()):
        files = json.loads((path / "manifest.json").read_text(encoding="utf-8"))["files"]
        actual[path.name] = {name: entry["sha256"] for name, entry in files.items() if name != "log.txt"}
    return actual


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """Wait for a condition; fail the test if it does not come true."""
    end = time.monotonic() + seconds
    while not (actual := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.01)
    return actual


def is_running(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def marked(mark: str) -> list[int]:
    """Return the processes that were started with `mark` in their environment."""
    actual = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes() and is_running(int(path.parent.name)):
                actual.append(int(path.parent.name))
        except OSError:
            continue
    return actual


def _command(
    arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], output: Path, before: Any
) -> None:
    """Be the command line."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.update(environment)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(output.with_suffix(f".{name}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115 - for good
    if before is not None:
        before()
    from potstill.cli import main

    try:
        code = main(arguments)
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
