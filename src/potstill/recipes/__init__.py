"""Recipes: they build a graph of steps and trainers, contain its students and stand for the last.

May import steps, trainers and the engine; never pipelines. Nothing imports it but pipelines, and `trainers`, which
offers these names too and loads them when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.recipes.born_again import BornAgain
    from potstill.recipes.co_training import CoTraining
    from potstill.recipes.compress import Compress
    from potstill.recipes.ensemble import Ensemble
    from potstill.recipes.lessons import Averaged, Train, TrainCausal, TrainClassifier
    from potstill.recipes.lottery_ticket import LotteryTicket
    from potstill.recipes.self_training import SelfTraining
    from potstill.recipes.sequence_level import SequenceLevel
    from potstill.recipes.students import Course
    from potstill.recipes.teaching_assistant import TeachingAssistant

_HOME = {
    "Averaged": "lessons",
    "BornAgain": "born_again",
    "CoTraining": "co_training",
    "Compress": "compress",
    "Course": "students",
    "Ensemble": "ensemble",
    "LotteryTicket": "lottery_ticket",
    "SelfTraining": "self_training",
    "SequenceLevel": "sequence_level",
    "TeachingAssistant": "teaching_assistant",
    "Train": "lessons",
    "TrainCausal": "lessons",
    "TrainClassifier": "lessons",
}

__all__ = [
    "Averaged",
    "BornAgain",
    "CoTraining",
    "Compress",
    "Course",
    "Ensemble",
    "LotteryTicket",
    "SelfTraining",
    "SequenceLevel",
    "TeachingAssistant",
    "Train",
    "TrainCausal",
    "TrainClassifier",
]


def __getattr__(name: str) -> Any:
    """Import a recipe when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'potstill.recipes' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.recipes.{_HOME[name]}"), name)
