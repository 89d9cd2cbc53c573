"""Steps: one concept a file, one family a room (load, generate, label, filter, prune, quantize, evaluate, report).

May import the engine, prompts, teachers and the pure-math modules; never trainers or pipelines.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.steps.compression.cast_half import CastHalf
    from potstill.steps.compression.keep_layers import KeepLayers
    from potstill.steps.compression.low_rank import LowRank
    from potstill.steps.compression.share_weights import ShareWeights
    from potstill.steps.compression.trim_vocabulary import TrimVocabulary
    from potstill.steps.evaluation.classifier import EvaluateClassifier
    from potstill.steps.evaluation.diversity import Diversity
    from potstill.steps.evaluation.language_model import Evaluate
    from potstill.steps.evaluation.perplexity import EvaluatePerplexity
    from potstill.steps.evaluation.size_table import SizeTable
    from potstill.steps.evaluation.token_classifier import EvaluateTokenClassifier
    from potstill.steps.evaluation.translation import EvaluateTranslation
    from potstill.steps.exporting.encoder import ExportEncoder
    from potstill.steps.exporting.language_model import Export
    from potstill.steps.filtering.confidence import KeepConfident
    from potstill.steps.filtering.decontaminate import Decontaminate
    from potstill.steps.filtering.deduplicate import Deduplicate, DeduplicateEmbedding, DeduplicateNear
    from potstill.steps.filtering.filter import FilterRows, ValidJSON
    from potstill.steps.filtering.text_quality import LanguageFilter, LengthFilter, RepetitionFilter
    from potstill.steps.generation.attributes import DataFromAttributedPrompt
    from potstill.steps.generation.decode import Decode
    from potstill.steps.generation.few_shot import FewShotPrompt
    from potstill.steps.generation.filter_prompt import FilterWithPrompt
    from potstill.steps.generation.from_prompt import DataFromPrompt
    from potstill.steps.generation.process import ProcessWithPrompt
    from potstill.steps.generation.prompt import Prompt
    from potstill.steps.generation.rank import RankWithPrompt
    from potstill.steps.generation.retrieval import FewShotPromptWithRetrieval, RAGPrompt
    from potstill.steps.generation.structured import StructuredGeneration
    from potstill.steps.init_models import RandomModel, RandomSeq2Seq, TrainTokenizer
    from potstill.steps.instructions.backtranslate import Backtranslate
    from potstill.steps.instructions.classify_tasks import DetectClassification
    from potstill.steps.instructions.evol_instruct import EvolInstruct
    from potstill.steps.instructions.grow_examples import GrowFromExamples
    from potstill.steps.instructions.input_from_label import InputFromLabel
    from potstill.steps.instructions.instances import WriteInstances
    from potstill.steps.instructions.magpie import Magpie
    from potstill.steps.instructions.parse_prompt import ParsePrompt
    from potstill.steps.instructions.self_instruct import SelfInstruct
    from potstill.steps.instructions.training_text import EncodeInstructions
    from potstill.steps.labelling.add_pseudo_labels import AddPseudoLabels
    from potstill.steps.labelling.average_probabilities import AverageProbabilities
    from potstill.steps.labelling.class_probabilities import ClassProbabilities
    from potstill.steps.labelling.classify import ClassifyWithTeacher
    from potstill.steps.labelling.consensus import Consensus
    from potstill.steps.labelling.hidden_labels import HiddenLabels
    from potstill.steps.labelling.interpolate import Interpolate
    from potstill.steps.labelling.judge import JudgePairsWithPrompt
    from potstill.steps.labelling.judge_generations import JudgeGenerationPairsWithPrompt
    from potstill.steps.labelling.labeling_functions import LabelingFunctions
    from potstill.steps.labelling.preference_pairs import PairsFromScores, PairsFromVerdicts
    from potstill.steps.labelling.pseudo_label import PseudoLabel
    from potstill.steps.labelling.score import ScoreText, SoftLabels
    from potstill.steps.labelling.split_text import Halves
    from potstill.steps.labelling.task_model import RunTaskModel
    from potstill.steps.loading.csv_files import LoadCSV
    from potstill.steps.loading.hub import LoadFolder, LoadHub
    from potstill.steps.loading.in_memory import LoadRows
    from potstill.steps.loading.json_files import LoadJSON
    from potstill.steps.loading.parquet_files import LoadParquet
    from potstill.steps.loading.seeds import LoadSeeds
    from potstill.steps.loading.text_files import LoadText
    from potstill.steps.pruning.bonsai import BonsaiPrune
    from potstill.steps.pruning.depth import DepthPrune
    from potstill.steps.pruning.heads import HeadPrune
    from potstill.steps.pruning.magnitude import MagnitudePrune
    from potstill.steps.pruning.rewind import Rewind
    from potstill.steps.pruning.sparsegpt import SparseGPTPrune
    from potstill.steps.pruning.wanda import WandaPrune
    from potstill.steps.pruning.width import WidthPrune
    from potstill.steps.quantization.encoder import QuantizeEncoder
    from potstill.steps.quantization.fp8 import QuantizeFP8
    from potstill.steps.quantization.gobo import GOBO
    from potstill.steps.quantization.int4 import QuantizeInt4
    from potstill.steps.quantization.int8 import QuantizeInt8
    from potstill.steps.quantization.layerwise_distill import LayerwiseDistill
    from potstill.steps.quantization.llm_int8 import LLMInt8
    from potstill.steps.quantization.mixed_precision import MixedPrecision
    from potstill.steps.quantization.nf4 import NF4
    from potstill.steps.report import Report
    from potstill.steps.retrieval.embed import Embed
    from potstill.steps.retrieval.retrieve import Retrieve
    from potstill.steps.retrieval.similarity import CosineSimilarity
    from potstill.steps.rows.columns import Drop, Rename, Select
    from potstill.steps.rows.concat_zip import Concat, Zip
    from potstill.steps.rows.group_explode import Explode, Group
    from potstill.steps.rows.join import Join
    from potstill.steps.rows.map_rows import Map, MapBatches
    from potstill.steps.rows.sort_sample import Shard, Shuffle, Skip, Sort, Take
    from potstill.steps.rows.split import Split
    from potstill.steps.rows.sql import SQL
    from potstill.steps.rows.to_messages import ToMessages

_HOME = {
    "AddPseudoLabels": "labelling.add_pseudo_labels",
    "AverageProbabilities": "labelling.average_probabilities",
    "Backtranslate": "instructions.backtranslate",
    "BonsaiPrune": "pruning.bonsai",
    "CastHalf": "compression.cast_half",
    "ClassifyWithTeacher": "labelling.classify",
    "ClassProbabilities": "labelling.class_probabilities",
    "Concat": "rows.concat_zip",
    "Consensus": "labelling.consensus",
    "CosineSimilarity": "retrieval.similarity",
    "DataFromAttributedPrompt": "generation.attributes",
    "DataFromPrompt": "generation.from_prompt",
    "Decode": "generation.decode",
    "Decontaminate": "filtering.decontaminate",
    "Deduplicate": "filtering.deduplicate",
    "DeduplicateEmbedding": "filtering.deduplicate",
    "DeduplicateNear": "filtering.deduplicate",
    "DepthPrune": "pruning.depth",
    "DetectClassification": "instructions.classify_tasks",
    "Diversity": "evaluation.diversity",
    "Drop": "rows.columns",
    "Embed": "retrieval.embed",
    "EncodeInstructions": "instructions.training_text",
    "Evaluate": "evaluation.language_model",
    "EvaluateClassifier": "evaluation.classifier",
    "EvaluatePerplexity": "evaluation.perplexity",
    "EvaluateTokenClassifier": "evaluation.token_classifier",
    "EvaluateTranslation": "evaluation.translation",
    "EvolInstruct": "instructions.evol_instruct",
    "Explode": "rows.group_explode",
    "Export": "exporting.language_model",
    "ExportEncoder": "exporting.encoder",
    "FewShotPrompt": "generation.few_shot",
    "FewShotPromptWithRetrieval": "generation.retrieval",
    "FilterRows": "filtering.filter",
    "FilterWithPrompt": "generation.filter_prompt",
    "GOBO": "quantization.gobo",
    "Group": "rows.group_explode",
    "GrowFromExamples": "instructions.grow_examples",
    "Halves": "labelling.split_text",
    "HeadPrune": "pruning.heads",
    "HiddenLabels": "labelling.hidden_labels",
    "InputFromLabel": "instructions.input_from_label",
    "Interpolate": "labelling.interpolate",
    "Join": "rows.join",
    "JudgeGenerationPairsWithPrompt": "labelling.judge_generations",
    "JudgePairsWithPrompt": "labelling.judge",
    "KeepConfident": "filtering.confidence",
    "KeepLayers": "compression.keep_layers",
    "LabelingFunctions": "labelling.labeling_functions",
    "LanguageFilter": "filtering.text_quality",
    "LayerwiseDistill": "quantization.layerwise_distill",
    "LengthFilter": "filtering.text_quality",
    "LLMInt8": "quantization.llm_int8",
    "LoadCSV": "loading.csv_files",
    "LoadFolder": "loading.hub",
    "LoadHub": "loading.hub",
    "LoadJSON": "loading.json_files",
    "LoadParquet": "loading.parquet_files",
    "LoadRows": "loading.in_memory",
    "LoadSeeds": "loading.seeds",
    "LoadText": "loading.text_files",
    "LowRank": "compression.low_rank",
    "MagnitudePrune": "pruning.magnitude",
    "Magpie": "instructions.magpie",
    "Map": "rows.map_rows",
    "MapBatches": "rows.map_rows",
    "MixedPrecision": "quantization.mixed_precision",
    "NF4": "quantization.nf4",
    "PairsFromScores": "labelling.preference_pairs",
    "PairsFromVerdicts": "labelling.preference_pairs",
    "ParsePrompt": "instructions.parse_prompt",
    "ProcessWithPrompt": "generation.process",
    "Prompt": "generation.prompt",
    "PseudoLabel": "labelling.pseudo_label",
    "QuantizeEncoder": "quantization.encoder",
    "QuantizeFP8": "quantization.fp8",
    "QuantizeInt4": "quantization.int4",
    "QuantizeInt8": "quantization.int8",
    "RAGPrompt": "generation.retrieval",
    "RandomModel": "init_models",
    "RandomSeq2Seq": "init_models",
    "RankWithPrompt": "generation.rank",
    "Rename": "rows.columns",
    "RepetitionFilter": "filtering.text_quality",
    "Report": "report",
    "Retrieve": "retrieval.retrieve",
    "Rewind": "pruning.rewind",
    "RunTaskModel": "labelling.task_model",
    "ScoreText": "labelling.score",
    "Select": "rows.columns",
    "SelfInstruct": "instructions.self_instruct",
    "Shard": "rows.sort_sample",
    "ShareWeights": "compression.share_weights",
    "Shuffle": "rows.sort_sample",
    "SizeTable": "evaluation.size_table",
    "Skip": "rows.sort_sample",
    "SoftLabels": "labelling.score",
    "Sort": "rows.sort_sample",
    "SparseGPTPrune": "pruning.sparsegpt",
    "Split": "rows.split",
    "SQL": "rows.sql",
    "StructuredGeneration": "generation.structured",
    "Take": "rows.sort_sample",
    "ToMessages": "rows.to_messages",
    "TrainTokenizer": "init_models",
    "TrimVocabulary": "compression.trim_vocabulary",
    "ValidJSON": "filtering.filter",
    "WandaPrune": "pruning.wanda",
    "WidthPrune": "pruning.width",
    "WriteInstances": "instructions.instances",
    "Zip": "rows.concat_zip",
}

__all__ = [
    "GOBO",
    "NF4",
    "SQL",
    "AddPseudoLabels",
    "AverageProbabilities",
    "Backtranslate",
    "BonsaiPrune",
    "CastHalf",
    "ClassProbabilities",
    "ClassifyWithTeacher",
    "Concat",
    "Consensus",
    "CosineSimilarity",
    "DataFromAttributedPrompt",
    "DataFromPrompt",
    "Decode",
    "Decontaminate",
    "Deduplicate",
    "DeduplicateEmbedding",
    "DeduplicateNear",
    "DepthPrune",
    "DetectClassification",
    "Diversity",
    "Drop",
    "Embed",
    "EncodeInstructions",
    "Evaluate",
    "EvaluateClassifier",
    "EvaluatePerplexity",
    "EvaluateTokenClassifier",
    "EvaluateTranslation",
    "EvolInstruct",
    "Explode",
    "Export",
    "ExportEncoder",
    "FewShotPrompt",
    "FewShotPromptWithRetrieval",
    "FilterRows",
    "FilterWithPrompt",
    "Group",
    "GrowFromExamples",
    "Halves",
    "HeadPrune",
    "HiddenLabels",
    "InputFromLabel",
    "Interpolate",
    "Join",
    "JudgeGenerationPairsWithPrompt",
    "JudgePairsWithPrompt",
    "KeepConfident",
    "KeepLayers",
    "LLMInt8",
    "LabelingFunctions",
    "LanguageFilter",
    "LayerwiseDistill",
    "LengthFilter",
    "LoadCSV",
    "LoadFolder",
    "LoadHub",
    "LoadJSON",
    "LoadParquet",
    "LoadRows",
    "LoadSeeds",
    "LoadText",
    "LowRank",
    "MagnitudePrune",
    "Magpie",
    "Map",
    "MapBatches",
    "MixedPrecision",
    "PairsFromScores",
    "PairsFromVerdicts",
    "ParsePrompt",
    "ProcessWithPrompt",
    "Prompt",
    "PseudoLabel",
    "QuantizeEncoder",
    "QuantizeFP8",
    "QuantizeInt4",
    "QuantizeInt8",
    "RAGPrompt",
    "RandomModel",
    "RandomSeq2Seq",
    "RankWithPrompt",
    "Rename",
    "RepetitionFilter",
    "Report",
    "Retrieve",
    "Rewind",
    "RunTaskModel",
    "ScoreText",
    "Select",
    "SelfInstruct",
    "Shard",
    "ShareWeights",
    "Shuffle",
    "SizeTable",
    "Skip",
    "SoftLabels",
    "Sort",
    "SparseGPTPrune",
    "Split",
    "StructuredGeneration",
    "Take",
    "ToMessages",
    "TrainTokenizer",
    "TrimVocabulary",
    "ValidJSON",
    "WandaPrune",
    "WidthPrune",
    "WriteInstances",
    "Zip",
]


def __getattr__(name: str) -> Any:
    """Import a step when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'potstill.steps' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.steps.{_HOME[name]}"), name)
