"""Potstill: distil large language models into small ones that can be deployed.

The engine is here, one noun a module: `step` (what a node is), `graph`, `identity`, `keys`, `annotations`, `digests`
and the room `code` (what a key covers), `rows` and the room `arrow` (rows as they were), `store`, `manifests`,
`inputs`, `run_records`, `pins`, `garbage`, `journal`, `ledger`, `locks`, `lines` (what is kept, and for how long),
`validate`, `plan`, `forecast`, `execute`, `run`, `records`, `logs`, `interrupts` (what happens), `executor`,
`children`, `forks`, `zygote`, `nursery`, `carried` (where, and with which code), `services`, `service_state`,
`keeper`, `processes` (what outlives a step and never the run), `progress`, `terminal`, `pipeline`, `pipeline_file`,
`loader`, `settings`, `cli` (how it is used). It knows nothing of language models, but for `models`, which tells what
a model's name stands for, and `forecast`, which counts requests.

Beside it, for the steps: `generate` (asking a teacher, each answer journalled), `asking` (until the answer parses),
`chat`, `soft_labels` and `hidden_states` (what a teacher's distributions are kept as), `metrics`, `classification`,
`footprint` (what is measured), `modelcard`.

`pipelines` use `methods`, which are made of steps, and these two use `steps` and `trainers`; those use `teachers`,
`prompts`, `compression` and the engine; nothing the other way.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from potstill import moved

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.engine.encoding import File
    from potstill.engine.pipeline import Pipeline
    from potstill.engine.records import Run
    from potstill.engine.step import Anything, Estimate, Metrics, Model, Output, Rows, Step
    from potstill.errors import BadInput, PotstillError, RequestError, StepFailed
    from potstill.teachers.ensemble import Ensemble
    from potstill.teachers.openai.budget import Price
    from potstill.teachers.openai.endpoint import Endpoint
    from potstill.teachers.openai.pool import Pool
    from potstill.teachers.protocol import Structured
    from potstill.teachers.transformers import Transformers
    from potstill.teachers.vllm.teacher import VLLM, Speculative

__version__ = "0.1.0"
moved.install()

_HOME = {
    "Anything": "engine.step",
    "BadInput": "errors",
    "Context": "engine.context",
    "Endpoint": "teachers.openai.endpoint",
    "Ensemble": "teachers.ensemble",
    "Estimate": "engine.step",
    "File": "engine.encoding",
    "Metrics": "engine.step",
    "Model": "engine.step",
    "Output": "engine.step",
    "Pipeline": "engine.pipeline",
    "Pool": "teachers.openai.pool",
    "PotstillError": "errors",
    "Price": "teachers.openai.budget",
    "RequestError": "errors",
    "Rows": "engine.step",
    "Run": "engine.records",
    "Speculative": "teachers.vllm.teacher",
    "Step": "engine.step",
    "StepFailed": "errors",
    "Structured": "teachers.protocol",
    "Transformers": "teachers.transformers",
    "VLLM": "teachers.vllm.teacher",
}

__all__ = [
    "VLLM",
    "Anything",
    "BadInput",
    "Context",
    "Endpoint",
    "Ensemble",
    "Estimate",
    "File",
    "Metrics",
    "Model",
    "Output",
    "Pipeline",
    "Pool",
    "PotstillError",
    "Price",
    "RequestError",
    "Rows",
    "Run",
    "Speculative",
    "Step",
    "StepFailed",
    "Structured",
    "Transformers",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `potstill --help` stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'potstill' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.{_HOME[name]}"), name)
