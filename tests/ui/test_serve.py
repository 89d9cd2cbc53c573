"""The command serves this machine alone, prints the address, ends with Ctrl-C, and says what keeps it from starting."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from potstill.cli import main
from potstill.errors import MissingExtra, RequestError
from potstill.ui import serve
from potstill.web import binding


def test_the_command_prints_an_address_that_works_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "potstill", "ui", "--store", str(tmp_path), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        place, address, _ = (process.stdout.readline().strip() for _ in range(3))
        assert place == str(tmp_path)
        with httpx.Client(trust_env=False) as client:
            assert client.get(address.partition("?")[0]).status_code == 403
            assert client.get(address).status_code == 200
            assert "No run yet" in client.get(address.partition("?")[0]).text
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_only_this_machine_is_listened_to_at_the_next_free_port() -> None:
    with binding.bound(0) as first:
        address, port = first.getsockname()
        assert address == "127.0.0.1"
        with pytest.raises(RequestError, match=f"port {port} of 127.0.0.1 can't be served"), binding.bound(port):
            pass
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        place = other.getsockname()[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(binding, "PORT", place)
            with binding.bound(None) as second:
                assert place < second.getsockname()[1] < place + binding.TRIES


def test_a_missing_package_names_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    with pytest.raises(MissingExtra, match=r'needs the package uvicorn.*pip install "potstill\[ui\]"'):
        serve.serve(str(tmp_path), 0, browser=False)
    assert main(["ui", "--store", str(tmp_path), "--no-browser"]) == 2


def test_the_page_is_imported_only_by_its_command() -> None:
    code = "import sys, potstill.cli; potstill.cli._parser(); print([n for n in sys.modules if n.split('.')[0] in "
    code += "('starlette', 'uvicorn', 'duckdb', 'jinja2') or n.startswith('potstill.ui')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
