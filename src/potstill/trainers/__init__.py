"""Trainers: steps in which a student learns (hard, soft, classifier), and the pure losses they minimise.

May import the engine, prompts and the pure-math modules; never steps or pipelines.
"""

from potstill.trainers.classifier import Classifier
from potstill.trainers.hard import HardLabel
from potstill.trainers.lora import LoRA, QLoRA
from potstill.trainers.soft import SoftLabel

__all__ = ["Classifier", "HardLabel", "LoRA", "QLoRA", "SoftLabel"]
