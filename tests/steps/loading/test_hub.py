"""Data sets of the Hub (a small one, served here) and of folders."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

import fakes
from potstill.steps.loading.hub import HubRevision, LoadFolder, LoadHub
from running import artifact_of, problems_of, rows_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "train.jsonl": b'{"text": "on"}\n{"text": "off"}\n',
    "test.jsonl": b'{"text": "stop"}\n',
    ".gitattributes": b"",
}
PROGRAM = """
import sys
from potstill import RequestError
from potstill.steps.loading.hub import LoadHub
from potstill.steps.rows.sort_sample import Take
from running import artifact_of
try:
    made = artifact_of(Take(LoadHub("me/tiny", split=sys.argv[2]), 9), __import__("pathlib").Path(sys.argv[1]))
    print([row["text"] for row in made.dataset()], made.key)
except RequestError as error:
    print("refused:", error)
"""


class Hub(BaseHTTPRequestHandler):
    """The part of the Hub's interface that reading a dataset takes."""

    def log_message(self, *arguments: object) -> None: ...

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send(json.dumps([entry for entry in self.entries() if entry["path"] in asked]).encode())

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = self.path.split("?")[0]
        if "/resolve/" in path and (name := path.rsplit("/", 1)[1]) in FILES:
            self.send(FILES[name], {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(FILES[name]).hexdigest()}"'})
        elif "/tree/" in path:
            self.send(json.dumps(self.entries()).encode())
        elif path.startswith("/api/datasets/me/tiny"):
            siblings = [{"rfilename": name} for name in FILES]
            self.send(json.dumps({"id": "me/tiny", "sha": COMMIT, "siblings": siblings, "tags": []}).encode())
        else:
            self.send(b"{}", {"X-Error-Code": "EntryNotFound" if "/resolve/" in path else "RepoNotFound"}, 404)

    def entries(self) -> list[dict]:
        return [
            {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for name, data in FILES.items()
        ]

    def send(self, data: bytes, headers: dict[str, str] | None = None, code: int = 200) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def load(folder: Path, hub: str, split: str = "train", *, offline: bool = False) -> str:
    environment = {
        "HF_HOME": str(folder / "hf"),
        "HF_ENDPOINT": hub,
        "HF_HUB_OFFLINE": str(int(offline)),
        "PATH": "",
        "HOME": str(folder),
        "PYTHONPATH": str(Path(fakes.__file__).parent),
    }
    command = [sys.executable, "-c", PROGRAM, str(folder / "store"), split]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.slow
def test_a_data_set_is_loaded_by_its_commit_and_then_found_offline(tmp_path: Path, hub: str) -> None:
    assert load(tmp_path, hub, offline=True).startswith("refused: LoadHub.source: the dataset 'me/tiny' can't be found")
    loaded = load(tmp_path, hub)
    assert loaded.startswith("['on', 'off']")
    assert load(tmp_path, "http://127.0.0.1:9", offline=True) == loaded
    assert load(tmp_path, hub, "test").startswith("['stop']")
    assert "the split 'dev' of 'me/tiny'" in load(tmp_path, hub, "dev")


def test_a_commit_is_taken_at_its_word() -> None:
    step = LoadHub("me/tiny", revision=COMMIT)
    assert step.source.identity() == {"dataset": "me/tiny", "commit": COMMIT}
    assert step.source == HubRevision("me/tiny", COMMIT)


def test_offline_without_a_copy_is_said_before_anything_runs() -> None:
    (problem,) = problems_of(LoadHub("me/nowhere-to-be-found"))
    assert "is not in the local cache" in problem
    assert "LoadFolder" in problem


def test_folders_with_and_without_splits(tmp_path: Path) -> None:
    rows, other = Dataset.from_dict({"n": [1, 2]}), Dataset.from_dict({"n": [3]})
    rows.save_to_disk(tmp_path / "one")
    DatasetDict({"train": rows, "test": other}).save_to_disk(tmp_path / "two")
    one = LoadFolder(tmp_path / "one")
    assert rows_of(one, tmp_path / "store") == [{"n": 1}, {"n": 2}]
    assert (one.columns({}), one.estimate({}).rows) == ({"n"}, 2)
    assert rows_of(LoadFolder(tmp_path / "two", split="test"), tmp_path / "store") == [{"n": 3}]
    assert "holds several splits: say split= one of test, train" in problems_of(LoadFolder(tmp_path / "two"))[0]
    assert "no split 'dev'" in problems_of(LoadFolder(tmp_path / "two", split="dev"))[0]
    assert "holds no splits" in problems_of(LoadFolder(tmp_path / "one", split="train"))[0]
    assert "has no state.json" in problems_of(LoadFolder(tmp_path / "store"))[0]


def test_a_folder_with_other_rows_is_another_key(tmp_path: Path) -> None:
    keys = []
    for number in (1, 2):
        Dataset.from_dict({"n": [number]}).save_to_disk(tmp_path / str(number))
        keys.append(artifact_of(LoadFolder(tmp_path / str(number)), tmp_path / "store").key)
    assert keys[0] != keys[1]
