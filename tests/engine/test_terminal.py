"""What comes from data and names can't act on the terminal, and no reader or encoding fails what was done."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from potstill.engine.terminal import PlainStream, plain, say
from projects import Project

ACTING = "\x1b]0;title\x07 \x1b[2J \r \x9b31m \u202e \u2066 \x00 \x7f \u2028 \ud83d"


def test_characters_that_act_are_written_out_and_others_stay() -> None:
    text = plain(f"{ACTING} ümlaut 中文 😀 tab\t line\n")
    assert text.startswith(r"\x1b]0;title\x07 \x1b[2J \r \x9b31m \u202e \u2066 \x00 \x7f \u2028 \ud83d")
    assert text.endswith(" ümlaut 中文 😀 tab\t line\n")


def test_what_a_stream_can_not_write_is_written_out() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    say("ümlaut", stream)
    assert stream.buffer.getvalue() == b"\\xfcmlaut\n"  # type: ignore[attr-defined]


def test_what_a_step_prints_colours_a_terminal_and_does_nothing_else() -> None:
    stream = PlainStream(io.BytesIO(), encoding="utf-8", write_through=True)
    print(f"{ACTING[:-1]}\x1b[1;31mred\x1b[0m 10%\r20%", file=stream)
    shown = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert shown.startswith(r"\x1b]0;title\x07 \x1b[2J ")
    assert shown.endswith("\x1b[1;31mred\x1b[0m 10%\r20%\n")


PIPELINE = f"""
from potstill import Pipeline, Step

BAD = {ACTING[:-1]!r}


class Make(Step):
    how: str = "well"

    def run(self, context):
        context.logger.info(BAD)
        if self.how == "badly":
            raise ValueError(BAD)
        return [{{"n": 1}}]


made = Make(name="named " + BAD)
pipeline = Pipeline("p " + BAD, outputs={{"made": made}})
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    result = Project(tmp_path)
    result.write(PIPELINE)
    return result


def test_no_command_lets_names_and_errors_reach_the_terminal(project: Project) -> None:
    key = project.run().json["steps"][0]["key"]
    commands = [["run", "pipe.py"], ["plan", "pipe.py"], ["ls"], ["show", key], ["log", key], ["gc", "--dry-run"]]
    commands.append(["run", "pipe.py", "--set", f"named {ACTING[:-1]}.how=badly"])
    for command in commands:
        result = project.start(*command).wait()
        assert r"\x1b" in result.out + result.err or command[0] in ("gc", "ls")
        assert not set("\x1b\x07\x9b\u202e\u2066\x7f\u2028") & set(result.out + result.err), command


def test_a_terminal_that_knows_ascii_only_fails_no_finished_run(project: Project) -> None:
    project.write(PIPELINE.replace('outputs={"made"', 'outputs={"fertig für 中"'))
    done = subprocess.run(
        [sys.executable, "-m", "potstill", "run", "pipe.py"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert r"fertig f\xfcr \u4e2d: " in done.stdout


def test_a_reader_that_leaves_gets_no_traceback(project: Project) -> None:
    project.run()
    command = f"{sys.executable} -m potstill show {{}} | true; {sys.executable} -m potstill ls | head -c 1"
    key = project.run().json["steps"][0]["key"]
    done = subprocess.run(
        command.format(key), shell=True, cwd=project.folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
