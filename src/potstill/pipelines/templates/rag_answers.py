"""Answers from documents: questions are asked about passages, a teacher answers them, and a small model learns to.

Passages -> questions about each -> the teacher's answers -> split by passage -> student -> 4 bits -> report. Minutes on
a CPU with the model that is shipped.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from potstill import Pipeline, Transformers  # real: from potstill import VLLM, Pipeline, Transformers
from potstill.data import home  # real:
from potstill.metrics import ExactMatch, TokenF1
from potstill.steps import (
    Evaluate,
    KeepLayers,  # real:
    LoadJSON,
    MapBatches,
    PseudoLabel,
    QuantizeInt4,
    Report,
    Split,
)
from potstill.trainers import SoftLabel

HERE = Path(__file__).parent

# The passages: JSON Lines with `text`
DATA = HERE / "texts.jsonl"
# What is asked of every passage
QUESTIONS = ("Which device is meant?", "Which room is meant?", "What is to be done?", "Which value is meant?")
# The teacher, a chat model: folder or Hub id
TEACHER = str(home.FOLDER / "base")  # real: "Qwen/Qwen3-8B"
# The student, of the teacher's vocabulary: folder or Hub id; or some layers of the teacher
STUDENT = KeepLayers(TEACHER)  # real: "Qwen/Qwen3-0.6B"

# how teacher and student are asked
PROMPT = "{% block system %}{{ instruction }}{% endblock %}{% block user %}{{ text }}{% endblock %}"


def asked(passages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Ask every question of every passage."""
    return ({**passage, "instruction": question} for passage in passages for question in QUESTIONS)


# for questions that a teacher writes itself: Prompt(passages, teacher=teacher, prompt=..., output="instruction", n=3)
passages = LoadJSON(DATA)
teacher = Transformers(TEACHER)  # real: VLLM(TEACHER)
questions = MapBatches(passages, lambda batch: list(asked(batch)))
answers = PseudoLabel(questions, teacher=teacher, prompt=PROMPT, top_k=16, max_tokens=128, max_failed=0.05)

# all questions of a passage lie on one side, so that no test passage was read while training
data = Split(answers, test=0.1, by="text")
student = SoftLabel(
    data.train,
    student=STUDENT,
    teacher=teacher,
    prompt=PROMPT,
    epochs=2,
    batch_size=16,
    learning_rate=1e-3,  # real: 2e-5
)
int4 = QuantizeInt4(student, calibration=data.train, prompt=PROMPT)

measures = [ExactMatch(), TokenF1()]
models = {"student": Transformers(student), "int4": Transformers(int4)}
scores = {
    name: Evaluate(model, data.test, prompt=PROMPT, max_tokens=128, measures=measures, cluster="text")
    for name, model in models.items()
}
report = Report(scores, title="Answers from documents")

pipeline = Pipeline("rag-answers", outputs={"report": report, "model": int4})
