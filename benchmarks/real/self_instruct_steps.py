"""The step of self_instruct.py that is its own."""

from __future__ import annotations

from typing import Any

from potstill import Context, Metrics, Rows, Step

PUBLISHED = {
    "instructions": 52_445,
    "classification_share": 11_584 / 52_445,
    "instances_each": 82_439 / 52_445,
    "empty_input_share": 35_878 / 82_439,
    "words_of_instruction": 15.9,
    "words_of_input": 12.7,
    "words_of_output": 18.9,
}
"""Wang et al. 2023, "Self-Instruct", table 1: made with GPT-3 from the same 175 seeds."""


class Figures(Step):
    """How the pool grew, what every step dropped, how varied it is, and the paper's table beside ours."""

    instances: Rows
    """`instruction`, `is_classification`, `input`, `output`."""
    diversity: Metrics
    """Of the whole pool."""
    tasks: str
    """Name of the step that grew the pool."""
    filters: tuple[str, ...]
    """Steps whose counts are told."""
    makes = "metrics"
    wants_lineage = True

    def run(self, instances: Any, diversity: dict[str, Any], context: Context) -> dict[str, Any]:
        """Return the figures."""
        lineage = {ancestor.name: ancestor.manifest for ancestor in context.lineage}
        growth = lineage[self.tasks]["notes"]["pool"]["after_each_round"]
        counts = {
            name: {key: lineage[name]["counts"][key] for key in ("kept", "filtered", "failed")} for name in self.filters
        }
        return {
            "growth": growth,
            "rejected_as_not_novel": counts[self.tasks]["filtered"].get("not novel", 0),
            "filters": counts,
            "diversity": diversity,
            "ours": {"instructions": growth[-1], **shape(list(instances))},
            "paper": PUBLISHED,
        }


def shape(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """Return the paper's figures of some instances; None where there is nothing to count."""
    by_task = {row["instruction"]: row["is_classification"] for row in rows}
    inputs = [row["input"] for row in rows if row["input"]]
    return {
        "classification_share": share(sum(by_task.values()), len(by_task)),
        "instances_each": share(len(rows), len(by_task)),
        "empty_input_share": share(len(rows) - len(inputs), len(rows)),
        "words_of_instruction": mean_words(list(by_task)),
        "words_of_input": mean_words(inputs),
        "words_of_output": mean_words([row["output"] for row in rows]),
    }


def mean_words(texts: list[str]) -> float | None:
    """Return the mean number of words."""
    return share(sum(len(text.split()) for text in texts), len(texts))


def share(part: int, whole: int) -> float | None:
    """Return a quotient, None of nothing."""
    return part / whole if whole else None
