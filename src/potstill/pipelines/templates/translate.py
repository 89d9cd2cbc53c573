"""A translator: a teacher writes the best translation that its beam search finds, and a small model learns it.

Sentences -> beam search (sequence-level distillation, Kim and Rush 2016) -> student -> 8 bits -> BLEU and chrF ->
report. The shipped teacher translates commands into actions; minutes on a CPU.
"""

from pathlib import Path

from potstill import Pipeline
from potstill.data import home  # real:
from potstill.steps import Decode, Decontaminate, EvaluateTranslation, LoadJSON, QuantizeInt8, Report
from potstill.trainers import HardLabel

HERE = Path(__file__).parent

# Sentences to learn from: JSON Lines with `instruction`
DATA = HERE / "instructions.jsonl"
# Sentences with their translations: JSON Lines with `instruction` and `output`
TEST = HERE / "instructions_test.jsonl"
# How models are asked: a template, where {{ instruction }} is the sentence
PROMPT = "home.jinja"  # real: "answer.jinja"
# The teacher, a model that transformers runs: folder or Hub id
TEACHER = str(home.FOLDER / "teacher")  # real: "Helsinki-NLP/opus-mt-en-de"
# The student: folder or Hub id
STUDENT = str(home.FOLDER / "base")  # real: "google-t5/t5-small"

test = LoadJSON(TEST)
rows = Decontaminate(LoadJSON(DATA), against=[test])
translations = Decode(rows, model=TEACHER, method="beam", beams=5, prompt=PROMPT, max_failed=0.05)
student = HardLabel(
    translations,
    student=STUDENT,
    prompt=PROMPT,
    epochs=6,  # real: 3
    batch_size=8,
    learning_rate=3e-3,  # real: 2e-4
)
int8 = QuantizeInt8(student, calibration=translations, prompt=PROMPT)

models = {"teacher": TEACHER, "student": student, "int8": int8}
scores = {name: EvaluateTranslation(model, test, prompt=PROMPT) for name, model in models.items()}
report = Report(scores, title="A translator, distilled", reference="teacher")

pipeline = Pipeline("translate", outputs={"report": report, "model": int8})
