"""A classifier: a teacher labels texts that nobody has labelled, and a small encoder learns its probabilities.

Texts -> the teacher's labels with probabilities -> encoder -> 8 bits for ONNX Runtime -> report. Minutes on a CPU with
the models that are shipped and MiniLM.
"""

from pathlib import Path

from potstill import Pipeline, Transformers  # real: from potstill import VLLM, Pipeline
from potstill.data import home  # real:
from potstill.steps import (
    ClassifyWithTeacher,
    Decontaminate,
    EvaluateClassifier,
    EvaluateLabels,
    ExportEncoder,
    LeakCheck,
    LoadJSON,
    Rename,
    Report,
)
from potstill.trainers import Classifier

HERE = Path(__file__).parent

# Texts to learn from: JSON Lines with `text`
DATA = HERE / "texts.jsonl"
# Texts that people have labelled: JSON Lines with `text` and `label`
TEST = HERE / "texts_test.jsonl"
# What the teacher is asked of each text
QUESTION = "Which device is meant?"
# The labels
LABELS = ("alarm", "blinds", "coffee maker", "fan", "light", "lock", "none", "oven", "speaker", "thermostat", "tv")
# The teacher, a chat model: folder or Hub id
TEACHER = str(home.FOLDER / "base")  # real: "Qwen/Qwen3-8B"
# The student, an encoder: folder or Hub id
STUDENT = "sentence-transformers/all-MiniLM-L6-v2"

texts = LoadJSON(DATA)
test = LoadJSON(TEST)

# the teacher's probability of each label, given the question
prompt = f"{{% block system %}}{QUESTION}{{% endblock %}}{{% block user %}}{{{{ instruction }}}}{{% endblock %}}"
teacher = Transformers(TEACHER)  # real: VLLM(TEACHER)
labels = ClassifyWithTeacher(
    Decontaminate(texts, against=[test], column="text"), teacher=teacher, text="text", prompt=prompt, classes=LABELS
)

# the student learns labels and probabilities; 8 bits for ONNX Runtime, checked in a fresh process
student = Classifier(labels, student=STUDENT, epochs=5, batch_size=16, learning_rate=3e-4, alpha=0.5)
export = ExportEncoder(student, precision="int8", probe=labels)

# the teacher, the student and what is deployed, on what people have labelled
asked = ClassifyWithTeacher(
    Rename(test, {"label": "gold"}), teacher=teacher, text="text", prompt=prompt, classes=LABELS
)
scores = {name: EvaluateClassifier(model, test) for name, model in {"student": student, "int8": export}.items()}
leaks = LeakCheck(labels, test, column="text")
report = Report({"teacher": EvaluateLabels(asked), **scores, "leaks": leaks}, title="A classifier, distilled")

pipeline = Pipeline("classifier", outputs={"report": report, "model": export})
