"""Self-Instruct (Wang et al. 2023) from its 175 seeds with the small P3 teacher: how the pool grows, what is dropped.

`potstill run benchmarks/real/self_instruct.py`, after p3_teacher.py in the same store (or with
POTSTILL_P3_TEACHER=FOLDER of its model); about 15 minutes on two cores. Smaller: `--set tasks.target=20 ...`.
"""

import os

from p3 import DATA, DETECT, INPUT_FIRST, OUTPUT_FIRST, answering
from p3_teacher import teacher as p3_teacher
from self_instruct_steps import Figures

from potstill import Pipeline
from potstill.steps.evaluation.diversity import Diversity
from potstill.steps.instructions.classify_tasks import DetectClassification
from potstill.steps.instructions.instances import WriteInstances
from potstill.steps.instructions.self_instruct import SelfInstruct
from potstill.steps.loading.seeds import LoadSeeds
from potstill.steps.rows.sort_sample import Take

seeds = LoadSeeds(DATA / "self-instruct" / "seed_tasks.jsonl")
teacher = answering(os.environ.get("POTSTILL_P3_TEACHER") or p3_teacher)

# new instructions, by the paper's parameters
tasks = SelfInstruct(seeds, teacher=teacher, target=8_000, prompts_per_round=64, max_tokens=320)

# instances for some of them: the teacher has learned these two prompts, not the paper's long ones
some = Take(tasks, 1_500)
kinds = DetectClassification(some, teacher=teacher, prompt=DETECT, max_failed=1.0)
instances = WriteInstances(
    kinds,
    teacher=teacher,
    input_first=INPUT_FIRST,
    output_first=OUTPUT_FIRST,
    most=2,
    temperature=0.7,
    max_tokens=160,
    max_failed=1.0,
)

diversity = Diversity(tasks, seeds=seeds)
figures = Figures(instances, diversity, tasks="tasks", filters=("tasks", "kinds", "instances"))

pipeline = Pipeline("self-instruct", outputs={"figures": figures, "instances": instances})
