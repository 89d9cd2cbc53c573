"""A student that learns from its own mistakes: it writes, the teacher scores each token, and it is corrected.

Instructions -> the teacher's answers -> a student of them -> trained on its own texts (GKD, Agarwal et al. 2024) ->
report. Minutes on a CPU with the models that are shipped.
"""

from pathlib import Path

from potstill import Pipeline, Transformers  # real: from potstill import VLLM, Pipeline, Transformers
from potstill.data import home  # real:
from potstill.steps import Decontaminate, Evaluate, EvaluateAgreement, LoadJSON, PseudoLabel, Report
from potstill.trainers import HardLabel, OnPolicy

HERE = Path(__file__).parent

# Instructions to learn from: JSON Lines with `instruction`
DATA = HERE / "instructions.jsonl"
# Instructions with the right answers: JSON Lines with `instruction` and `output`
TEST = HERE / "instructions_test.jsonl"
# How models are asked: a template, where {{ instruction }} is the instruction
PROMPT = "home.jinja"  # real: "answer.jinja"
# The teacher, a chat model: folder or Hub id
TEACHER = str(home.FOLDER / "teacher")  # real: "Qwen/Qwen3-4B"
# The student, of the teacher's vocabulary: folder or Hub id
STUDENT = str(home.FOLDER / "base")  # real: "Qwen/Qwen3-0.6B"

test = LoadJSON(TEST)
rows = Decontaminate(LoadJSON(DATA), against=[test])
teacher = Transformers(TEACHER)  # real: VLLM(TEACHER)
answers = PseudoLabel(rows, teacher=teacher, prompt=PROMPT, max_tokens=128, max_failed=0.05)

# first the teacher's texts, so that what the student writes is worth a score
start = HardLabel(
    answers,
    student=STUDENT,
    prompt=PROMPT,
    epochs=6,  # real: 1
    batch_size=8,
    learning_rate=3e-3,  # real: 2e-5
)
student = OnPolicy(
    answers,
    student=start,
    teacher=TEACHER,
    prompt=PROMPT,
    epochs=1,
    batch_size=16,
    learning_rate=3e-4,  # real: 1e-5
    max_tokens=64,  # real: 256
)

models = {"teacher": teacher, "start": Transformers(start), "on policy": Transformers(student)}
scores = {name: Evaluate(model, test, prompt=PROMPT, max_tokens=128) for name, model in models.items()}
agreement = EvaluateAgreement(Transformers(student), test, teacher=Transformers(TEACHER), prompt=PROMPT)
report = Report({**scores, "agreement": agreement}, title="A student on its own texts")

pipeline = Pipeline("on-policy", outputs={"report": report, "model": student})
