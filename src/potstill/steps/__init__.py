"""Steps: one concept a file (load, generate, label, filter, split, prune, quantize, evaluate, report).

May import the engine, prompts, teachers and the pure-math modules; never trainers or pipelines.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.steps.evaluate import Evaluate
    from potstill.steps.filter import Decontaminate, Deduplicate, FilterRows, ValidJSON
    from potstill.steps.label import PseudoLabel
    from potstill.steps.load import LoadSeeds
    from potstill.steps.prune import WandaPrune
    from potstill.steps.quantize import QuantizeInt4, QuantizeInt8
    from potstill.steps.report import Report
    from potstill.steps.scratch import RandomModel, TrainTokenizer
    from potstill.steps.self_instruct import SelfInstruct
    from potstill.steps.split import Split

_HOME = {
    "Decontaminate": "filter",
    "Deduplicate": "filter",
    "Evaluate": "evaluate",
    "FilterRows": "filter",
    "LoadSeeds": "load",
    "PseudoLabel": "label",
    "QuantizeInt4": "quantize",
    "QuantizeInt8": "quantize",
    "RandomModel": "scratch",
    "Report": "report",
    "SelfInstruct": "self_instruct",
    "Split": "split",
    "TrainTokenizer": "scratch",
    "ValidJSON": "filter",
    "WandaPrune": "prune",
}

__all__ = [
    "Decontaminate",
    "Deduplicate",
    "Evaluate",
    "FilterRows",
    "LoadSeeds",
    "PseudoLabel",
    "QuantizeInt4",
    "QuantizeInt8",
    "RandomModel",
    "Report",
    "SelfInstruct",
    "Split",
    "TrainTokenizer",
    "ValidJSON",
    "WandaPrune",
]


def __getattr__(name: str) -> Any:
    """Import a step when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'potstill.steps' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.steps.{_HOME[name]}"), name)
