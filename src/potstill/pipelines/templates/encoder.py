"""A sentence encoder, made smaller: a student with half the layers learns the vectors that a larger encoder makes.

Texts -> the teacher's vectors -> student (Reimers and Gurevych 2020) -> 8 bits for ONNX Runtime -> sizes and report.
Minutes on a CPU with MiniLM as the teacher.
"""

from pathlib import Path

from potstill import Pipeline, Step
from potstill.steps import (
    Decontaminate,
    Embed,
    EvaluateLabels,
    ExportEncoder,
    KeepLayers,
    LeakCheck,
    LoadJSON,
    Map,
    Report,
    Retrieve,
    SizeTable,
)
from potstill.trainers import SentenceEncoder

HERE = Path(__file__).parent

# Texts to learn from, such as those that will be searched: JSON Lines with `text`
DATA = HERE / "texts.jsonl"
# Texts of which the nearest should have the same label: JSON Lines with `text` and `label`
TEST = HERE / "texts_test.jsonl"
# The teacher, a sentence encoder: folder or Hub id
TEACHER = "sentence-transformers/all-MiniLM-L6-v2"  # real: "BAAI/bge-base-en-v1.5"
# The student, an encoder: folder or Hub id; by default every other layer of the teacher
STUDENT = KeepLayers(TEACHER, every=2)

# texts without labels are enough: the more, and the more alike to those of the use, the nearer the student comes
test = LoadJSON(TEST)
texts = Decontaminate(LoadJSON(DATA), against=[test], column="text")
student = SentenceEncoder(
    texts,
    student=STUDENT,
    teacher=TEACHER,
    epochs=8,  # real: 1
    batch_size=16,  # real: 64
    learning_rate=3e-4,  # real: 1e-4
)
export = ExportEncoder(student, precision="int8", probe=texts)

# the text itself is its id, so that its own copies are left out
asked = Map(test, lambda row: {"id": row["text"], "gold": row["label"]}, adds=("id", "gold"))


def nearest(encoder: str | Step) -> Step:
    """Give every test text the label of the nearest other one, and count how often that is its own."""
    vectors = Embed(asked, "text", encoder)
    neighbours = Retrieve(vectors, vectors, k=1, document_column="label", others_only=True)
    return EvaluateLabels(Map(neighbours, lambda row: {"label": row["passages"][0]}))


encoders: dict[str, str | Step] = {"teacher": TEACHER, "untrained": STUDENT, "student": student}
scores = {name: nearest(encoder) for name, encoder in encoders.items()}
sizes = SizeTable([TEACHER, student, export], stages=("teacher", "student", "int8"))
leaks = LeakCheck(texts, test, column="text")
report = Report({**scores, "leaks": leaks, "sizes": sizes}, title="A sentence encoder, distilled")

pipeline = Pipeline("encoder", outputs={"report": report, "model": export})
