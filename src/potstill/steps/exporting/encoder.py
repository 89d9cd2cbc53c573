"""ExportEncoder: write a classifier or sentence encoder for one runtime, checked in a fresh process."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt

from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem
from potstill.models import folder as checkpoint
from potstill.models.card import Task, name_of, write_card
from potstill.models.edge import Model
from potstill.models.identity import folder_of
from potstill.models.licences import licence_at
from potstill.models.loading import config_of
from potstill.models.preload import MODEL
from potstill.models.sentence_encoder import load_float32, texts_in

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import ModelConfig
    from potstill.engine.context import Context
    from potstill.exporting.encoders.exporter import EncoderExporter
    from potstill.exporting.encoders.model import EncoderModel, Kind
    from potstill.models.protocols import ModelSource

TASKS: Mapping[Kind, Task] = {"classes": "text-classification", "vectors": "sentence-similarity"}
"""What a model does, as the Hub calls it."""
PASSED_ON = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "*.model",
    "LICENSE*",
    "LICENCE*",
    "NOTICE*",
)
"""Files of the model's folder that the export holds too."""
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "sentencepiece.bpe.model")
"""Files of which a folder with a tokenizer has one."""


class ExportEncoder(Step):
    """Write a classifier or sentence encoder for ONNX Runtime or OpenVINO, and show that it answers as the model does.

    The graph holds all behind the tokens: a classifier gives logits, a sentence encoder (a sentence-transformers folder
    or, with mean pooling, a bare encoder) its pooled vector. At 8 and 4 bits the embeddings, most of a small encoder,
    are 8 bits, or by `embeddings` 4; a classifier's head stays f32 in `onnx`, and is 8 bits in `openvino`. The script
    of the folder's `SERVE.md` answers probe texts in a fresh process: its tokens must be the model's, the change of the
    probabilities or vectors small beside what lies between different texts, and few classes others that had a lead.
    Only then is the export called `deployable`. For types BERT, DistilBERT, ELECTRA, RoBERTa and XLM-RoBERTa.

    >>> show(ExportEncoder(KeepLayers(encoder, layers=(0,))))
    ['README.md', 'SERVE.md', 'SHA256SUMS', 'config.json', 'model.onnx', 'special_tokens_map.json', 'tokenizer.json',
     'tokenizer_config.json', 'vocab.txt']
    """

    makes: ClassVar[str] = "model"
    version: ClassVar[int] = 2  # int8 products in ONNX Runtime are exact on every processor
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL
    unkeyed: ClassVar[frozenset[str]] = frozenset({"time_limit"})

    model: Model
    """Sequence classifier or sentence encoder: a step, a folder or a Hub id."""
    _: KW_ONLY
    format: Literal["onnx", "openvino"] = "onnx"
    """For which runtime: ONNX Runtime or OpenVINO."""
    precision: Literal["f32", "int8", "int4"] = "int8"
    """How weights are stored: with a scale for each output at 8 bits, and for each 32 inputs at 4 bits."""
    activations: Literal["tensor", "group"] = "tensor"
    """At 8 bits in onnx, which inputs of a layer share a scale: all of a batch, which is twice as fast as f32; or 32 of
    a token's, and of the weights', which changes answers a fifth as much (on MiniLM) and is as fast as f32."""
    embeddings: Literal["int8", "int4"] = "int8"
    """At 4 bits in onnx, how embeddings are stored: with a scale a row, or half as large for each 32 numbers."""
    probe: Rows | None = None
    """Rows with texts that the answers are compared on, best of the model's task; without them texts are drawn from its
    vocabulary."""
    text: str = "text"
    """Column of these texts."""
    samples: Annotated[int, Ge(2)] = 64
    """Probe rows to draw."""
    tolerance: Annotated[float, Gt(0)] | None = None
    """Largest mean change of the answers, as a share of the mean distance of answers to different texts: of
    probabilities (total variation), or of vectors at length 1. `None` is 0.005 for f32, 0.1 for int8 (0.2 where a
    batch's activations share a scale) and 0.3 for int4; on texts of the task, given as `probe`, expect far less."""
    seed: int = 0
    """Seed of the draw of probe texts."""
    time_limit: Annotated[float, Gt(0)] = 1200.0
    """Seconds that the fresh process may take."""

    def check(self) -> Iterable[Problem]:
        """Yield what is chosen where the format settles it."""
        if self.activations != "tensor" and (self.format, self.precision) != ("onnx", "int8"):
            own = f"{self.format} at {self.precision} has its own"
            text = f"is {self.activations!r}, which only onnx at int8 lets choose; {own}: leave it out"
            yield Problem("", "activations", text)
        if self.embeddings != "int8" and (self.format, self.precision) != ("onnx", "int4"):
            text = f"is {self.embeddings!r}, which only onnx at int4 lets choose: leave it out"
            yield Problem("", "embeddings", text)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that the probe rows must have."""
        return {"probe": (self.text,)} if self.probe is not None else {}

    def run(self, model: ModelSource, context: Context, probe: Dataset | None = None) -> Path:
        """Write the export of `model`, check it, and return its folder.

        Raises:
            BadInput: the model can't be exported, or packages are missing.
            PotstillError: the export does not answer as the model does.
        """
        from potstill.exporting.encoders.fresh_process import fresh_answers
        from potstill.exporting.encoders.probe import in_memory, judge, probe_texts
        from potstill.exporting.folder import write_digests, write_serving

        source, exporter = load(model), self._exporter()
        exporter.check(source)
        texts = probe_texts(source, self._drawn(probe), self.seed)
        before = in_memory(source, texts)
        context.progress(1, 3, note="writing")
        _carry(source, context.out)
        recipe = exporter.write(source, context.out)
        # before the check, which runs the script in SERVE.md; rewritten with the statement after it
        write_serving(context.out, exporter.serving(source), "")
        context.progress(2, 3, note="asking what was written")
        fresh = fresh_answers(exporter.package(), context.out, texts, self.time_limit, context.threads)
        figures = judge(source.kind, before, fresh, self.tolerance or exporter.change())
        statement = f"Checked in a fresh process by {fresh.runtime}."
        write_serving(context.out, exporter.serving(source), statement)
        self._write_card(source, recipe, context.out, figures)
        write_digests(context.out)
        context.notes |= {"deployable": True, "checked": statement, "export": dict(figures)}
        context.progress(3, 3)
        return context.out

    def _exporter(self) -> EncoderExporter:
        """Return the format that the fields describe."""
        from potstill.exporting.encoders.onnx import EncoderONNX
        from potstill.exporting.encoders.openvino import EncoderOpenVINO

        if self.format == "openvino":
            return EncoderOpenVINO(self.precision)
        return EncoderONNX(self.precision, self.activations, self.embeddings)

    def _drawn(self, rows: Dataset | None) -> list[str]:
        """Return the texts of some of the probe rows, in the order of the rows.

        Raises:
            BadInput: a row has no text.
        """
        import numpy as np

        if rows is None:
            return []
        count = min(self.samples, len(rows))
        drawn = np.random.default_rng(self.seed).choice(len(rows), count, replace=False)
        return list(texts_in(rows.select(sorted(drawn.tolist())), self.text, "text"))

    def _write_card(
        self, source: EncoderModel, recipe: Mapping[str, object], out: Path, figures: Mapping[str, float]
    ) -> None:
        from potstill.exporting.folder import point_to_serving

        recipe = {"format": self.format, "precision": self.precision, **recipe}
        recipe["deployable"] = "yes, checked with the serving runtime"
        card = write_card(
            out,
            title=f"{source.name}, {self.format} {self.precision}",
            made_from=source.name,
            recipe=recipe,
            figures=figures,
            licence=licence_at(source.folder).id or None,
            task=TASKS[source.kind],
        )
        point_to_serving(card)


def load(model: ModelSource) -> EncoderModel:
    """Load the classifier or sentence encoder that is exported, in float32.

    Raises:
        BadInput: it is neither, quantized, or without a tokenizer.
    """
    import torch
    from transformers import AutoTokenizer

    from potstill.exporting.encoders.model import check_type, classifier, sentence_encoder

    folder = folder_of(model)
    config = config_of(folder)
    kind = (config.architectures or ["no architecture"])[0]
    _check(folder, config, kind)
    if kind.endswith("ForSequenceClassification"):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        check_type(folder, config, tokenizer)  # before its weights are read, which may be those of another type
        return classifier(folder, name_of(folder), checkpoint.with_head(folder, torch.float32), tokenizer)
    return sentence_encoder(folder, name_of(folder), load_float32(folder, 0).float().eval())


def _check(folder: Path, config: ModelConfig, kind: str) -> None:
    """Make sure that a model reads texts, and has classes or vectors to export.

    Raises:
        BadInput: it hasn't.
    """
    method = (getattr(config, "quantization_config", None) or {}).get("quant_method")
    if method:
        raise BadInput(
            f"the model {folder} is quantized already ({method}), and the formats quantize by themselves: "
            f"export the model that it was made from{_made_from(folder)}"
        )
    if kind.endswith(("ForCausalLM", "LMHeadModel")):
        raise BadInput(
            f"the model {folder} is a {kind}: ExportEncoder writes classifiers and sentence encoders; "
            "for language models take Export"
        )
    is_encoder = (folder / checkpoint.SENTENCE[0]).is_file() or kind.endswith("Model")
    if not is_encoder and not kind.endswith("ForSequenceClassification"):
        raise BadInput(
            f"the model {folder} is a {kind}: ExportEncoder writes models that name a class of a text, or "
            "give its vector; train a Classifier or SentenceEncoder from it"
        )
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise BadInput(f"the model {folder} has no tokenizer for texts: save one there (tokenizer.json)")


def _made_from(folder: Path) -> str:
    """Return the name of the model that the card in `folder` says it was made from, to end a sentence."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    named = re.search(r"^Made by Potstill from (.+)\.$", text, re.M)
    return ", " + re.sub(r"\\(.)", r"\1", named.group(1)) if named else ""


def _carry(source: EncoderModel, out: Path) -> None:
    """Write tokenizer, configuration and licences."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted({path for pattern in PASSED_ON for path in source.folder.glob(pattern)}):
        if path.is_file():
            shutil.copyfile(path, out / path.name)
    if not (out / "tokenizer.json").is_file():
        source.tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    source.config.save_pretrained(out)
