"""Steps: one concept a file (load, generate, label, filter, split, prune, quantize, evaluate, report).

May import the engine, prompts, teachers and the pure-math modules; never trainers or pipelines.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.steps.attributes import DataFromAttributedPrompt
    from potstill.steps.average import AverageProbabilities
    from potstill.steps.backtranslate import Backtranslate
    from potstill.steps.bonsai_prune import BonsaiPrune
    from potstill.steps.cast_half import CastHalf
    from potstill.steps.class_probabilities import ClassProbabilities
    from potstill.steps.classify import ClassifyWithTeacher
    from potstill.steps.classify_tasks import DetectClassification
    from potstill.steps.columns import Drop, Rename, Select
    from potstill.steps.combine import Concat, Zip
    from potstill.steps.confident import KeepConfident
    from potstill.steps.consensus import Consensus
    from potstill.steps.decode import Decode
    from potstill.steps.decontaminate import Decontaminate
    from potstill.steps.deduplicate import Deduplicate, DeduplicateEmbedding, DeduplicateNear
    from potstill.steps.depth_prune import DepthPrune
    from potstill.steps.diversity import Diversity
    from potstill.steps.embed import Embed
    from potstill.steps.encode import EncodeInstructions
    from potstill.steps.evaluate import Evaluate
    from potstill.steps.evaluate_classifier import EvaluateClassifier
    from potstill.steps.evaluate_perplexity import EvaluatePerplexity
    from potstill.steps.evaluate_token_classifier import EvaluateTokenClassifier
    from potstill.steps.evaluate_translation import EvaluateTranslation
    from potstill.steps.evolve import EvolInstruct
    from potstill.steps.export import Export
    from potstill.steps.export_encoder import ExportEncoder
    from potstill.steps.few_shot import FewShotPrompt
    from potstill.steps.filter import FilterRows, ValidJSON
    from potstill.steps.filter_prompt import FilterWithPrompt
    from potstill.steps.from_prompt import DataFromPrompt
    from potstill.steps.functions import LabelingFunctions
    from potstill.steps.gobo import GOBO
    from potstill.steps.grow import GrowFromExamples
    from potstill.steps.halves import Halves
    from potstill.steps.head_prune import HeadPrune
    from potstill.steps.hidden import HiddenLabels
    from potstill.steps.input_from_label import InputFromLabel
    from potstill.steps.instances import WriteInstances
    from potstill.steps.interpolate import Interpolate
    from potstill.steps.join import Join
    from potstill.steps.judge import JudgePairsWithPrompt
    from potstill.steps.judge_generations import JudgeGenerationPairsWithPrompt
    from potstill.steps.keep_layers import KeepLayers
    from potstill.steps.label import PseudoLabel
    from potstill.steps.layerwise_distill import LayerwiseDistill
    from potstill.steps.llm_int8 import LLMInt8
    from potstill.steps.load import LoadSeeds
    from potstill.steps.load_csv import LoadCSV
    from potstill.steps.load_hub import LoadFolder, LoadHub
    from potstill.steps.load_json import LoadJSON
    from potstill.steps.load_parquet import LoadParquet
    from potstill.steps.load_rows import LoadRows
    from potstill.steps.load_text import LoadText
    from potstill.steps.low_rank import LowRank
    from potstill.steps.magnitude_prune import MagnitudePrune
    from potstill.steps.magpie import Magpie
    from potstill.steps.mixed_precision import MixedPrecision
    from potstill.steps.nf4 import NF4
    from potstill.steps.order import Shard, Shuffle, Skip, Sort, Take
    from potstill.steps.parse_prompt import ParsePrompt
    from potstill.steps.preference_pairs import PairsFromScores, PairsFromVerdicts
    from potstill.steps.process import ProcessWithPrompt
    from potstill.steps.prompt import Prompt
    from potstill.steps.prune import WandaPrune
    from potstill.steps.pseudo_labels import AddPseudoLabels
    from potstill.steps.quality import LanguageFilter, LengthFilter, RepetitionFilter
    from potstill.steps.quantize_encoder import QuantizeEncoder
    from potstill.steps.quantize_fp8 import QuantizeFP8
    from potstill.steps.quantize_int4 import QuantizeInt4
    from potstill.steps.quantize_int8 import QuantizeInt8
    from potstill.steps.rank import RankWithPrompt
    from potstill.steps.report import Report
    from potstill.steps.retrieval_prompt import FewShotPromptWithRetrieval, RAGPrompt
    from potstill.steps.retrieve import Retrieve
    from potstill.steps.rewind import Rewind
    from potstill.steps.score import ScoreText, SoftLabels
    from potstill.steps.scratch import RandomModel, RandomSeq2Seq, TrainTokenizer
    from potstill.steps.self_instruct import SelfInstruct
    from potstill.steps.shape import Explode, Group
    from potstill.steps.share_weights import ShareWeights
    from potstill.steps.similarity import CosineSimilarity
    from potstill.steps.size_table import SizeTable
    from potstill.steps.sparsegpt_prune import SparseGPTPrune
    from potstill.steps.split import Split
    from potstill.steps.sql import SQL
    from potstill.steps.structured import StructuredGeneration
    from potstill.steps.task_model import RunTaskModel
    from potstill.steps.to_messages import ToMessages
    from potstill.steps.transform import Map, MapBatches
    from potstill.steps.trim_vocabulary import TrimVocabulary
    from potstill.steps.width_prune import WidthPrune

_HOME = {
    "AddPseudoLabels": "pseudo_labels",
    "AverageProbabilities": "average",
    "Backtranslate": "backtranslate",
    "BonsaiPrune": "bonsai_prune",
    "CastHalf": "cast_half",
    "ClassifyWithTeacher": "classify",
    "ClassProbabilities": "class_probabilities",
    "Concat": "combine",
    "Consensus": "consensus",
    "CosineSimilarity": "similarity",
    "DataFromAttributedPrompt": "attributes",
    "DataFromPrompt": "from_prompt",
    "Decode": "decode",
    "Decontaminate": "decontaminate",
    "Deduplicate": "deduplicate",
    "DeduplicateEmbedding": "deduplicate",
    "DeduplicateNear": "deduplicate",
    "DepthPrune": "depth_prune",
    "DetectClassification": "classify_tasks",
    "Diversity": "diversity",
    "Drop": "columns",
    "Embed": "embed",
    "EncodeInstructions": "encode",
    "Evaluate": "evaluate",
    "EvaluateClassifier": "evaluate_classifier",
    "EvaluatePerplexity": "evaluate_perplexity",
    "EvaluateTokenClassifier": "evaluate_token_classifier",
    "EvaluateTranslation": "evaluate_translation",
    "EvolInstruct": "evolve",
    "Explode": "shape",
    "Export": "export",
    "ExportEncoder": "export_encoder",
    "FewShotPrompt": "few_shot",
    "FewShotPromptWithRetrieval": "retrieval_prompt",
    "FilterRows": "filter",
    "FilterWithPrompt": "filter_prompt",
    "GOBO": "gobo",
    "Group": "shape",
    "GrowFromExamples": "grow",
    "Halves": "halves",
    "HeadPrune": "head_prune",
    "HiddenLabels": "hidden",
    "InputFromLabel": "input_from_label",
    "Interpolate": "interpolate",
    "Join": "join",
    "JudgeGenerationPairsWithPrompt": "judge_generations",
    "JudgePairsWithPrompt": "judge",
    "KeepConfident": "confident",
    "KeepLayers": "keep_layers",
    "LabelingFunctions": "functions",
    "LanguageFilter": "quality",
    "LayerwiseDistill": "layerwise_distill",
    "LengthFilter": "quality",
    "LLMInt8": "llm_int8",
    "LoadCSV": "load_csv",
    "LoadFolder": "load_hub",
    "LoadHub": "load_hub",
    "LoadJSON": "load_json",
    "LoadParquet": "load_parquet",
    "LoadRows": "load_rows",
    "LoadSeeds": "load",
    "LoadText": "load_text",
    "LowRank": "low_rank",
    "MagnitudePrune": "magnitude_prune",
    "Magpie": "magpie",
    "Map": "transform",
    "MapBatches": "transform",
    "MixedPrecision": "mixed_precision",
    "NF4": "nf4",
    "PairsFromScores": "preference_pairs",
    "PairsFromVerdicts": "preference_pairs",
    "ParsePrompt": "parse_prompt",
    "ProcessWithPrompt": "process",
    "Prompt": "prompt",
    "PseudoLabel": "label",
    "QuantizeEncoder": "quantize_encoder",
    "QuantizeFP8": "quantize_fp8",
    "QuantizeInt4": "quantize_int4",
    "QuantizeInt8": "quantize_int8",
    "RAGPrompt": "retrieval_prompt",
    "RandomModel": "scratch",
    "RandomSeq2Seq": "scratch",
    "RankWithPrompt": "rank",
    "Rename": "columns",
    "RepetitionFilter": "quality",
    "Report": "report",
    "Retrieve": "retrieve",
    "Rewind": "rewind",
    "RunTaskModel": "task_model",
    "ScoreText": "score",
    "Select": "columns",
    "SelfInstruct": "self_instruct",
    "Shard": "order",
    "ShareWeights": "share_weights",
    "Shuffle": "order",
    "SizeTable": "size_table",
    "Skip": "order",
    "SoftLabels": "score",
    "Sort": "order",
    "SparseGPTPrune": "sparsegpt_prune",
    "Split": "split",
    "SQL": "sql",
    "StructuredGeneration": "structured",
    "Take": "order",
    "ToMessages": "to_messages",
    "TrainTokenizer": "scratch",
    "TrimVocabulary": "trim_vocabulary",
    "ValidJSON": "filter",
    "WandaPrune": "prune",
    "WidthPrune": "width_prune",
    "WriteInstances": "instances",
    "Zip": "combine",
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
