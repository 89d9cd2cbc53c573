"""A small local server that speaks as much of the Hub's interface as a push needs, and keeps what it was given."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """What was pushed."""

    def __init__(self, token: str) -> None:
        """Take requests with `token`."""
        self.token = token
        self.repos: dict[str, dict[str, Any]] = {}
        """By `model:owner/name`: how it was made, its files, and its commits."""
        self.requests: list[str] = []
        self.stored: dict[str, bytes] = {}
        self.address = ""


class _Handler(BaseHTTPRequestHandler):
    """Answers for the hub of its server."""

    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._file()

    def do_GET(self) -> None:
        if self.path.startswith("/api/") and "/tree/" in self.path:
            if self._may():
                names = self.hub.repos[_repo(self.path)]["files"]
                self._answer([{"type": "file", "path": name, "size": 1, "oid": "e"} for name in names])
        else:
            self._file()

    def do_POST(self) -> None:
        body = self._body()
        if not self._may():
            return
        if self.path == "/api/repos/create":
            wish = json.loads(body)
            name = f"{wish.get('type', 'model')}:{wish.get('organization')}/{wish['name']}"
            exists = name in self.hub.repos
            self.hub.repos.setdefault(name, {"made": wish, "files": {}, "commits": []})
            self._answer({"url": self._place(name)}, 409 if exists else 200)
        elif self.path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            apart = (".safetensors", ".parquet")
            modes = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(apart) else "regular",
                    "shouldIgnore": False,
                }
                for one in files
            ]
            self._answer({"files": modes})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                {
                    **one,
                    "authenticated": True,
                    "actions": {"upload": {"href": f"{self.hub.address}/store/{one['oid']}", "header": {}}},
                }
                for one in json.loads(body)["objects"]
            ]
            self._answer({"transfer": "basic", "objects": objects})
        elif "/commit/" in self.path:
            self._commit(body)
        else:
            self._answer({"error": f"no {self.path}"}, 404)

    def do_PUT(self) -> None:
        body = self._body()
        digest = self.path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == digest
        self.hub.stored[digest] = body
        self._answer({})

    def _commit(self, body: bytes) -> None:
        repo = self.hub.repos[_repo(self.path)]
        for line in map(json.loads, body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "header":
                repo["commits"].append(value["summary"])
            elif line["key"] == "file":
                repo["files"][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del repo["files"][value["path"]]
            elif line["key"] == "lfsFile":
                repo["files"][value["path"]] = self.hub.stored[value["oid"]]
        answer = {"success": True, "commitOid": "c" * 40, "commitUrl": f"{self._place(_repo(self.path))}/commit/c"}
        self._answer(answer)

    def _place(self, repo: str) -> str:
        """Return the address of a repository."""
        kind, _, name = repo.partition(":")
        return f"{self.hub.address}/{'' if kind == 'model' else f'{kind}s/'}{name}"

    def _file(self) -> None:
        """Answer with a file, or that there is none."""
        if not self._may():
            return
        kind, path = ("dataset", self.path[10:]) if self.path.startswith("/datasets/") else ("model", self.path[1:])
        owner, name, _, _, file = path.split("/", 4) if path.count("/") >= 4 else ("", "", "", "", "")
        repo = self.hub.repos.get(f"{kind}:{owner}/{name}")
        if repo is None or file not in repo["files"]:
            self._answer({}, 404, {"X-Error-Code": "RepoNotFound" if repo is None else "EntryNotFound"})
            return
        self._send(repo["files"][file], 200, {"ETag": '"e"', "X-Repo-Commit": "c" * 40})

    def _may(self) -> bool:
        self.hub.requests.append(f"{self.command} {self.path}")
        if self.headers.get("Authorization") == f"Bearer {self.hub.token}":
            return True
        self._answer({"error": "Invalid username or password."}, 401)
        return False

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, value: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextlib.contextmanager
def serving(token: str = "hf_test") -> Iterator[Hub]:
    """Serve a hub on loopback."""
    hub = Hub(token)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _repo(path: str) -> str:
    """Return the repository in an address of the interface."""
    _, _, kind, owner, name, *_ = path.split("/")
    return f"{kind.removesuffix('s')}:{owner}/{name}"
