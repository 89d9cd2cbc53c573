"""A light step of the user's own can do to its process what it likes: it ends as a step, and changes nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, Step
from potstill.engine.progress import Silent
from potstill.engine.running.executor import Local
from projects import Project, until

MISBEHAVING = """
import os, signal, sys, threading, time
import helper
from potstill import Pipeline, Rows, Step
from potstill.steps import Map

STATE = {"changed": False}


class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Bare(BaseException):
    pass


def leave():
    os._exit(0)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_group():
    os.killpg(0, signal.SIGKILL)


def kill_parent():
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def interrupt():
    raise KeyboardInterrupt


def odd():
    raise Odd


def bare():
    raise Bare("bare")


def half():
    raise ValueError("half \\ud83d a character")


def exits():
    sys.exit(0)


def generator_exit():
    raise GeneratorExit


def close():
    os.closerange(3, 256)


def close_all():
    os.closerange(0, 256)


def close_streams():
    sys.stdout.close(), sys.stderr.close()
    raise ValueError("no streams")


def child_goes_on():
    if os.fork():
        os._exit(0)


def segfault():
    import ctypes
    ctypes.string_at(0)


class Bad(Step):
    what: str = "leave"

    def run(self):
        globals()[self.what]()
        return [{"n": 1}]


class Other(Step):
    def run(self):
        return [{"n": 2}]


bad = Bad()
other = Other()
pipeline = Pipeline("p", outputs={"bad": bad, "other": other})
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    result = Project(tmp_path)
    result.write(MISBEHAVING)
    result.write("WORD = 'x'\n", "helper.py")
    return result


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("leave", "its process died: exit code 0"),
        ("kill", "its process died: SIGKILL"),
        ("kill_group", "its process died: SIGKILL"),
        ("kill_parent", "the process that starts the steps has died"),
        ("terminate", "its process died: SIGTERM"),
        ("interrupt", "KeyboardInterrupt"),
        ("odd", "Odd: (its text can't be had: RuntimeError)"),
        ("bare", "Bare: bare"),
        ("half", "ValueError: half \\ud83d a character"),
        ("exits", "SystemExit: 0"),
        ("generator_exit", "GeneratorExit"),
        ("close_all", ""),
        ("close_streams", "ValueError: no streams"),
        ("child_goes_on", "its process died: exit code 0"),
        ("segfault", "its process died: SIGSEGV"),
    ],
)
def test_a_step_that_misbehaves_is_a_failed_step_and_the_run_goes_on(project: Project, what: str, message: str) -> None:
    result = project.run("--set", f"bad.what={what}", code=1)
    assert result.statuses() == {"bad": "failed", "other": "ran"}
    assert message in result.step("bad")["error"]
    assert result.step("bad")["error"]
    assert "Traceback" not in result.err
    assert project.cli("verify").code == 0


def test_a_step_that_closes_what_is_not_its_own_never_writes_elsewhere(project: Project) -> None:
    """Where its report can't be sent, the step has failed; what it published before is whole."""
    result = project.start("run", "pipe.py", "--json", "--set", "bad.what=close").wait()
    assert result.step("other")["status"] == "ran"
    assert (result.code, result.step("bad")["status"]) in ((0, "ran"), (1, "failed"))
    project.cli("verify")


CHANGING = '''
import os, random, signal, sys, warnings
import helper
from potstill import Pipeline, Rows, Step

WORDS = ["a"]


class Changes(Step):
    def run(self):
        WORDS.append("b")
        helper.WORD = "y"
        Looks.mark = "changed"
        os.environ["POTSTILL_TEST_WORD"] = "changed"
        os.chdir("/")
        os.umask(0)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        sys.path.insert(0, "/nowhere")
        return [{"n": 1}]


class Looks(Step):
    rows: Rows
    n: int = 0
    mark = "as it was"

    def run(self, rows):
        return {"words": WORDS, "helper": helper.WORD, "mark": self.mark, "folder": os.getcwd(),
                "environment": os.environ.get("POTSTILL_TEST_WORD", ""), "umask": os.umask(0),
                "signal": str(signal.getsignal(signal.SIGUSR1)), "path": "/nowhere" in sys.path, "rows": len(rows)}


class Again(Step):
    """Changes what it reads, at each run."""

    rows: Rows

    def run(self, rows):
        WORDS.append("c")
        return [{"words": list(WORDS)}]


made = Changes()
looks = Looks(made)
first = Again(made)
second = Again(first)
third = Again(second)
pipeline = Pipeline("p", outputs={"looks": looks, "third": third})
'''


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_what_a_step_changes_no_other_step_finds(project: Project, jobs: str) -> None:
    project.write(CHANGING)
    result = project.run("--jobs", jobs)
    seen = json.loads((Path(result.step("looks")["path"]) / "metrics.json").read_text())
    assert seen == {
        "words": ["a"],
        "helper": "x",
        "mark": "as it was",
        "folder": str(project.folder),
        "environment": "",
        "umask": 0o022,
        "signal": "0",
        "path": False,
        "rows": 1,
    }
    for name in ("first", "second", "third"):
        assert project.values(result, name, "words") == [["a", "c"]]
    assert project.run().statuses() == dict.fromkeys(result.statuses(), "hit")


EDITED = """
import time
from pathlib import Path
import helper
from potstill import Pipeline, Rows, Step


class Waits(Step):
    def run(self):
        Path("running").touch()
        while not Path("go").exists():
            time.sleep(0.01)
        return [{"n": 1}]


helper.PUT = "p"
helper.TABLE["put"] = "t"
helper.Rule.word = "c"
helper.Rule.known.append("k")
helper.replaced = lambda: "l"


class Uses(Step):
    rows: Rows
    HEAVY

    def run(self, rows):
        from late import later
        from package.below import word
        return [{"text": helper.WORD + later() + word() + helper.PUT + helper.TABLE["put"] + helper.READ
                 + helper.all_of_it()}]


waits = Waits()
uses = Uses(waits)
pipeline = Pipeline("p", outputs={"uses": uses})
"""


@pytest.mark.parametrize("kind", ["light", "heavy"])
def test_an_edit_while_a_run_goes_on_changes_nothing_in_it(project: Project, kind: str) -> None:
    """Neither code, of modules imported early or late, nor what they have read, nor what was put into them."""
    text = EDITED.replace("HEAVY", "heavy = True" if kind == "heavy" else "")
    helper = "from pathlib import Path\nWORD = 'x'\nTABLE = {}\nREAD = Path('read.txt').read_text()\n"
    helper += "class Rule:\n    word = ''\n    known = []\ndef replaced(): return ''\n"
    helper += "def all_of_it(): return Rule.word + Rule.known[0] + replaced()\n"
    (project.folder / "package").mkdir()

    def write(word: str, read: str) -> None:
        project.write(helper.replace("'x'", f"'{word}'"), "helper.py")
        project.write(f"def later(): return '{word}'\n", "late.py")
        project.write("", "package/__init__.py")
        project.write("from .words import word\n", "package/below.py")
        project.write(f"def word(): return '{word}'\n", "package/words.py")
        project.write(read, "read.txt")

    write("x", "r")
    project.write(text)
    started = project.start("run", "pipe.py", "--json")
    until(lambda: (project.folder / "running").exists() or started.ended, "the step to run")
    write("NEW", "NEW")
    project.write(text.replace("helper.WORD +", "'NEW' +"))
    (project.folder / "go").touch()
    assert project.values(started.wait(), "uses", "text") == ["xxxptrckl"]


SIGNALS = """
import signal, time
from potstill import Pipeline, Step


class Judge(Step):
    limit: int = 1

    def run(self):
        def late(number, frame):
            raise TimeoutError
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            time.sleep(60)
        except TimeoutError:
            return [{"limit": self.limit}]


pipeline = Pipeline("p", outputs={str(n): Judge(limit=n, name=str(n)) for n in (1, 2, 3)})
"""


def test_steps_side_by_side_may_take_signals(project: Project) -> None:
    project.write(SIGNALS)
    assert set(project.run("--jobs", "3").statuses().values()) == {"ran"}


POOL = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from potstill import Pipeline, Rows, Step
from potstill.steps import LoadRows


def double(number):
    return number * 2


class Pools(Step):
    rows: Rows
    how: str = "spawn"
    HEAVY

    def run(self, rows):
        context = multiprocessing.get_context(self.how)
        with context.Pool(1) as pool, ProcessPoolExecutor(1, mp_context=context) as executor:
            return [{"n": n + m} for n, m in zip(pool.map(double, rows["n"]), executor.map(double, rows["n"]))]


out = Pools(LoadRows([{"n": 1}, {"n": 2}]))
pipeline = Pipeline("p", outputs={"out": out})

if __name__ == "__main__":
    raise AssertionError("not under potstill run")
"""


@pytest.mark.parametrize(("how", "kind"), [("spawn", ""), ("forkserver", ""), ("spawn", "heavy = True")])
def test_processes_that_a_step_starts_find_the_functions_of_a_file_with_any_name(
    tmp_path: Path, how: str, kind: str
) -> None:
    folder = tmp_path / "a folder-with ümlauts.d"
    folder.mkdir()
    project = Project(folder)
    project.write(POOL.replace("HEAVY", kind), "my file-1.py")
    result = project.cli("run", "my file-1.py", "--json", "--set", f"out.how={how}")
    assert project.values(result, "out", "n") == [4, 8]


class Counts(Step):
    n: int = 0

    def run(self) -> Any:
        Counts.seen.append(self.n)
        return [{"n": self.n}]


Counts.seen = []  # type: ignore[attr-defined]


def test_a_debugger_may_keep_the_steps_in_its_process(tmp_path: Path) -> None:
    executor = Local(forks=False)
    Pipeline("p", outputs={"a": Counts()}).run(store=tmp_path, executor=executor, watcher=Silent())
    assert Counts.seen == [0]  # type: ignore[attr-defined]
    Pipeline("p", outputs={"a": Counts(n=1)}).run(store=tmp_path, watcher=Silent())
    assert Counts.seen == [0]  # type: ignore[attr-defined]
