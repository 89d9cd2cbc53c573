"""The data half of the main job through the engine: seeds to split, cached, extended and retried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

import fakes
from fakes import EchoTeacher
from potstill import Pipeline, RequestError
from potstill.steps import Decontaminate, Deduplicate, LoadSeeds, PseudoLabel, SelfInstruct, Split

SEEDS = ["turn on the light now", "close all of the blinds", "please lock the front door", "play some quiet jazz music"]


def pipeline(folder: Path, teacher: EchoTeacher, target: int = 60, **label: Any) -> Pipeline:
    path = folder / "seeds.jsonl"
    path.write_text("".join(json.dumps({"instruction": text}) + "\n" for text in SEEDS), encoding="utf-8")
    seeds = LoadSeeds(path)
    tasks = SelfInstruct(seeds, teacher=teacher, target=target, prompts_per_round=4)
    clean = Decontaminate(Deduplicate(tasks), against=seeds)
    labels = PseudoLabel(clean, teacher=teacher, top_k=4, **label)
    data = Split(labels, test=0.3)
    return Pipeline("data", outputs={"train": data.train, "test": data.test})


def rows(run: Any, output: str) -> list[dict[str, Any]]:
    files = sorted(Path(run[output].path).rglob(f"{output}/*.parquet"))
    assert files
    return Dataset.from_parquet([str(file) for file in files]).to_list()


def test_seeds_become_a_split_and_more_rows_cost_only_what_is_new(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    teacher = EchoTeacher(lines=8, log=log)
    run = pipeline(tmp_path, teacher).run(store=tmp_path / "store")
    train, test = rows(run, "train"), rows(run, "test")
    assert len(train) + len(test) == 60
    assert not {row["id"] for row in train} & {row["id"] for row in test}
    assert {"output", "finish_reason", "teacher_top_ids", "round"} <= train[0].keys()
    asked = len(fakes.calls(log))
    pipeline(tmp_path, teacher).run(store=tmp_path / "store")
    assert len(fakes.calls(log)) == asked
    more = pipeline(tmp_path, teacher, target=90).run(store=tmp_path / "store")
    assert {row["id"] for row in test} <= {row["id"] for row in rows(more, "test")}
    assert len(set(fakes.calls(log))) == len(fakes.calls(log))


def test_everything_that_is_wrong_is_said_before_anything_runs(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    wrong = pipeline(tmp_path, EchoTeacher(log=log), temperature=0.7)
    (tmp_path / "seeds.jsonl").write_text('{"instruction": "fine"}\n{"text": "x"}\n', encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        wrong.run(store=tmp_path / "store")
    said = str(caught.value)
    assert "line 2: no field 'instruction'" in said
    assert "temperature" in said
    assert not fakes.calls(log)


def test_a_template_that_wants_a_column_which_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="needs column question"):
        pipeline(tmp_path, EchoTeacher(), prompt="{{ question }}").run(store=tmp_path / "store")
