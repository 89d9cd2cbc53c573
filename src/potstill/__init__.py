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

if TYPE_CHECKING:
    from potstill.context import Context
    from potstill.errors import BadInput, PotstillError, RequestError, StepFailed
    from potstill.keys import File
    from potstill.pipeline import Pipeline
    from potstill.records import Run
    from potstill.step import Anything, Estimate, Metrics, Model, Output, Rows, Step
    from potstill.teachers.budget import Price
    from potstill.teachers.endpoint import Endpoint
    from potstill.teachers.ensemble import Ensemble
    from potstill.teachers.pool import Pool
    from potstill.teachers.protocol import Structured
    from potstill.teachers.transformers import Transformers
    from potstill.teachers.vllm import VLLM, Speculative

__version__ = "0.1.0"

_HOME = {
    "Anything": "step",
    "BadInput": "errors",
    "Context": "context",
    "Endpoint": "teachers.endpoint",
    "Ensemble": "teachers.ensemble",
    "Estimate": "step",
    "File": "keys",
    "Metrics": "step",
    "Model": "step",
    "Output": "step",
    "Pipeline": "pipeline",
    "Pool": "teachers.pool",
    "PotstillError": "errors",
    "Price": "teachers.budget",
    "RequestError": "errors",
    "Rows": "step",
    "Run": "records",
    "Speculative": "teachers.vllm",
    "Step": "step",
    "StepFailed": "errors",
    "Structured": "teachers.protocol",
    "Transformers": "teachers.transformers",
    "VLLM": "teachers.vllm",
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
