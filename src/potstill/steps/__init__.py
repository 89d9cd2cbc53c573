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
    from potstill.steps.diversity import Diversity
    from potstill.steps.embed import Embed
    from potstill.steps.encode import EncodeInstructions
    from potstill.steps.evaluate import Evaluate
    from potstill.steps.evaluate_classifier import EvaluateClassifier
    from potstill.steps.evaluate_translation import EvaluateTranslation
    from potstill.steps.evolve import EvolInstruct
    from potstill.steps.few_shot import FewShotPrompt
    from potstill.steps.filter import FilterRows, ValidJSON
    from potstill.steps.filter_prompt import FilterWithPrompt
    from potstill.steps.from_prompt import DataFromPrompt
    from potstill.steps.functions import LabelingFunctions
    from potstill.steps.grow import GrowFromExamples
    from potstill.steps.halves import Halves
    from potstill.steps.hidden import HiddenLabels
    from potstill.steps.input_from_label import InputFromLabel
    from potstill.steps.instances import WriteInstances
    from potstill.steps.interpolate import Interpolate
    from potstill.steps.join import Join
    from potstill.steps.judge import JudgePairsWithPrompt
    from potstill.steps.judge_generations import JudgeGenerationPairsWithPrompt
    from potstill.steps.keep_layers import KeepLayers
    from potstill.steps.label import PseudoLabel
    from potstill.steps.load import LoadSeeds
    from potstill.steps.load_csv import LoadCSV
    from potstill.steps.load_hub import LoadFolder, LoadHub
    from potstill.steps.load_json import LoadJSON
    from potstill.steps.load_parquet import LoadParquet
    from potstill.steps.load_rows import LoadRows
    from potstill.steps.load_text import LoadText
    from potstill.steps.magpie import Magpie
    from potstill.steps.order import Shard, Shuffle, Skip, Sort, Take
    from potstill.steps.parse_prompt import ParsePrompt
    from potstill.steps.preference_pairs import PairsFromScores, PairsFromVerdicts
    from potstill.steps.process import ProcessWithPrompt
    from potstill.steps.prompt import Prompt
    from potstill.steps.prune import WandaPrune
    from potstill.steps.pseudo_labels import AddPseudoLabels
    from potstill.steps.quality import LanguageFilter, LengthFilter, RepetitionFilter
    from potstill.steps.quantize import QuantizeInt4, QuantizeInt8
    from potstill.steps.rank import RankWithPrompt
    from potstill.steps.report import Report
    from potstill.steps.retrieval_prompt import FewShotPromptWithRetrieval, RAGPrompt
    from potstill.steps.retrieve import Retrieve
    from potstill.steps.score import ScoreText, SoftLabels
    from potstill.steps.scratch import RandomModel, RandomSeq2Seq, TrainTokenizer
    from potstill.steps.self_instruct import SelfInstruct
    from potstill.steps.shape import Explode, Group
    from potstill.steps.similarity import CosineSimilarity
    from potstill.steps.split import Split
    from potstill.steps.sql import SQL
    from potstill.steps.structured import StructuredGeneration
    from potstill.steps.task_model import RunTaskModel
    from potstill.steps.transform import Map, MapBatches

_HOME = {
    "AddPseudoLabels": "pseudo_labels",
    "AverageProbabilities": "average",
    "Backtranslate": "backtranslate",
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
    "DetectClassification": "classify_tasks",
    "Diversity": "diversity",
    "Drop": "columns",
    "Embed": "embed",
    "EncodeInstructions": "encode",
    "Evaluate": "evaluate",
    "EvaluateClassifier": "evaluate_classifier",
    "EvaluateTranslation": "evaluate_translation",
    "EvolInstruct": "evolve",
    "Explode": "shape",
    "FewShotPrompt": "few_shot",
    "FewShotPromptWithRetrieval": "retrieval_prompt",
    "FilterRows": "filter",
    "FilterWithPrompt": "filter_prompt",
    "Group": "shape",
    "GrowFromExamples": "grow",
    "Halves": "halves",
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
    "LengthFilter": "quality",
    "LoadCSV": "load_csv",
    "LoadFolder": "load_hub",
    "LoadHub": "load_hub",
    "LoadJSON": "load_json",
    "LoadParquet": "load_parquet",
    "LoadRows": "load_rows",
    "LoadSeeds": "load",
    "LoadText": "load_text",
    "Magpie": "magpie",
    "Map": "transform",
    "MapBatches": "transform",
    "PairsFromScores": "preference_pairs",
    "PairsFromVerdicts": "preference_pairs",
    "ParsePrompt": "parse_prompt",
    "ProcessWithPrompt": "process",
    "Prompt": "prompt",
    "PseudoLabel": "label",
    "QuantizeInt4": "quantize",
    "QuantizeInt8": "quantize",
    "RAGPrompt": "retrieval_prompt",
    "RandomModel": "scratch",
    "RandomSeq2Seq": "scratch",
    "RankWithPrompt": "rank",
    "Rename": "columns",
    "RepetitionFilter": "quality",
    "Report": "report",
    "Retrieve": "retrieve",
    "RunTaskModel": "task_model",
    "ScoreText": "score",
    "Select": "columns",
    "SelfInstruct": "self_instruct",
    "Shard": "order",
    "Shuffle": "order",
    "Skip": "order",
    "SoftLabels": "score",
    "Sort": "order",
    "Split": "split",
    "SQL": "sql",
    "StructuredGeneration": "structured",
    "Take": "order",
    "TrainTokenizer": "scratch",
    "ValidJSON": "filter",
    "WandaPrune": "prune",
    "WriteInstances": "instances",
    "Zip": "combine",
}

__all__ = [
    "SQL",
    "AddPseudoLabels",
    "AverageProbabilities",
    "Backtranslate",
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
    "DetectClassification",
    "Diversity",
    "Drop",
    "Embed",
    "EncodeInstructions",
    "Evaluate",
    "EvaluateClassifier",
    "EvaluateTranslation",
    "EvolInstruct",
    "Explode",
    "FewShotPrompt",
    "FewShotPromptWithRetrieval",
    "FilterRows",
    "FilterWithPrompt",
    "Group",
    "GrowFromExamples",
    "Halves",
    "HiddenLabels",
    "InputFromLabel",
    "Interpolate",
    "Join",
    "JudgeGenerationPairsWithPrompt",
    "JudgePairsWithPrompt",
    "KeepConfident",
    "KeepLayers",
    "LabelingFunctions",
    "LanguageFilter",
    "LengthFilter",
    "LoadCSV",
    "LoadFolder",
    "LoadHub",
    "LoadJSON",
    "LoadParquet",
    "LoadRows",
    "LoadSeeds",
    "LoadText",
    "Magpie",
    "Map",
    "MapBatches",
    "PairsFromScores",
    "PairsFromVerdicts",
    "ParsePrompt",
    "ProcessWithPrompt",
    "Prompt",
    "PseudoLabel",
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
    "RunTaskModel",
    "ScoreText",
    "Select",
    "SelfInstruct",
    "Shard",
    "Shuffle",
    "Skip",
    "SoftLabels",
    "Sort",
    "Split",
    "StructuredGeneration",
    "Take",
    "TrainTokenizer",
    "ValidJSON",
    "WandaPrune",
    "WriteInstances",
    "Zip",
]


def __getattr__(name: str) -> Any:
    """Import a step when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'potstill.steps' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.steps.{_HOME[name]}"), name)
