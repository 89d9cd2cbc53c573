"""A model that one has, made smaller: pruned, distilled from itself, quantized, measured, and exported.

Model -> fewer units -> recovered on the model's own answers -> 8 and 4 bits -> GGUF -> table of sizes and report.
Minutes on a CPU with the model that is shipped.
"""

from pathlib import Path

from potstill import Pipeline, Transformers  # real: from potstill import VLLM, Pipeline, Transformers
from potstill.data import home  # real:
from potstill.steps import (
    Decontaminate,
    Evaluate,
    Export,
    LoadJSON,
    PseudoLabel,
    QuantizeInt4,
    QuantizeInt8,
    Report,
    SizeTable,
    WidthPrune,
)
from potstill.trainers import SoftLabel

HERE = Path(__file__).parent

# The model: folder or Hub id
MODEL = str(home.FOLDER / "teacher")  # real: "Qwen/Qwen3-0.6B"
# What it is asked, without answers: JSON Lines with `instruction`
DATA = HERE / "instructions.jsonl"
# Instructions with the right answers: JSON Lines with `instruction` and `output`
TEST = HERE / "instructions_test.jsonl"
# How it is asked: a template, where {{ instruction }} is the instruction
PROMPT = "home.jinja"  # real: "answer.jinja"
# The share of the feed-forward units and heads that go
SPARSITY = 0.25

test = LoadJSON(TEST)
rows = Decontaminate(LoadJSON(DATA), against=[test])

# its own answers, with distributions, are what the pruned model learns again
teacher = Transformers(MODEL)  # real: VLLM(MODEL)
answers = PseudoLabel(rows, teacher=teacher, prompt=PROMPT, top_k=16, max_failed=0.05)
pruned = WidthPrune(MODEL, calibration=answers, prompt=PROMPT, sparsity=SPARSITY, align=16)
student = SoftLabel(
    answers,
    student=pruned,
    teacher=teacher,
    prompt=PROMPT,
    epochs=4,
    batch_size=8,
    learning_rate=2e-3,  # real: 1e-4
)
int8 = QuantizeInt8(student, calibration=answers, prompt=PROMPT)
int4 = QuantizeInt4(student, calibration=answers, prompt=PROMPT)
gguf = Export(student, format="gguf", precision="q8_0", probe=answers, prompt=PROMPT)

models = {"model": MODEL, "pruned": student, "int8": int8, "int4": int4}
scores = {name: Evaluate(Transformers(model), test, prompt=PROMPT) for name, model in models.items()}
sizes = SizeTable(list(models.values()), stages=tuple(models))
report = Report({**scores, "sizes": sizes}, title="A model made smaller", reference="model")

pipeline = Pipeline("compress", outputs={"report": report, "model": int4, "gguf": gguf})
