"""What each step does with each model type: a cell runs the step, loads what it wrote, and checks what it promises."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import compressing
import learning
import trained
import typed_models
from promises import (
    Check,
    Wrong,
    agrees,
    apart,
    exported,
    loads,
    logits,
    masked,
    reads,
    smaller,
    stored,
    without_blocks,
)


@dataclass(frozen=True)
class Cell:
    """What came of one step on one type."""

    verdict: str
    """`works`, `refused`, `wrong` or `failed`."""
    why: str = ""
    """Why it is refused or wrong."""


def cell(name: str, column: str, model: Path, work: Path) -> Cell:
    """Return the cell of a type and a column.

    Args:
        name: of the type, one of `typed_models.ALL`.
        column: one of `COLUMNS`.
        model: its folder.
        work: an empty folder.
    """
    from potstill.errors import PotstillError, RequestError

    run, check = COLUMNS[column]
    try:
        out, notes = run(name, model, work)
        check(name, model, out, notes)
    except Wrong as error:
        return Cell("wrong", str(error))
    except RequestError as error:
        return Cell("refused", str(error))
    except PotstillError as error:
        return Cell("failed", str(error))
    except Exception as error:  # noqa: BLE001 - a traceback is what the table is to show
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Cell("failed", f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Cell("works")


def _given(name: str) -> dict[str, Any]:
    """Return rows to calibrate on."""
    if reads(name):
        rows = compressing.texts()
        labels = [("good", "bad")[number % 2] for number in range(len(rows))]
        return {"calibration": rows.add_column("label", labels), "text": "text", "max_length": 32}
    return {"calibration": compressing.rows(8), "max_length": 96}


def _step(kind: str, **fields: Any) -> Callable[[str, Path, Path], tuple[Path, Any]]:
    """Return what runs the step `kind` with `fields`, and with calibration where it is not None."""

    def run(name: str, model: Path, work: Path) -> tuple[Path, Any]:
        from potstill import steps

        own = dict(fields)
        # an expert of these models has 64 units, others' feed-forward layers 128
        if name in typed_models.EXPERT_MODELS and "intermediate_size" in own:
            own["intermediate_size"] = 32
        # what asks for the activations must see some, or it would do nothing unseen
        can_be_blind = kind in CAN_BE_BLIND and "smoothquant" not in own
        blind = own.pop("blind", False) or (name in typed_models.ENCODER_DECODERS and can_be_blind)
        given = {} if blind else _given(name)
        if own.pop("label", False) and reads(name):
            given["label"] = "label"
        out, context = compressing.run_step(getattr(steps, kind), model, work, **given, **own)
        return out, context.notes

    return run


def _trained(kind: str, **fields: Any) -> Callable[[str, Path, Path], tuple[Path, Any]]:
    """Return what trains a causal model by the trainer `kind`."""

    def run(name: str, model: Path, work: Path) -> tuple[Path, Any]:
        from potstill import trainers

        options = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-4, "precision": "float32", "max_length": 160}
        context = learning.context(work)
        if reads(name):
            train = trainers.Classifier(None, student="x", epochs=1, batch_size=4, learning_rate=1e-3)
            rows = [{"text": f"turn {label}", "label": label} for label in ("good", "bad")] * 4
            step = trainers.CoFiPrune(str(model), train=train, **fields)
            out = step.run(learning.dataset(rows), str(model), context=context, teacher=None)
            return out, context.notes
        if kind == "CoFiPrune":
            step = trainers.CoFiPrune(str(model), train=trainers.HardLabel(None, student="x", **options), **fields)
        else:
            step = getattr(trainers, kind)(None, student=str(model), **{**options, **fields})
        more = {"teacher": None} if kind == "QAT" else {}
        return step.run(learning.dataset(learning.rows(8)), str(model), context=context, **more), context.notes

    return run


def _kept(name: str, model: Path, work: Path) -> tuple[Path, Any]:
    from potstill.steps import KeepLayers

    out, context = compressing.run_step(KeepLayers, model, work, every=2)
    return out, context.notes


def _halved(name: str, model: Path, work: Path) -> tuple[Path, Any]:
    from transformers import AutoConfig

    layers = AutoConfig.from_pretrained(model).num_hidden_layers // 2
    return _step("DepthPrune", layers=layers)(name, model, work)


def _export(form: str, precision: str, **fields: Any) -> Callable[[str, Path, Path], tuple[Path, Any]]:
    def run(name: str, model: Path, work: Path) -> tuple[Path, Any]:
        from potstill.steps import Export, ExportEncoder

        context = compressing.context(work, "export")
        if reads(name):
            step = ExportEncoder(str(model), format=form, precision=precision)
            return step.run(model=str(model), probe=None, context=context), context.notes
        step = Export(str(model), format=form, precision=precision, **fields)
        return step.run(model=str(model), probe=None, context=context), context.notes

    return run


def _written(precision: str) -> Callable[[str, Path, Path], tuple[Path, Any]]:
    """Return what writes GGUF as `Export` does, and reads it back in this process: a fresh one takes ten seconds."""

    def run(name: str, model: Path, work: Path) -> tuple[Path, Any]:
        from potstill.exporting.decoders.gguf import GGUF
        from potstill.exporting.decoders.gguf_runtime import dequantized
        from potstill.steps.exporting.language_model import load

        source, out = load(str(model), quantized=False), work / "gguf"
        GGUF(precision).check(source)
        out.mkdir(parents=True)
        source.tokenizer.save_pretrained(out)
        GGUF(precision).write(source, out)
        distance = apart(logits(source.model), logits(dequantized(out).model))
        if distance > 1e-4:
            raise Wrong(f"logits {distance:.2%} apart when the file is read")
        return out, {}

    return run


CAN_BE_BLIND = ("QuantizeInt8", "QuantizeFP8", "NF4")
"""Steps that measure on calibration rows, and can do without."""


def _served(name: str, model: Path, work: Path) -> tuple[Path, Any]:
    """Quantize to int8, and let vLLM itself answer; what can't be quantized is served as it is."""
    from potstill.errors import BadInput
    from potstill.steps import Export, QuantizeInt8

    wide = typed_models.folder(work / "wide", name, **typed_models.WIDE_HEADS.get(name, {}))
    try:
        given, _ = compressing.run_step(QuantizeInt8, wide, work, "int8")
        precision = "as is"
    except BadInput:
        given, precision = wide, "bf16"
    context = compressing.context(work, "export")
    step = Export(str(given), format="compressed-tensors", precision=precision)
    return step.run(model=str(given), probe=None, context=context), context.notes


def _passed_on(name: str, model: Path, work: Path) -> tuple[Path, Any]:
    """Quantize to int8, write what vLLM loads as `Export` does, and read it back in this process, by transformers."""
    from potstill.errors import BadInput
    from potstill.exporting.decoders.compressed_tensors import CompressedTensors
    from potstill.exporting.decoders.vllm_runtime import reloaded
    from potstill.exporting.probe import InMemory, answers_of, own_texts, probe_of
    from potstill.exporting.verdict import judge
    from potstill.steps import QuantizeInt8
    from potstill.steps.exporting.language_model import load

    try:
        given, _ = compressing.run_step(QuantizeInt8, model, work, "int8")
        exporter = CompressedTensors("as is", needs_kernels=False)
    except BadInput:
        given, exporter = model, CompressedTensors("bf16", needs_kernels=False)
    source, out = load(str(given), quantized=True), work / "passed-on"
    exporter.check(source)
    out.mkdir(parents=True)
    source.tokenizer.save_pretrained(out)
    asked = probe_of(own_texts(source.model, 0))
    before = answers_of(InMemory(source.model, source.tokenizer), asked)
    exporter.write(source, out)
    judge(before, None, answers_of(reloaded(out), asked), exporter.rise())
    return out, {}


SHAPE = {"intermediate_size": 64, "align": 32}
COLUMNS: dict[str, tuple[Callable[[str, Path, Path], tuple[Path, Any]], Check]] = {
    "train hard": (trained.trained("HardLabel"), trained.changed),
    "train soft": (trained.trained("SoftLabel"), trained.changed),
    "LoRA": (trained.trained("HardLabel", lora=trained.ADAPTER), trained.changed),
    "QLoRA": (trained.trained("HardLabel", qlora=True), trained.changed),
    "keep layers": (_kept, without_blocks),
    "magnitude": (_step("MagnitudePrune", sparsity=0.5, blind=True), masked()),
    "Wanda": (_step("WandaPrune", sparsity=0.5), masked()),
    "SparseGPT": (_step("SparseGPTPrune", sparsity=0.5), masked(updated=True)),
    "2:4": (_step("WandaPrune", pattern="2:4"), masked(pattern=True)),
    "width": (_step("WidthPrune", **SHAPE), smaller),
    "hidden": (_step("WidthPrune", heads=2, hidden_size=32, align=32), smaller),
    "depth": (_halved, without_blocks),
    "heads": (_step("HeadPrune", heads=2, masked=True, label=True), loads),
    "experts": (_step("ExpertPrune", experts=3), smaller),
    "Bonsai": (_step("BonsaiPrune", submodels=4, label=True, **SHAPE), smaller),
    "CoFi": (_trained("CoFiPrune", **SHAPE), loads),
    "low rank": (_step("LowRank", rank=8), loads),
    "int8": (_step("QuantizeInt8"), stored),
    "SmoothQuant": (_step("QuantizeInt8", smoothquant=0.5), stored),
    "GPTQ": (_step("QuantizeInt4"), stored),
    "AWQ": (_step("QuantizeInt4", method="awq"), stored),
    "FP8": (_step("QuantizeFP8"), stored),
    "NF4": (_step("NF4"), agrees(0.8)),
    "GOBO": (_step("GOBO", blind=True), loads),
    "QAT": (_trained("QAT", bits=8, alpha=0.0, learning_rate=1e-6), stored),
    "mixed": (_step("MixedPrecision", bits=6.0), stored),
    "GGUF": (_written("f32"), exported),
    "ONNX": (_export("onnx", "f32"), exported),
    "OpenVINO": (_export("openvino", "f32"), exported),
    "compressed-tensors": (_passed_on, exported),
    "vLLM": (_served, exported),
}
"""What runs and what checks, by the name of the column."""
EXPERTS_ONLY = ("experts",)
"""Columns that make sense for mixtures of experts alone."""
WHEN_NAMED = ("vLLM",)
"""Columns that run only when they are asked for by name: a cell takes a minute."""
ENCODER_ONLY_LACKS = ("LoRA", "QLoRA", "QAT", "GGUF", "compressed-tensors", "vLLM")
"""Columns that make no sense for encoders: formats and trainers of language models."""
