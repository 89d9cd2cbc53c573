"""Self-Instruct from seeds to training text, as the paper has it (Wang et al. 2023, "Self-Instruct", figure 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from potstill.engine.step import Rows
from potstill.steps.instructions.classify_tasks import DetectClassification
from potstill.steps.instructions.instances import WriteInstances
from potstill.steps.instructions.self_instruct import SelfInstruct
from potstill.steps.instructions.training_text import EncodeInstructions

if TYPE_CHECKING:
    from potstill.teachers.protocol import TeacherSource


def self_instruct(
    seeds: Rows, teacher: TeacherSource, target: int, *, include_seeds: bool = False
) -> EncodeInstructions:
    """Return the step that ends Self-Instruct's graph: `target` new instructions, their instances, encoded.

    Every part has the paper's parameters; build the four steps by hand to change one. `seeds` need `instruction`, and
    with `include_seeds` also `output` (and `input`), because they become training text too.

        >>> rows = self_instruct(LoadSeeds("seed_tasks.jsonl"), VLLM("Qwen/Qwen3-8B"), 5_000)
        >>> [type(step).__name__ for step in (rows, rows.rows, rows.rows.rows, rows.rows.rows.rows)]
        ['EncodeInstructions', 'WriteInstances', 'DetectClassification', 'SelfInstruct']
    """
    instructions = SelfInstruct(seeds, teacher=teacher, target=target)
    tasks = DetectClassification(instructions, teacher=teacher)
    instances = WriteInstances(tasks, teacher=teacher)
    return EncodeInstructions(instances, seeds=seeds if include_seeds else None)
