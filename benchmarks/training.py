"""Step time and memory of training: plain, after stored soft labels, and after a live teacher, beside trl's trainers.

Student and teacher have random weights (they cost what trained ones do) and a tokenizer of GSM8K's text; all read the
same questions and answers in batches of the same size, in float32 with the same optimizer, without gradient
checkpointing. Each case runs in a process of its own, and what is timed is every step after the second. trl's `SFT`
stands beside `HardLabel`, and its `GKD` with fixed data and forward KL beside `SoftLabel` with a live teacher. Run as
`python benchmarks/training.py`: some ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from asking import context_in

from potstill import Pipeline
from potstill.engine.rows.files import opened
from potstill.prompts import render
from potstill.steps.init_models import RandomModel, TrainTokenizer
from potstill.steps.labelling.score import SoftLabels
from potstill.steps.loading.json_files import LoadJSON
from potstill.steps.rows.columns import Rename
from potstill.steps.rows.sort_sample import Take
from potstill.teachers.transformers import Transformers
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.language_models.soft_label import SoftLabel

DATA = Path(os.environ.get("POTSTILL_DATASETS", Path(__file__).parents[2] / "shared" / "datasets"))
"""Where the datasets lie; none of them is part of the project."""
ROWS = DATA / "gsm8k" / "train.jsonl"
CASES = ("trl SFT", "plain", "stored top-k", "trl GKD", "live teacher")
SKIPPED = 2
"""Steps at the start that aren't timed: they make the optimizer's state and warm the kernels."""
CACHED = 1.15
"""Bar: time a step of stored top-k labels beside plain training."""
RATE = 1e-4
"""Learning rate, which costs nothing."""
NOTHING = LoadJSON("")
"""Rows of steps that are run by hand, on rows that are given then."""


def main() -> None:
    """Make the inputs, run each case, print the table."""
    given = arguments()
    if given.case:
        print(json.dumps(measured(given.case, given)))
        return
    if not ROWS.exists():
        print(f"skipped: no file {ROWS}")
        return
    given.inputs = prepared(given)
    result = {case: [run(case, given) for _ in range(given.repeats)] for case in CASES}
    print(
        f"{platform.machine()}, {given.threads} threads; {given.rows} rows of GSM8K in batches of {given.batch}, "
        f"top-k {given.top_k}, vocabulary {given.vocabulary:,}, student {given.student}, teacher {given.teacher}; "
        f"best of {given.repeats}"
    )
    print(table(result))


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--top-k", type=int, default=32)
    parser.add_argument("--vocabulary", type=int, default=16_000)
    parser.add_argument("--student", type=int, nargs=3, default=(192, 4, 512), help="hidden, layers, feed-forward")
    parser.add_argument("--teacher", type=int, nargs=3, default=(320, 6, 896), help="the same of the teacher")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--store", default=".potstill")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--inputs", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args()


def prepared(given: argparse.Namespace) -> dict[str, str]:
    """Return the folders of student, teacher, and rows with soft labels."""
    rows = Take(Rename(LoadJSON(ROWS), {"question": "instruction", "answer": "output"}), given.rows)
    tokenizer = TrainTokenizer(rows, vocab_size=given.vocabulary)
    student, teacher = (random_model(tokenizer, *size) for size in (given.student, given.teacher))
    labels = SoftLabels(rows, teacher=Transformers(teacher), top_k=given.top_k)
    run = Pipeline("training", outputs={"student": student, "teacher": teacher, "labels": labels}).run(
        store=given.store
    )
    return {name: str(run[name].path) for name in ("student", "teacher", "labels")}


def random_model(tokenizer: Any, hidden: int, layers: int, intermediate: int) -> RandomModel:
    """Return a model with random weights."""
    return RandomModel(tokenizer, hidden_size=hidden, layers=layers, intermediate_size=intermediate)


def run(case: str, given: argparse.Namespace) -> dict[str, float]:
    """Return what `measured` finds in a process of its own."""
    sizes = {"rows": given.rows, "batch": given.batch, "threads": given.threads}
    options = [part for name, value in sizes.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, __file__, "--case", case, "--inputs", json.dumps(given.inputs), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    print(case, done.stdout.splitlines()[-1], file=sys.stderr, flush=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measured(case: str, given: argparse.Namespace) -> dict[str, float]:
    """Train for one pass; return seconds a step and the most bytes that the process held."""
    import torch

    torch.set_num_threads(given.threads)
    times: list[float] = []
    (through_trl if case.startswith("trl") else through_potstill)(case, given, times)
    timed = times[SKIPPED:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": (timed[-1] - timed[0]) / (len(timed) - 1), "peak": peak}


def through_potstill(case: str, given: argparse.Namespace, times: list[float]) -> None:
    """Train as a pipeline's step does; add to `times` when each optimizer step ends."""
    rows, student, teacher = dataset(given), given.inputs["student"], given.inputs["teacher"]
    shared = {
        "student": student,
        "epochs": 1,
        "batch_size": given.batch,
        "precision": "float32",
        "max_length": 1024,
        "checkpoint_every": 10**6,
        "learning_rate": RATE,
    }
    with tempfile.TemporaryDirectory() as folder:
        context = context_in(Path(folder), "training", given.threads)
        context.progress = lambda *_, **__: times.append(time.perf_counter())
        if case == "plain":
            HardLabel(NOTHING, **shared).run(rows=rows, student=student, context=context)
        else:
            # rows that carry soft labels are trained on those; the teacher then only says whose they are
            seen = rows if case == "stored top-k" else rows.select_columns(["instruction", "output"])
            step = SoftLabel(NOTHING, teacher=teacher, alpha=1.0, **shared)
            step.run(rows=seen, student=student, teacher=teacher, context=context)


def through_trl(case: str, given: argparse.Namespace, times: list[float]) -> None:
    """Train with trl's own trainer; add to `times` when each optimizer step ends."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    class Ticking(TrainerCallback):  # type: ignore[misc] # transformers is not typed
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            times.append(time.perf_counter())

    tokenizer = AutoTokenizer.from_pretrained(given.inputs["student"])
    load = AutoModelForCausalLM.from_pretrained
    student, teacher = (load(given.inputs[name], dtype="float32") for name in ("student", "teacher"))
    rows = dataset(given).map(as_chat, remove_columns=dataset(given).column_names)
    with tempfile.TemporaryDirectory() as folder:
        shared = {
            "output_dir": folder,
            "num_train_epochs": 1,
            "per_device_train_batch_size": given.batch,
            "learning_rate": RATE,
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "max_length": 1024,
            "save_strategy": "no",
            "logging_strategy": "steps",
            "logging_steps": 1,
            "report_to": [],
            "optim": "adamw_torch_fused",
            "weight_decay": 0.01,
            "disable_tqdm": True,
        }
        if case == "trl SFT":
            arguments = SFTConfig(completion_only_loss=True, **shared)
            split = rows.map(split_chat, remove_columns=["messages"])
            trainer = SFTTrainer(
                student, arguments, train_dataset=split, processing_class=tokenizer, callbacks=[Ticking()]
            )
        else:
            arguments = GKDConfig(lmbda=0.0, beta=0.0, **shared)
            trainer = GKDTrainer(
                student, teacher, arguments, train_dataset=rows, processing_class=tokenizer, callbacks=[Ticking()]
            )
        trainer.train()


def as_chat(row: dict[str, Any]) -> dict[str, Any]:
    """Return the chat that Potstill's default prompt makes of a row."""
    question = render("answer.jinja", row)
    return {"messages": [*question, {"role": "assistant", "content": row["output"]}]}


def split_chat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a chat as prompt and completion."""
    return {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]}


def dataset(given: argparse.Namespace) -> Any:
    """Return the rows with their soft labels."""
    return opened(Path(given.inputs["labels"]) / "data")


def table(made: dict[str, list[dict[str, float]]]) -> str:
    """Return the table, and how the bars were met."""
    best = {case: min(one["seconds"] for one in own) for case, own in made.items()}
    peak = {case: min(one["peak"] for one in own) for case, own in made.items()}
    lines = [f"{'':16}{'s a step':>10}{'spread':>10}{'peak, MB':>10}"]
    for case, own in made.items():
        spread = max(one["seconds"] for one in own) / best[case] - 1
        lines.append(f"{case:16}{best[case]:>10.3f}{spread:>10.0%}{peak[case] / 1e6:>10,.0f}")
    cached, live = best["stored top-k"] / best["plain"], best["live teacher"] / best["trl GKD"]
    memory = peak["live teacher"] / peak["trl GKD"]
    for text, value, bar in (
        ("stored top-k beside plain, time", cached, CACHED),
        ("live teacher beside trl's, time", live, 1.0),
        ("live teacher beside trl's, memory", memory, 1.0),
        ("plain beside trl's, time", best["plain"] / best["trl SFT"], 1.0),
        ("plain beside trl's, memory", peak["plain"] / peak["trl SFT"], 1.0),
    ):
        lines.append(f"{text}: {value:.2f} (bar {bar:g}: {'reached' if value <= bar else 'NOT reached'})")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
