"""An extractor: a teacher reads fields out of texts as JSON, and a small model learns to.

Texts -> the teacher's JSON with soft labels, checked -> student -> 4 bits -> fields measured -> report. Minutes on a
CPU with the models that are shipped.
"""

from pathlib import Path

from potstill import Pipeline, Transformers  # real: from potstill import VLLM, Pipeline, Transformers
from potstill.data import home  # real:
from potstill.metrics import ExactMatch, JSONFields
from potstill.steps import Decontaminate, Evaluate, LoadJSON, PseudoLabel, QuantizeInt4, Report, ValidJSON
from potstill.trainers import SoftLabel

HERE = Path(__file__).parent

# Texts to learn from: JSON Lines with `instruction`
DATA = HERE / "instructions.jsonl"
# Texts with the right fields: JSON Lines with `instruction` and `output`, a JSON object
TEST = HERE / "instructions_test.jsonl"
# The fields
FIELDS = ("device", "room", "action", "value")
# What the teacher is asked: a template, where {{ instruction }} is the text
PROMPT = "home.jinja"  # real: "{% block user %}JSON with the fields of: {{ instruction }}{% endblock %}"
# The teacher, a chat model: folder or Hub id
TEACHER = str(home.FOLDER / "teacher")  # real: "Qwen/Qwen3-8B"
# The student, of the teacher's vocabulary: folder or Hub id
STUDENT = str(home.FOLDER / "base")  # real: "Qwen/Qwen3-0.6B"

texts = LoadJSON(DATA)
test = LoadJSON(TEST)

# one pass of the teacher gives text and distributions; what is no JSON, or lacks a field, is left out
teacher = Transformers(TEACHER)  # real: VLLM(TEACHER)
answers = PseudoLabel(
    Decontaminate(texts, against=[test]), teacher=teacher, prompt=PROMPT, top_k=16, max_tokens=128, max_failed=0.05
)
labels = ValidJSON(answers, keys=FIELDS)

student = SoftLabel(
    labels,
    student=STUDENT,
    teacher=teacher,
    prompt=PROMPT,
    epochs=6,  # real: 3
    batch_size=8,
    learning_rate=3e-3,  # real: 2e-5
)
int4 = QuantizeInt4(student, calibration=labels, prompt=PROMPT)

models = {"teacher": teacher, "student": Transformers(student), "int4": Transformers(int4)}
measures = [ExactMatch(), JSONFields(FIELDS)]
scores = {
    name: Evaluate(model, test, prompt=PROMPT, max_tokens=128, measures=measures) for name, model in models.items()
}
report = Report(scores, title="An extractor, distilled")

pipeline = Pipeline("extractor", outputs={"report": report, "model": int4})
