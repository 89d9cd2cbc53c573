"""A student that prefers the better of its answers: it writes several, a judge grades them, and it learns from pairs.

Instructions -> the teacher's answers -> a student of them -> its own answers, drawn -> grades -> pairs of best and
worst -> DPO (Rafailov et al. 2023) -> report. Minutes on a CPU with the models that are shipped.
"""

from pathlib import Path

from potstill import Pipeline, Transformers  # real: from potstill import VLLM, Pipeline, Transformers
from potstill.data import home  # real:
from potstill.steps import (
    Decontaminate,
    Evaluate,
    LoadJSON,
    PairsFromScores,
    Prompt,
    PseudoLabel,
    Report,
    ScoreText,  # real: RankWithPrompt,
)
from potstill.trainers import HardLabel, Preference

HERE = Path(__file__).parent

# Instructions to learn from: JSON Lines with `instruction`
DATA = HERE / "instructions.jsonl"
# Instructions with the right answers: JSON Lines with `instruction` and `output`
TEST = HERE / "instructions_test.jsonl"
# How models are asked: a template, where {{ instruction }} is the instruction
PROMPT = "home.jinja"  # real: "answer.jinja"
# The teacher and judge, a chat model: folder or Hub id
TEACHER = str(home.FOLDER / "teacher")  # real: "Qwen/Qwen3-8B"
# The student: folder or Hub id
STUDENT = str(home.FOLDER / "base")  # real: "Qwen/Qwen3-0.6B"
# What a good answer is like, for a judge (the shipped teacher is none: it says how probable it finds an answer)
GOOD = "The answer is right, complete and to the point."

test = LoadJSON(TEST)
rows = Decontaminate(LoadJSON(DATA), against=[test])
teacher = Transformers(TEACHER)  # real: VLLM(TEACHER)
answers = PseudoLabel(rows, teacher=teacher, prompt=PROMPT, max_tokens=128, max_failed=0.05)
start = HardLabel(
    answers,
    student=STUDENT,
    prompt=PROMPT,
    epochs=4,  # real: 2
    batch_size=8,
    learning_rate=3e-3,  # real: 2e-5
)

# four answers of the student's own to each instruction, graded; the best and the worst are a pair
own = Prompt(rows, teacher=Transformers(start), prompt=PROMPT, n=4, temperature=1.0, max_tokens=128, max_failed=0.1)
graded = ScoreText(own, teacher=teacher, prompt=PROMPT)  # real: RankWithPrompt(own, teacher=teacher, criterion=GOOD)
pairs = PairsFromScores(graded, score="logprob")  # real: PairsFromScores(graded)
student = Preference(
    pairs,
    student=start,
    prompt=PROMPT,
    epochs=1,
    batch_size=16,
    learning_rate=1e-4,  # real: 1e-6
)

models = {"teacher": teacher, "start": Transformers(start), "preferred": Transformers(student)}
scores = {name: Evaluate(model, test, prompt=PROMPT, max_tokens=128) for name, model in models.items()}
report = Report(scores, title="A student by preferences")

pipeline = Pipeline("preferences", outputs={"report": report, "model": student})
