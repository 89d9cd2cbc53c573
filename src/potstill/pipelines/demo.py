"""The demo: a teacher writes and answers commands, students are trained on them, compressed and evaluated.

Runs offline on a CPU with the embedded teacher. The same page works with a teacher from the Hub:
`potstill run demo.py --set teacher.model=Qwen/Qwen3-8B --set teacher.thinking=false`, with students that share its
vocabulary (`--set hard.student=Qwen/Qwen3-0.6B --set soft.student=Qwen/Qwen3-0.6B`).
"""

from potstill import VLLM, Pipeline
from potstill.data import home
from potstill.steps import (
    Decontaminate,
    Deduplicate,
    Evaluate,
    LoadSeeds,
    PseudoLabel,
    QuantizeInt4,
    QuantizeInt8,
    Report,
    SelfInstruct,
    Split,
    ValidJSON,
    WandaPrune,
)
from potstill.trainers import HardLabel, QLoRA, SoftLabel

PROMPT = "home.jinja"
ACTION = ("device", "room", "action", "value")

# the test sets: phrasings of the grammar that its training half never shows, and commands written by hand
grammar = LoadSeeds(home.FOLDER / "grammar_test.jsonl", fields=("instruction", "output"))
handwritten = LoadSeeds(home.FOLDER / "handwritten.jsonl", fields=("instruction", "output"))

# the teacher writes new commands, and answers them; one pass gives text and soft labels
teacher = VLLM(str(home.FOLDER / "teacher"), max_model_length=1024)
seeds = LoadSeeds(home.FOLDER / "seeds.jsonl")
# short commands over few words are alike: only near-copies are refused; blinds may be drawn
commands = SelfInstruct(
    seeds,
    teacher=teacher,
    target=10_000,
    novelty=0.9,
    min_words=2,
    max_words=30,
    blocked_words=(),
    blocked_starts=(),
    plain_start=False,
    prompts_per_round=128,
    per_prompt=8,
    max_tokens=256,
)
clean = Decontaminate(Deduplicate(commands), against=[grammar, handwritten])
answers = PseudoLabel(clean, teacher=teacher, prompt=PROMPT, top_k=16, max_tokens=64)
labels = ValidJSON(answers, keys=ACTION)
data = Split(labels, test=0.05)

# students of a million parameters, from one small base model
base = str(home.FOLDER / "base")
hard = HardLabel(data.train, student=base, prompt=PROMPT, epochs=2, batch_size=16, learning_rate=3e-3)
soft = SoftLabel(
    data.train, student=base, teacher=teacher, prompt=PROMPT, epochs=2, batch_size=16, learning_rate=3e-3, alpha=0.7
)
# adapters over 4-bit weights learn slowly: they start from a student that knows the answers' form
qlora = HardLabel(data.train, student=hard, prompt=PROMPT, epochs=0.5, qlora=QLoRA(rank=16), learning_rate=5e-4)

# made small: half of the weights set to zero and the rest trained once more; 8 and 4 bits
pruned = WandaPrune(soft, sparsity=0.5, calibration=data.train, prompt=PROMPT)
sparse = SoftLabel(
    data.train,
    student=pruned,
    teacher=teacher,
    prompt=PROMPT,
    epochs=1,
    batch_size=16,
    learning_rate=1e-3,
    alpha=0.7,
    hold_zeros=True,
)
int8 = QuantizeInt8(soft, calibration=data.train, prompt=PROMPT)
int4 = QuantizeInt4(soft, calibration=data.train, prompt=PROMPT, group_size=32)

# one protocol for all
models = {"teacher": teacher, "hard": hard, "soft": soft, "qlora": qlora, "sparse": sparse, "int8": int8, "int4": int4}
tests = {"grammar": grammar, "handwritten": handwritten}
figures = {name: Evaluate(model, tests, prompt=PROMPT, max_tokens=64) for name, model in models.items()}
report = Report(figures, title="A home assistant, distilled")

pipeline = Pipeline("demo", outputs={"report": report, "model": int4})

if __name__ == "__main__":
    run = pipeline.run()
    print(run["model"].path, run["report"].path)
