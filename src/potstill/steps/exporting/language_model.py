"""Export: write a language model for one runtime, checked in a fresh process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from annotated_types import Ge, Gt

from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem
from potstill.exporting.decoders import compressed_tensors, executorch, gguf, onnx, onnx_pairs, openvino
from potstill.exporting.exporter import Exporter, Source, Written
from potstill.models import folder as checkpoint
from potstill.models.card import name_of, write_card
from potstill.models.edge import Model
from potstill.models.identity import folder_of
from potstill.models.licences import licence_at
from potstill.models.loading import config_of, pretrained
from potstill.models.preload import MODEL
from potstill.prompts import Template
from potstill.steps.compression.calibration import calibration_texts

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.exporting.probe import Answers, Probe
    from potstill.models.protocols import ModelSource

Precision = Literal[
    "as is", "f32", "f16", "bf16", "int8", "int4", "q8_0", "q4_0", "tq1_0", "tq2_0", "q4_k_m", "q5_k_m", "q6_k"
]
"""How weights are stored, in all formats."""
PRECISIONS: Mapping[str, tuple[str, ...]] = {
    "compressed-tensors": get_args(compressed_tensors.Precision),
    "onnx": get_args(onnx.Precision),
    "openvino": get_args(openvino.Precision),
    "gguf": get_args(gguf.Type),
    "executorch": get_args(executorch.Precision),
}
"""What each format can store."""
DEFAULTS: Mapping[str, str] = {
    "compressed-tensors": "as is",
    "onnx": "int4",
    "openvino": "int8",
    "gguf": "q8_0",
    "executorch": "int4",
}
"""Precision where none is given."""


class Export(Step):
    """Write a model for one runtime, and show that the runtime answers as the model does.

    What was written is loaded in a fresh process, and its perplexity on probe texts compared with the model's in
    memory: within 0.5 % for lossless formats, within a stated change for quantized ones; its tokenizer must read probe
    texts alike. Where the serving runtime itself did that on this machine, card and notes say `deployable`. The folder
    also holds tokenizer, chat template, generation config, licences, digests, and `SERVE.md` with the command that
    serves it. `compressed-tensors` passes on a 16-bit folder, or one that QuantizeInt8 or QuantizeInt4 made, to vLLM.
    The others quantize by themselves, from a 16- or 32-bit model: `onnx` for onnxruntime-genai, `openvino` for
    openvino-genai, `gguf` for llama.cpp and Ollama, `executorch` for programs on phones and elsewhere. An
    encoder-decoder is written as `onnx` in two files, which ONNX Runtime alone serves.

    >>> show(Export(student, format="onnx", precision="int4"))
    ['README.md', 'SERVE.md', 'SHA256SUMS', 'chat_template.jinja', 'config.json', 'genai_config.json',
     'generation_config.json', 'model.onnx', 'model.onnx.data', 'tokenizer.json', 'tokenizer_config.json']
    """

    makes: ClassVar[str] = "model"
    version: ClassVar[int] = 3  # GGUF in 4 bits has an output layer of 8, as llama.cpp's own tool makes it
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL
    unkeyed: ClassVar[frozenset[str]] = frozenset({"time_limit"})

    model: Model
    """Causal language model, or for onnx an encoder-decoder: a step, a folder or a Hub id."""
    _: KW_ONLY
    format: Literal["compressed-tensors", "onnx", "openvino", "gguf", "executorch"] = "compressed-tensors"
    """For which runtime: vLLM, onnxruntime-genai, openvino-genai, llama.cpp and Ollama, or ExecuTorch."""
    precision: Precision | None = None
    """How weights are stored; `None` is "as is" for compressed-tensors, "int4" for onnx and executorch, "int8" for
    openvino and "q8_0" for gguf; an encoder-decoder has "int8", the default, and "f32". Ternary types (tq) are for
    models trained for them; those with k need llama.cpp's llama-quantize."""
    group_size: Literal[32, 64, 128] = 32
    """Input features that share a scale in onnx, and at 4 bits in openvino and executorch; gguf's types have
    their own."""
    probe: Rows | None = None
    """Rows whose answers are scored, with `output` and what `prompt` needs, or `text`; without them the model draws
    texts from its own distribution."""
    prompt: Template = "answer.jinja"
    """Template that turns a probe row into a chat; that of training and evaluation."""
    text: str | None = None
    """Column of plain texts to probe with instead of chats."""
    samples: Annotated[int, Ge(1)] = 16
    """Probe rows to draw; enough, because the same tokens are scored before and after."""
    max_length: Annotated[int, Ge(8)] = 128
    """Longest probe text, in tokens."""
    tolerance: Annotated[float, Gt(0)] | None = None
    """Largest change of perplexity, as a share; `None` is 0.005 for lossless formats, 0.02 at 8 bits and 0.25 at 4 bits
    and below, where small models lose most."""
    kernels: bool = True
    """Whether the serving runtime itself must answer here. Without it the files are only read back, which is quicker
    (vLLM takes a minute to start), and the result is not called deployable."""
    seed: int = 0
    """Seed of the draw of probe texts."""
    time_limit: Annotated[float, Gt(0)] = 1200.0
    """Seconds that a fresh process may take."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the probe rows must have."""
        return {"probe": (self.text or "output",)} if self.probe is not None else {}

    def check(self) -> Iterable[Problem]:
        """Yield a precision that the format doesn't have."""
        supported = PRECISIONS[self.format]
        if self.precision is not None and self.precision not in supported:
            text = f"format {self.format!r} can't store {self.precision!r}: it has {', '.join(map(repr, supported))}"
            yield Problem("", "precision", text)

    def run(self, model: ModelSource, context: Context, probe: Dataset | None = None) -> Path:
        """Write the export of `model`, check it, and return its folder.

        Raises:
            BadInput: the format can't hold the model, or its packages are missing.
            PotstillError: the export does not answer as the model does.
        """
        from potstill.exporting.decoders.pairs_probe import PairsInMemory
        from potstill.exporting.folder import write_digests, write_serving
        from potstill.exporting.probe import InMemory, answers_of

        source = load(model, quantized=self.format == "compressed-tensors", pairs=self.format == "onnx")
        exporter = self._exporter(source)
        exporter.check(source)
        pairs = source.model.config.is_encoder_decoder
        memory = (PairsInMemory if pairs else InMemory)(source.model, source.tokenizer)
        asked = self._asked(source, probe)
        before = answers_of(memory, asked)
        context.progress(1, 4, note="writing")
        _carry(source, context.out)
        written = exporter.write(source, context.out)
        write_serving(context.out, exporter.serving(source), "")
        # asked again: writing may have quantized the model in memory, and a reader of the file must answer just like it
        held = answers_of(memory, asked) if written.is_exact else None
        context.progress(2, 4, note="asking what was written")
        figures, by = self._checked(exporter, context, asked, before, held)
        deployable = exporter.serving_runtime() in by
        statement = _statement(deployable, by, exporter)
        context.progress(3, 4, note=statement)
        write_serving(context.out, exporter.serving(source), statement)
        self._write_card(source, written, context, figures, deployable)
        write_digests(context.out)
        context.notes |= {"deployable": deployable, "checked": statement, "export": dict(figures)}
        context.progress(4, 4)
        return context.out

    def _precision(self, source: Source) -> str:
        """Return how the weights of a model are stored."""
        default = onnx_pairs.ONNXPairs.precision if source.model.config.is_encoder_decoder else DEFAULTS[self.format]
        return self.precision or default

    def _exporter(self, source: Source) -> Exporter:
        """Return the format that the fields describe."""
        precision: Any = self._precision(source)
        if source.model.config.is_encoder_decoder:
            return onnx_pairs.ONNXPairs(precision)
        match self.format:
            case "compressed-tensors":
                return compressed_tensors.CompressedTensors(precision, self.kernels)
            case "onnx":
                return onnx.ONNX(precision, self.group_size)
            case "openvino":
                return openvino.OpenVINO(precision, self.group_size)
            case "gguf":
                return gguf.GGUF(precision)
            case "executorch":
                return executorch.ExecuTorch(precision, self.group_size)

    def _asked(self, source: Source, rows: Dataset | None) -> Probe:
        """Return what the model is asked."""
        from potstill.exporting.decoders.pairs_probe import joined, own_pairs
        from potstill.exporting.probe import own_texts, probe_of

        pairs = source.model.config.is_encoder_decoder
        if rows is None:
            return probe_of((own_pairs if pairs else own_texts)(source.model, self.seed))
        drawn = calibration_texts(
            rows,
            source.tokenizer,
            source.model.config,
            prompt=self.prompt,
            text=self.text,
            samples=self.samples,
            max_length=self.max_length,
            seed=self.seed,
        )
        texts = [(ids.tolist(), prompt) for ids, prompt in drawn.texts]
        return probe_of([joined(*text) for text in texts] if pairs else texts)

    def _checked(
        self, exporter: Exporter, context: Context, asked: Probe, before: Answers, held: Answers | None
    ) -> tuple[Mapping[str, float], dict[str, str]]:
        """Run the probe in every runtime that reads the export; return the serving one's metrics, and all by name.

        Raises:
            PotstillError: a runtime can't read it, or answers otherwise.
        """
        from potstill.exporting.decoders.fresh_process import fresh_answers
        from potstill.exporting.verdict import judge

        rise = self.tolerance or exporter.rise()
        readers = exporter.readers() if self.kernels else exporter.readers()[-1:]
        figures: Mapping[str, float] = {}
        by: dict[str, str] = {}
        # the last only reads the file, so it goes first: what it finds says more than a kernel that is off
        for reader in reversed(readers):
            fresh = fresh_answers(reader, context.out, asked, self.time_limit, context.threads)
            # these load the file into transformers, where the model in memory is: their answers must be the same
            reads = reader in ("transformers", "gguf-transformers")
            figures = judge(before, held if reads else None, fresh, rise)
            by[reader] = fresh.runtime
        return figures, by

    def _write_card(
        self, source: Source, written: Written, context: Context, figures: Mapping[str, float], deployable: bool
    ) -> None:
        from potstill.exporting.folder import point_to_serving

        precision = self._precision(source)
        recipe = {"format": self.format, "precision": precision, **dict(written.notes)}
        recipe["deployable"] = "yes, checked with the serving runtime" if deployable else "not checked"
        write_card(
            context.out,
            title=f"{source.name}, {self.format}",
            made_from=source.name,
            recipe=recipe,
            figures=figures,
            licence=licence_at(source.folder).id or None,
            task="text2text-generation" if source.model.config.is_encoder_decoder else "text-generation",
        )
        point_to_serving(context.out / "README.md")


def load(model: ModelSource, *, quantized: bool, pairs: bool = False) -> Source:
    """Load the language model that is exported: in float32, or as it is quantized where that is allowed.

    With `pairs` an encoder-decoder is taken too.

    Raises:
        BadInput: it is no such language model, or quantized.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    folder = folder_of(model)
    config = config_of(folder)
    kinds = config.architectures or ["no architecture"]
    two_sided = bool(getattr(config, "is_encoder_decoder", False))
    if two_sided and not pairs:
        raise BadInput(f'the model {folder} is a {kinds[0]}, an encoder-decoder: Export writes it as format="onnx"')
    if not two_sided and not kinds[0].endswith(("ForCausalLM", "LMHeadModel")):
        raise BadInput(
            f"the model {folder} is a {kinds[0]}: Export writes causal language models and encoder-decoders; for "
            "encoders take ExportEncoder"
        )
    stored = getattr(config, "quantization_config", None)
    if stored and not quantized:
        raise BadInput(
            f"the model {folder} is quantized already ({stored['quant_method']}), and this format quantizes by itself: "
            'take the 16-bit model it was made from, or format="compressed-tensors"'
        )
    dtype = "auto" if stored else torch.float32
    if two_sided:
        # plain attention is what can be traced
        options = {"dtype": dtype, "attn_implementation": "eager"}
        loaded = pretrained(AutoModelForSeq2SeqLM, folder, "be exported", options).eval()
    else:
        loaded = pretrained(AutoModelForCausalLM, folder, "be exported", {"dtype": dtype}).eval()
    return Source(folder, loaded, AutoTokenizer.from_pretrained(folder), name_of(folder))


def _carry(source: Source, out: Path) -> None:
    """Copy what every runtime's folder holds: tokenizer, chat template, generation config, licences."""
    out.mkdir(parents=True, exist_ok=True)
    checkpoint.Loaded(source.folder, source.model, source.tokenizer).carry(out)
    generation = source.model.generation_config
    if generation is not None and not (out / "generation_config.json").exists():
        generation.save_pretrained(out)


def _statement(deployable: bool, by: Mapping[str, str], exporter: Exporter) -> str:
    """Return a sentence on which runtimes checked the export."""
    checked = f"Checked in a fresh process by {' and '.join(by.values())}."
    if deployable:
        return checked
    return f"{checked} Not checked by {exporter.serving_runtime()} itself, so not called deployable."
