"""Leaks are counted by test set and training row, with examples, and every test row is kept with where it was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

import running
from fakes import context_in
from potstill import BadInput
from potstill.steps import LeakCheck, LoadRows
from potstill.steps.evaluation import leak_check

LONG = "the quick brown fox jumps over the lazy dog while seven small birds sing a song"
TRAIN = [
    {"id": "same", "instruction": "Turn on the LAMP in the hall!"},
    {
        "id": "part",
        "instruction": f"{'please read this with care and then answer ' * 2}: {LONG}. Thank you very much indeed.",
    },
    {"id": "near", "instruction": "write a short story about a brave old dog and a shy cat"},
    {"id": "none", "instruction": None},
    {"id": "other", "instruction": "what is the capital of France"},
]
EASY = [
    {"id": "1", "instruction": "turn on the lamp in the hall"},
    {"id": "2", "instruction": "close the door"},
    {"id": "3", "instruction": ""},
]
HARD = [
    {"id": "4", "instruction": LONG},
    {"id": "5", "instruction": "write a short story about a brave old dog and a shy bird"},
]
SOURCE = LoadRows([{"instruction": "x"}])


def figures(folder: Path, step: LeakCheck, train: list[Any], test: Any, encoder: Any = None) -> dict[str, Any]:
    sets = {name: Dataset.from_list(rows) for name, rows in test.items()}
    actual = step.run(Dataset.from_list(train), sets, encoder, context_in(folder))
    return dict(actual["leaks"])


def test_each_way_is_counted(tmp_path: Path) -> None:
    actual = figures(tmp_path, LeakCheck(SOURCE, SOURCE), TRAIN, {"easy": EASY, "hard": HARD})
    assert actual["checked"] == ["exact", "ngram", "near"]
    assert actual["train"] == {"rows": 5, "exact": 1, "ngram": 1, "near": 2, "any": 3}
    easy, hard = actual["sets"]["easy"], actual["sets"]["hard"]
    assert easy["exact"] == easy["near"] == easy["any"] == {"rows": 1, "share": 1 / 3}
    assert easy["ngram"]["rows"] == 0
    assert [hard[way]["rows"] for way in ("exact", "ngram", "near", "any")] == [0, 1, 1, 2]
    assert [(one["test"], one["train"]) for one in hard["examples"]] == [("4", "part"), ("5", "near")]
    first = hard["examples"][0]
    assert first["shared"] in LONG and first["train_text"] == TRAIN[1]["instruction"]
    assert 0.7 <= hard["examples"][1]["similarity"] < 1
    rows = {row["id"]: row for row in pq.read_table(next(tmp_path.rglob("rows.parquet"))).to_pylist()}
    assert [rows[name]["exact"] for name in "12345"] == ["same", None, None, None, None]
    assert (rows["4"]["set"], rows["4"]["ngram"], rows["5"]["near"]) == ("hard", "part", "near")


def test_few_examples_and_none_without_leaks(tmp_path: Path) -> None:
    same = [{"instruction": f"sentence number {number}"} for number in range(50)]
    actual = figures(tmp_path, LeakCheck(SOURCE, SOURCE, examples=3), same, {"test": same[::-1]})
    assert actual["sets"]["test"]["exact"] == {"rows": 50, "share": 1.0}
    assert [(one["test"], one["train"]) for one in actual["sets"]["test"]["examples"]] == [
        ("0", "49"),
        ("1", "48"),
        ("2", "47"),
    ]
    actual = figures(tmp_path, LeakCheck(SOURCE, SOURCE), TRAIN, {"test": EASY[1:]})
    assert actual["sets"]["test"]["any"] == {"rows": 0, "share": 0.0}
    assert actual["sets"]["test"]["examples"] == []


class Letters:
    """Counts letters, in blocks of two."""

    def __init__(self, *_: Any) -> None:
        pass

    def chunks(self, texts: Any) -> Any:
        every = list(texts)
        for start in range(0, len(every), 2):
            counts = [
                [text.count(letter) + 0.0 for letter in "abcdefghij"] + [0.01] for text in every[start : start + 2]
            ]
            block = np.array(counts, np.float32)
            yield block / np.linalg.norm(block, axis=1, keepdims=True)

    def matrix(self, texts: Any) -> Any:
        return np.concatenate(list(self.chunks(texts)))


def test_meanings_are_compared_with_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leak_check, "Encoder", Letters)
    train = [{"id": name, "instruction": text} for name, text in (("a", "abc"), ("b", ""), ("c", "jjj"), ("d", "aabb"))]
    test = [{"id": name, "instruction": text} for name, text in (("x", "b a"), ("y", "g"), ("z", ""), ("w", "j i"))]
    step = LeakCheck(SOURCE, SOURCE, encoder="folder", cosine=0.8)
    actual = figures(tmp_path, step, train, {"test": test}, "folder")
    assert actual["train"]["meaning"] == 2
    assert actual["sets"]["test"]["meaning"] == {"rows": 1, "share": 0.25}
    (example,) = actual["sets"]["test"]["examples"]
    assert (example["test"], example["train"], example["meaning"]) == ("x", "d", "d")
    assert example["cosine"] == pytest.approx(1.0, abs=1e-3)


def test_an_empty_test_set_is_refused(tmp_path: Path) -> None:
    empty = Dataset.from_dict({"instruction": []})
    with pytest.raises(BadInput, match="no rows in easy"):
        LeakCheck(SOURCE, SOURCE).run(Dataset.from_list(TRAIN), {"easy": empty}, None, context_in(tmp_path))
    assert any("holds no step" in problem for problem in running.problems_of(LeakCheck(SOURCE, {})))
    assert any("output" in problem for problem in running.problems_of(LeakCheck(SOURCE, SOURCE, column="output")))
