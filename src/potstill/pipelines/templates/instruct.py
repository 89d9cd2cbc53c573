"""An instruction student: a teacher writes new instructions and answers them, and a small model learns from both.

Seeds -> Self-Instruct -> duplicates and test rows left out -> answers with soft labels -> students by text and by
distributions -> 4 bits -> GGUF for llama.cpp -> report. Minutes on a CPU with the models that are shipped.
"""

from pathlib import Path

from potstill import Pipeline, Transformers  # real: from potstill import VLLM, Pipeline, Transformers
from potstill.data import home  # real:
from potstill.steps import (
    Decontaminate,
    DeduplicateNear,
    Evaluate,
    Export,
    LoadJSON,
    LoadSeeds,
    PseudoLabel,
    QuantizeInt4,
    Report,
    SelfInstruct,
)
from potstill.trainers import HardLabel, SoftLabel

HERE = Path(__file__).parent

# Examples of instructions: JSON Lines with `instruction`
SEEDS = HERE / "seeds.jsonl"
# Instructions with the right answers: JSON Lines with `instruction` and `output`
TEST = HERE / "instructions_test.jsonl"
# How many new instructions the teacher writes
TARGET = 200  # real: 10_000
# How models are asked: a template, where {{ instruction }} is the instruction
PROMPT = "home.jinja"  # real: "answer.jinja"
# The teacher, a chat model: folder or Hub id
TEACHER = str(home.FOLDER / "teacher")  # real: "Qwen/Qwen3-8B"
# The student, of the teacher's vocabulary: folder or Hub id
STUDENT = str(home.FOLDER / "base")  # real: "Qwen/Qwen3-0.6B"

teacher = Transformers(TEACHER)  # real: VLLM(TEACHER)
epochs = 6  # real: 3
rate = 3e-3  # real: 2e-5
seeds = LoadSeeds(SEEDS)
test = LoadJSON(TEST)

tasks = SelfInstruct(
    seeds,
    teacher=teacher,
    target=TARGET,
    # commands of few words are much alike
    novelty=0.9,  # real: 0.7
    min_words=2,  # real: 4
    plain_start=False,  # real: True
)
clean = Decontaminate(DeduplicateNear(tasks), against=[test])
answers = PseudoLabel(clean, teacher=teacher, prompt=PROMPT, top_k=16, max_failed=0.05)

hard = HardLabel(answers, student=STUDENT, prompt=PROMPT, epochs=epochs, batch_size=8, learning_rate=rate)
soft = SoftLabel(
    answers,
    student=STUDENT,
    teacher=teacher,
    prompt=PROMPT,
    epochs=epochs,
    batch_size=8,
    learning_rate=rate,
    alpha=0.7,
)
int4 = QuantizeInt4(soft, calibration=answers, prompt=PROMPT)
gguf = Export(soft, format="gguf", precision="q8_0", probe=answers, prompt=PROMPT)

models = {"teacher": teacher, "hard": Transformers(hard), "soft": Transformers(soft), "int4": Transformers(int4)}
scores = {name: Evaluate(model, test, prompt=PROMPT) for name, model in models.items()}
report = Report(scores, title="An instruction student")

pipeline = Pipeline("instruct", outputs={"report": report, "model": int4, "gguf": gguf})
