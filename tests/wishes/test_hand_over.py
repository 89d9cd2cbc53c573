"""What a run made lies in the folder of the wish, whole, beside what the user laid there; the budget is held to it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from potstill.wishes.budget import Budget
from potstill.wishes.hand_over import hand_over
from potstill.wishes.start import Words, project_of

SERVE = "# Serving\n\n```sh\npip install onnxruntime\n```\n\n```python\nprint('served')\n```\n"
SCORES = {"accuracy": 0.9, "n": 10}


@pytest.fixture
def run(tmp_path):
    """Return what stands for a run: a model of a million bytes and a report, in a store."""
    places = {name: tmp_path / "store" / name for name in ("model", "report")}
    for place in places.values():
        place.mkdir(parents=True)
        (place / "manifest.json").write_text("{}")
    (places["model"] / "model.onnx").write_bytes(b"0" * 1_000_000)
    (places["model"] / "SERVE.md").write_text(SERVE)
    (places["model"] / "SHA256SUMS").write_text("")
    models = [{"model": "model", "sets": {"examples": SCORES}, "rows_per_s": 100.0}, {"model": "leaks"}]
    (places["report"] / "metrics.json").write_text(json.dumps({"models": models}))
    return {name: SimpleNamespace(path=place) for name, place in places.items()}


def handed(tmp_path, run, budget=""):
    words = Words("Classify mails as a or b", "http://127.0.0.1:9/v1,x", folder=str(tmp_path / "made"))
    project = project_of(words)
    project.write()
    limited = type(project)(**{**vars(project), "budget": Budget(**budget) if budget else Budget()})
    return tmp_path / "made" / "result", hand_over(limited, run)


def test_model_report_and_scripts_are_there_without_what_is_the_stores(tmp_path, run):
    result, said = handed(tmp_path, run)
    assert sorted(path.name for path in result.iterdir()) == ["classify.py", "model", "report", "serve.py"]
    assert not list(result.rglob("manifest.json"))
    assert (result / "classify.py").read_text() == "print('served')\n"
    assert "model: 90.0% on examples (10 rows)" in said and "takes: 1.0 MB, 10.0 ms a text" in said


def test_a_later_result_takes_the_place_of_an_earlier_one_and_nothing_else(tmp_path, run):
    result, _ = handed(tmp_path, run)
    (result / "notes.txt").write_text("mine")
    (result / "model" / "model.onnx").write_bytes(b"old")
    handed(tmp_path, run)
    assert (result / "notes.txt").read_text() == "mine"
    assert (result / "model" / "model.onnx").stat().st_size == 1_000_000
    assert not (tmp_path / "made" / ".result").exists()


@pytest.mark.parametrize(
    ("budget", "over"),
    [
        ({"size": 2e6, "milliseconds": 20}, []),
        ({"size": 5e5}, ["over the budget of 0.5 MB"]),
        ({"size": 5e5, "milliseconds": 5}, ["over the budget of 0.5 MB", "over the budget of 5 ms"]),
    ],
)
def test_a_budget_that_is_not_held_is_said(tmp_path, run, budget, over):
    _, said = handed(tmp_path, run, budget)
    assert [line.partition(":")[0] for line in said.splitlines() if line.startswith("over")] == over
