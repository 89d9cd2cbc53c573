"""Methods made of other steps: functions that build a graph of steps and trainers, and hand out its students.

May import steps, trainers and the engine; never pipelines. Nothing imports it but pipelines, and `trainers`, which
offers these names too and loads them when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.methods.born_again import BornAgain
    from potstill.methods.co_training import CoTraining
    from potstill.methods.compress import Compress
    from potstill.methods.course import Course
    from potstill.methods.ensemble import Ensemble
    from potstill.methods.lottery_ticket import LotteryTicket
    from potstill.methods.self_training import SelfTraining
    from potstill.methods.sequence_level import SequenceLevel
    from potstill.methods.teaching_assistant import TeachingAssistant
    from potstill.methods.training import Averaged, Train, TrainCausal, TrainClassifier

_HOME = {
    "Averaged": "training",
    "BornAgain": "born_again",
    "CoTraining": "co_training",
    "Compress": "compress",
    "Course": "course",
    "Ensemble": "ensemble",
    "LotteryTicket": "lottery_ticket",
    "SelfTraining": "self_training",
    "SequenceLevel": "sequence_level",
    "TeachingAssistant": "teaching_assistant",
    "Train": "training",
    "TrainCausal": "training",
    "TrainClassifier": "training",
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
    """Import a method when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'potstill.methods' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.methods.{_HOME[name]}"), name)
