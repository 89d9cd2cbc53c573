"""Trainers: steps in which a student learns, and the pure losses they minimise.

May import the engine, prompts and the pure-math modules; never steps or pipelines. Methods made of steps and trainers
live above both, in `potstill.methods`; they are offered here too. Each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.methods.born_again import BornAgain
    from potstill.methods.co_training import CoTraining
    from potstill.methods.compress import Compress
    from potstill.methods.ensemble import Ensemble
    from potstill.methods.lottery_ticket import LotteryTicket
    from potstill.methods.self_training import SelfTraining
    from potstill.methods.sequence_level import SequenceLevel
    from potstill.methods.teaching_assistant import TeachingAssistant
    from potstill.trainers.binary import Binary
    from potstill.trainers.classifier import Classifier
    from potstill.trainers.cofi_prune import CoFiPrune
    from potstill.trainers.hard import HardLabel
    from potstill.trainers.layer_match import LayerMatch
    from potstill.trainers.lora import LoRA, QLoRA
    from potstill.trainers.meta_pseudo_labels import MetaPseudoLabels
    from potstill.trainers.on_policy import OnPolicy
    from potstill.trainers.preference import Preference
    from potstill.trainers.qat import QAT
    from potstill.trainers.sentence_encoder import SentenceEncoder
    from potstill.trainers.soft import SoftLabel
    from potstill.trainers.ternary import Ternary
    from potstill.trainers.token_classifier import TokenClassifier

_HOME = {
    "Binary": "trainers.binary",
    "BornAgain": "methods.born_again",
    "Classifier": "trainers.classifier",
    "CoFiPrune": "trainers.cofi_prune",
    "Compress": "methods.compress",
    "CoTraining": "methods.co_training",
    "Ensemble": "methods.ensemble",
    "HardLabel": "trainers.hard",
    "LayerMatch": "trainers.layer_match",
    "LoRA": "trainers.lora",
    "LotteryTicket": "methods.lottery_ticket",
    "MetaPseudoLabels": "trainers.meta_pseudo_labels",
    "OnPolicy": "trainers.on_policy",
    "Preference": "trainers.preference",
    "QAT": "trainers.qat",
    "QLoRA": "trainers.lora",
    "SelfTraining": "methods.self_training",
    "SentenceEncoder": "trainers.sentence_encoder",
    "SequenceLevel": "methods.sequence_level",
    "SoftLabel": "trainers.soft",
    "TeachingAssistant": "methods.teaching_assistant",
    "Ternary": "trainers.ternary",
    "TokenClassifier": "trainers.token_classifier",
}

__all__ = [
    "QAT",
    "Binary",
    "BornAgain",
    "Classifier",
    "CoFiPrune",
    "CoTraining",
    "Compress",
    "Ensemble",
    "HardLabel",
    "LayerMatch",
    "LoRA",
    "LotteryTicket",
    "MetaPseudoLabels",
    "OnPolicy",
    "Preference",
    "QLoRA",
    "SelfTraining",
    "SentenceEncoder",
    "SequenceLevel",
    "SoftLabel",
    "TeachingAssistant",
    "Ternary",
    "TokenClassifier",
]


def __getattr__(name: str) -> Any:
    """Import a trainer or a method when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'potstill.trainers' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.{_HOME[name]}"), name)
