"""The main job, small: the whole way from seeds to a served model, and everything cached the second time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from kernels import needs_int4
from potstill.data import home
from serving import served

SMALL = ["commands.target=150", "hard.epochs=1", "soft.epochs=1", "qlora.epochs=1", "data.test=0.2"]
SMALL += ["commands.prompts_per_round=32"]  # of 128 the teacher would write a thousand commands, for 150
TEST_ROWS = 30
"""Rows of each test set; seven models answer them."""


def demo(store: Path) -> dict:
    """Run `potstill demo` with small test sets and return what `--json` prints."""
    tests = {"grammar": "grammar_test", "handwritten": "handwritten"}
    for name, file in tests.items():
        lines = (home.FOLDER / f"{file}.jsonl").read_text().splitlines(keepends=True)
        store.with_name(f"{name}.jsonl").write_text("".join(lines[:TEST_ROWS]))
    paths = [f"{name}.path={store.with_name(f'{name}.jsonl')}" for name in tests]
    settings = [part for setting in SMALL + paths for part in ("--set", setting)]
    command = [sys.executable, "-m", "potstill", "demo", "--store", str(store), "--json", *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """One run of the demo from an empty store."""
    return demo(tmp_path_factory.mktemp("demo") / "store")


@pytest.mark.slow
@pytest.mark.vllm
def test_the_demo_runs_from_seeds_to_report(first):
    assert first["status"] == "done"
    assert {step["status"] for step in first["steps"]} == {"ran"}
    report = Path(first["outputs"]["report"]["path"])
    metrics = json.loads((report / "metrics.json").read_text())
    text = json.dumps(metrics)
    for name in ("teacher", "hard", "soft", "qlora", "sparse", "int8", "int4"):
        assert name in text
    assert (report / "index.html").stat().st_size > 10_000
    assert (report / "metrics.csv").read_text().count("\n") > 7


@pytest.mark.slow
@pytest.mark.vllm
def test_the_second_run_is_all_hits_and_quick(first):
    store = Path(first["store"])
    started = time.monotonic()
    again = demo(store)
    assert {step["status"] for step in again["steps"]} == {"hit"}
    assert again["outputs"] == first["outputs"]
    assert time.monotonic() - started < 30


@needs_int4
@pytest.mark.slow
@pytest.mark.vllm
def test_vllm_serves_the_deployable_model_and_it_answers(first, tmp_path):
    folder = Path(first["outputs"]["model"]["path"])
    for name in ("README.md", "config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"):
        assert (folder / name).is_file(), name
    with served(folder, "student", tmp_path / "serve.log") as url:
        question = {
            "model": "student",
            "max_tokens": 48,
            "temperature": 0,
            "messages": [{"role": "user", "content": "turn on the kitchen light"}],
        }
        answer = httpx.post(f"{url}/chat/completions", json=question, timeout=120).json()
    assert answer["choices"][0]["message"]["content"].strip()
