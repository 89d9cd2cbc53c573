"""Trainers: steps in which a student learns, and the pure losses they minimise.

May import the engine, prompts and the pure-math modules; never steps or pipelines. Methods made of steps and trainers
live above both, in `potstill.recipes`; they are offered here too. Each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.recipes.born_again import BornAgain
    from potstill.recipes.co_training import CoTraining
    from potstill.recipes.compress import Compress
    from potstill.recipes.ensemble import Ensemble
    from potstill.recipes.lottery_ticket import LotteryTicket
    from potstill.recipes.self_training import SelfTraining
    from potstill.recipes.sequence_level import SequenceLevel
    from potstill.recipes.teaching_assistant import TeachingAssistant
    from potstill.trainers.compressed.binary import Binary
    from potstill.trainers.compressed.cofi_prune import CoFiPrune
    from potstill.trainers.compressed.qat import QAT
    from potstill.trainers.compressed.ternary import Ternary
    from potstill.trainers.encoders.classifier import Classifier
    from potstill.trainers.encoders.layer_match import LayerMatch
    from potstill.trainers.encoders.meta_pseudo_labels import MetaPseudoLabels
    from potstill.trainers.encoders.sentence_encoder import SentenceEncoder
    from potstill.trainers.encoders.token_classifier import TokenClassifier
    from potstill.trainers.language_models.hard_label import HardLabel
    from potstill.trainers.language_models.on_policy import OnPolicy
    from potstill.trainers.language_models.preference import Preference
    from potstill.trainers.language_models.soft_label import SoftLabel
    from potstill.trainers.loop.lora import LoRA, QLoRA

_HOME = {
    "Binary": "trainers.compressed.binary",
    "BornAgain": "recipes.born_again",
    "Classifier": "trainers.encoders.classifier",
    "CoFiPrune": "trainers.compressed.cofi_prune",
    "Compress": "recipes.compress",
    "CoTraining": "recipes.co_training",
    "Ensemble": "recipes.ensemble",
    "HardLabel": "trainers.language_models.hard_label",
    "LayerMatch": "trainers.encoders.layer_match",
    "LoRA": "trainers.loop.lora",
    "LotteryTicket": "recipes.lottery_ticket",
    "MetaPseudoLabels": "trainers.encoders.meta_pseudo_labels",
    "OnPolicy": "trainers.language_models.on_policy",
    "Preference": "trainers.language_models.preference",
    "QAT": "trainers.compressed.qat",
    "QLoRA": "trainers.loop.lora",
    "SelfTraining": "recipes.self_training",
    "SentenceEncoder": "trainers.encoders.sentence_encoder",
    "SequenceLevel": "recipes.sequence_level",
    "SoftLabel": "trainers.language_models.soft_label",
    "TeachingAssistant": "recipes.teaching_assistant",
    "Ternary": "trainers.compressed.ternary",
    "TokenClassifier": "trainers.encoders.token_classifier",
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
