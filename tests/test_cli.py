"""What users and scripts rely on: exit codes, the JSON line, and messages that say what to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from projects import Project, is_running, marked, until

PIPELINE = """
import time
from pathlib import Path

from potstill import BadInput, Pipeline, Rows, Step


class Make(Step):
    makes = "rows"
    n: int = 3

    def columns(self, inputs):
        return frozenset({"n"})

    def run(self):
        return ({"n": number} for number in range(self.n))


class Use(Step):
    rows: Rows
    how: str = "well"
    want: str = "n"

    def needs(self):
        return {"rows": [self.want]}

    def run(self, rows, context):
        context.logger.info("a line in the log")
        if self.how == "badly":
            raise ValueError("it broke")
        if self.how == "wrongly":
            raise BadInput("row 3 has no text")
        if self.how == "slowly":
            Path("running").touch()
            time.sleep(1000)
        return rows


class Heavy(Use):
    heavy = True


made = Make()
used = Use(made)
heavy = Heavy(made)
pipeline = Pipeline("cli", outputs={"used": used, "made": made})
both = pipeline
"""

SEEDS = """
from potstill import Pipeline
from potstill.steps import LoadSeeds

seeds = LoadSeeds("seeds.jsonl")
pipeline = Pipeline("seeds", outputs={"seeds": seeds})
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    result = Project(tmp_path)
    result.write(PIPELINE)
    return result


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    script = (
        "import sys, time; begun = time.process_time(); from potstill.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('SECONDS', time.process_time() - begun); print('MODULES', *sys.modules)"
    )
    best = 9.0
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        modules = set(done.stdout.split("MODULES")[1].split())
        best = min(best, float(done.stdout.split("SECONDS")[1].split()[0]))
        assert not modules & {
            "torch",
            "datasets",
            "pyarrow",
            "transformers",
            "vllm",
            "pandas",
            "numpy",
            "rich",
            "jinja2",
        }
    assert best < 0.25  # of the processor, so that a busy machine does not count; Python itself takes 0.02
    assert "run a pipeline" in done.stdout


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).with_name("potstill")
    assert "COMMAND" in subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout
    done = subprocess.run([sys.executable, "-m", "potstill", "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2


def test_the_json_line_of_a_run(project: Project) -> None:
    actual = project.run().json
    assert list(actual) == ["pipeline", "status", "store", "steps", "outputs"]
    assert (actual["pipeline"], actual["status"], actual["store"]) == ("cli", "done", str(project.store))
    for step in actual["steps"]:
        assert list(step) == ["name", "type", "key", "status", "seconds", "rows", "path", "error"]
        assert (step["status"], step["rows"], step["error"]) == ("ran", 3, None)
        assert Path(step["path"]) == project.store / "artifacts" / step["key"]
        assert (Path(step["path"]) / "manifest.json").is_file()
    used = actual["steps"][1]
    assert actual["outputs"] == {
        "used": {"path": used["path"], "key": used["key"]},
        "made": {"path": actual["steps"][0]["path"], "key": actual["steps"][0]["key"]},
    }


def test_a_failed_step_is_exit_code_1_and_its_log_can_be_read(project: Project) -> None:
    project.edit(
        'outputs={"used": used, "made": made}', 'outputs={"after": Use(used, how="on", name="after"), "made": made}'
    )
    result = project.run("--set", "used.how=badly", code=1)
    assert result.json["status"] == "failed"
    assert result.statuses() == {"made": "ran", "used": "failed", "after": "skipped"}
    assert result.step("used")["error"] == "ValueError: it broke"
    assert result.step("after")["error"] == "not run: used failed"
    assert result.json["outputs"]["after"]["path"] is None
    assert f"potstill log {result.step('used')['key']}" in result.err
    log = project.cli("log", result.step("used")["key"][:12]).out
    assert "a line in the log" in log
    assert 'raise ValueError("it broke")' in log
    assert project.run().statuses() == {"made": "hit", "used": "ran", "after": "ran"}


def test_a_step_that_refuses_its_input_is_exit_code_2(project: Project) -> None:
    result = project.run("--set", "used.how=wrongly", code=2)
    assert "row 3 has no text" in result.step("used")["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.py"], "no pipeline file nowhere.py"),
        (["run", "pipe.py:nothing"], "no pipeline 'nothing'"),
        (["run", "pipe.py", "--set", "usd.how=x"], "the nearest is used.how"),
        (["run", "pipe.py", "--only", "none"], "no output 'none'; it has used, made"),
        (["run", "pipe.py", "--executor", "ray"], "not built yet"),
        (["run", "pipe.py", "--set", "made.n=x"], "made.n: must be int, got 'x'"),
        (
            ["run", "pipe.py", "--set", "used.want=text"],
            "used.rows: needs column text, which made does not make (it has n)",
        ),
        (["plan", "pipe.py", "--set", "made.n=x"], "must be int"),
        (["show", "abc"], "no artifact"),
        (["log", "abc"], "no artifact"),
    ],
)
def test_a_wrong_request_is_exit_code_2_and_runs_nothing(project: Project, arguments: list[str], message: str) -> None:
    result = project.cli(*arguments, "--json", code=2)
    assert message in result.err
    assert result.json["status"] == "invalid"
    assert {"pipeline", "status", "store", "steps", "outputs"} <= result.json.keys()
    assert any(message in problem for problem in result.json["problems"])
    assert not project.store.exists()


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "pipe.py", "--jobs", "0"], ["nonsense"], ["run", "pipe.py", "--x"]]
)
def test_wrong_arguments_are_exit_code_2(project: Project, arguments: list[str]) -> None:
    assert "usage: potstill" in project.cli(*arguments, code=2).err


def test_all_problems_are_printed(project: Project) -> None:
    assert project.cli("run", "pipe.py", "--set", "made.n=x", "--set", "usd.want=n", code=2).err.count("error: ") == 2


@pytest.mark.parametrize("content", [None, "", "{", '{"id": 1}\n', '{"instruction": "x"}\n{"instruction": 5}\n'])
def test_a_bad_seed_file_is_exit_code_2_with_the_line(project: Project, content: str | None) -> None:
    project.write(SEEDS)
    if content is not None:
        project.write(content, "seeds.jsonl")
    result = project.run(code=2)
    assert "seeds.path: " in result.err
    assert "seeds.jsonl" in result.err
    if content:
        assert f"line {content.count(chr(10)) or 1}" in result.err
    assert "Traceback" not in result.err
    assert not project.store.exists()


def test_a_teacher_that_is_no_model_is_exit_code_2(project: Project) -> None:
    project.rows(["q"])
    project.write(
        "from potstill import Pipeline\nfrom potstill.steps import LoadSeeds, PseudoLabel\n"
        'labels = PseudoLabel(LoadSeeds("seeds.jsonl"), teacher="./no/model")\n'
        'pipeline = Pipeline("labels", outputs={"labels": labels})\n'
    )
    assert "labels.teacher: no model at no/model: the folder does not exist" in project.run(code=2).err


def test_a_store_that_can_not_be_written_is_exit_code_2(project: Project) -> None:
    assert "choose another" in project.run("--store", "/proc/nowhere", code=2).err


def test_the_store_may_come_from_the_environment(project: Project) -> None:
    project.environment["POTSTILL_STORE"] = str(project.folder / "elsewhere")
    assert project.run().json["store"] == str(project.folder / "elsewhere")
    assert not project.store.exists()


def test_the_plan_names_reasons(project: Project) -> None:
    assert project.plan() == {"made": ["first run"], "used": ["first run", "input made will be made"]}
    project.run()
    result = project.cli("plan", "pipe.py", "--set", "made.n=4")
    assert "miss  made: parameter n changed from 3 to 4" in result.out
    assert "0 hits, 2 misses: about 0 teacher calls" in result.out
    planned = project.cli("plan", "pipe.py", "--json").json
    assert list(planned) == ["pipeline", "steps", "calls", "cached", "tokens", "dollars", "disk"]
    assert [step["status"] for step in planned["steps"]] == ["hit", "hit"]


def test_what_the_store_holds_can_be_listed_and_shown_with_its_lineage(project: Project) -> None:
    used = project.run().step("used")
    listed = project.cli("ls", "--json").json["artifacts"]
    assert {(entry["name"], entry["type"], entry["rows"], entry["status"]) for entry in listed} == {
        ("made", "Make", 3, "whole"),
        ("used", "Use", 3, "whole"),
    }
    assert used["key"] in project.cli("ls").out
    shown = project.cli("show", used["key"][:8], "--json").json
    assert [item["name"] for item in shown["lineage"]] == ["made"]
    assert "Make made" in project.cli("show", used["key"]).out
    assert "a line in the log" in project.cli("log", used["key"]).out


def test_gc_keeps_what_the_last_run_uses_and_deletes_the_rest(project: Project) -> None:
    kept = project.run().json
    other = project.run("--set", "made.n=9").json
    back = project.run().json  # all hits, and still the last run
    assert back["outputs"] == kept["outputs"]
    collected = project.cli("gc", "--json").json
    assert sorted(collected["removed"]) == sorted(step["key"] for step in other["steps"])
    assert collected["bytes"] > 0
    assert set(project.run().statuses().values()) == {"hit"}
    assert project.run("--set", "made.n=9").statuses() == {"made": "ran", "used": "ran"}


def test_gc_keeps_what_a_failed_or_killed_run_has_finished(project: Project) -> None:
    project.run("--set", "used.how=badly", code=1)
    assert project.cli("gc", "--json").json["removed"] == []
    assert project.run().statuses() == {"made": "hit", "used": "ran"}


def test_verify_finds_what_was_changed(project: Project) -> None:
    step = project.run().step("made")
    assert "2 artifacts checked, 0 damaged" in project.cli("verify").out
    part = Path(step["path"]) / "data" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    assert f"{step['key']}: data/part-00000.parquet was changed" in project.cli("verify", code=1).out


def test_commands_on_a_store_that_is_not_there_make_none(project: Project) -> None:
    for command in ("ls", "verify", "gc"):
        project.cli(command)
    assert not project.store.exists() or not list(project.store.iterdir())


@pytest.mark.parametrize("kind", ["used", "heavy"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupt_stops_everything_and_the_next_run_goes_on(project: Project, kind: str, number: int) -> None:
    mark = f"POTSTILL_TEST_{os.getpid()}_{time.monotonic_ns()}"
    project.environment[mark] = "1"
    project.edit('outputs={"used": used, "made": made}', f'outputs={{"end": {kind}}}')
    started = project.start("run", "pipe.py", "--json", "--set", f"{kind}.how=slowly")
    until(lambda: (project.folder / "running").exists() or started.ended, "the step to run")
    started.send(number)
    result = started.wait(60)
    assert result.code == 130, result.err
    assert "interrupted: everything that finished is kept" in result.err
    assert "Traceback" not in result.err
    assert list(result.json) == ["pipeline", "status", "store", "steps", "outputs"]
    assert (result.json["status"], result.statuses()) == ("interrupted", {"made": "ran", kind: "skipped"})
    until(lambda: not marked(mark), "the end of all processes", 30)
    assert not is_running(started.pid)
    assert project.run().statuses() == {"made": "hit", kind: "ran"}


def test_an_interrupt_stops_light_steps_in_threads_even_in_a_system_call(project: Project) -> None:
    project.edit(
        'outputs={"used": used, "made": made}',
        'outputs={"used": used, "made": made, "h": Use(made, want="n", name="h")}',
    )
    started = project.start("run", "pipe.py", "--jobs", "2", "--set", "used.how=slowly")
    until(lambda: (project.folder / "running").exists() or started.ended, "the step to run")
    started.send(signal.SIGINT)
    assert started.wait(60).code == 130


def test_a_killed_command_leaves_no_process_behind(project: Project) -> None:
    mark = f"POTSTILL_TEST_{os.getpid()}_{time.monotonic_ns()}"
    project.environment[mark] = "1"
    project.edit('outputs={"used": used, "made": made}', 'outputs={"end": heavy}')
    started = project.start("run", "pipe.py", "--set", "heavy.how=slowly")
    until(lambda: (project.folder / "running").exists() or started.ended, "the step to run")
    assert marked(mark)
    started.kill()
    until(lambda: not marked(mark), "the end of all processes", 30)


def test_a_reader_that_leaves_early_leaves_no_hanging_run(project: Project) -> None:
    command = [sys.executable, "-m", "potstill", "run", "pipe.py", "--json"]
    process = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stdout is not None
    process.stderr.close()
    try:
        process.wait(240)
    finally:
        process.kill()
        process.stdout.close()


def test_progress_is_plain_lines_where_no_terminal_is(project: Project) -> None:
    result = project.cli("run", "pipe.py")
    assert "[1/2] made: done in" in result.err
    assert "3 rows" in result.err
    assert "\x1b" not in result.err + result.out
    assert result.out.splitlines()[0].startswith("used: ")
    assert "[2/2] used: cached, 3 rows" in project.cli("run", "pipe.py").err


def test_two_files_may_hold_pipelines_of_one_name(project: Project) -> None:
    project.run()
    project.write(PIPELINE, "other.py")
    actual = json.loads(project.cli("run", "other.py", "--json").out.splitlines()[-1])
    assert actual["pipeline"] == "cli"


def test_the_version_names_what_computes(project: Project) -> None:
    lines = project.cli("--version").out.splitlines()
    assert [line.split()[0] for line in lines] == ["potstill", "Python", "torch", "transformers", "vLLM", "device"]
