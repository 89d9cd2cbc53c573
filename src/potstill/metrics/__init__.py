"""Measures of quality as pure functions: answers, classes, spans, translations, perplexity, and how sure they are.

Public names are the measures that `measures=[ExactMatch(), ROUGE("L")]` takes, `score_rows`, and the statistics.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from potstill.moved import former

if TYPE_CHECKING:
    from potstill.metrics.measures.json_answers import JSONFields, JSONSchema, ValidJSON
    from potstill.metrics.measures.matching import Contains, ExactMatch, Matches
    from potstill.metrics.measures.measure import CorpusMeasure, Measure, Score
    from potstill.metrics.measures.overlap import ROUGE, TokenF1
    from potstill.metrics.measures.reading import Label, NumericAnswer
    from potstill.metrics.measures.scoring import Scored, Summary, score_rows
    from potstill.metrics.measures.translation import BLEU, TER, ChrF
    from potstill.metrics.uncertainty.bootstrap import PairedBootstrap, bootstrap_interval, paired_bootstrap
    from potstill.metrics.uncertainty.calibration import (
        Bin,
        CalibrationError,
        brier,
        brier_of_classes,
        calibration_error,
        reliability,
    )
    from potstill.metrics.uncertainty.interval import Interval
    from potstill.metrics.uncertainty.means import mean_interval, seeds_interval
    from potstill.metrics.uncertainty.non_inferiority import (
        Verdict,
        corrected,
        non_inferior_means,
        non_inferior_shares,
    )
    from potstill.metrics.uncertainty.paired_shares import bonett_price
    from potstill.metrics.uncertainty.power import detectable, detectable_shares, rows_needed
    from potstill.metrics.uncertainty.prediction_powered import PredictionPowered, prediction_powered

_HOME = {
    "BLEU": "measures.translation",
    "Bin": "uncertainty.calibration",
    "CalibrationError": "uncertainty.calibration",
    "ChrF": "measures.translation",
    "Contains": "measures.matching",
    "CorpusMeasure": "measures.measure",
    "ExactMatch": "measures.matching",
    "Interval": "uncertainty.interval",
    "JSONFields": "measures.json_answers",
    "JSONSchema": "measures.json_answers",
    "Label": "measures.reading",
    "Matches": "measures.matching",
    "Measure": "measures.measure",
    "NumericAnswer": "measures.reading",
    "PairedBootstrap": "uncertainty.bootstrap",
    "PredictionPowered": "uncertainty.prediction_powered",
    "ROUGE": "measures.overlap",
    "Score": "measures.measure",
    "Scored": "measures.scoring",
    "Summary": "measures.scoring",
    "TER": "measures.translation",
    "TokenF1": "measures.overlap",
    "ValidJSON": "measures.json_answers",
    "Verdict": "uncertainty.non_inferiority",
    "bonett_price": "uncertainty.paired_shares",
    "bootstrap_interval": "uncertainty.bootstrap",
    "brier": "uncertainty.calibration",
    "brier_of_classes": "uncertainty.calibration",
    "calibration_error": "uncertainty.calibration",
    "corrected": "uncertainty.non_inferiority",
    "detectable": "uncertainty.power",
    "detectable_shares": "uncertainty.power",
    "mean_interval": "uncertainty.means",
    "non_inferior_means": "uncertainty.non_inferiority",
    "non_inferior_shares": "uncertainty.non_inferiority",
    "paired_bootstrap": "uncertainty.bootstrap",
    "prediction_powered": "uncertainty.prediction_powered",
    "reliability": "uncertainty.calibration",
    "rows_needed": "uncertainty.power",
    "score_rows": "measures.scoring",
    "seeds_interval": "uncertainty.means",
}

__all__ = [
    "BLEU",
    "ROUGE",
    "TER",
    "Bin",
    "CalibrationError",
    "ChrF",
    "Contains",
    "CorpusMeasure",
    "ExactMatch",
    "Interval",
    "JSONFields",
    "JSONSchema",
    "Label",
    "Matches",
    "Measure",
    "NumericAnswer",
    "PairedBootstrap",
    "PredictionPowered",
    "Score",
    "Scored",
    "Summary",
    "TokenF1",
    "ValidJSON",
    "Verdict",
    "bonett_price",
    "bootstrap_interval",
    "brier",
    "brier_of_classes",
    "calibration_error",
    "corrected",
    "detectable",
    "detectable_shares",
    "mean_interval",
    "non_inferior_means",
    "non_inferior_shares",
    "paired_bootstrap",
    "prediction_powered",
    "reliability",
    "rows_needed",
    "score_rows",
    "seeds_interval",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; or what the module had that was called as this package is."""
    if name in _HOME:
        return getattr(importlib.import_module(f"potstill.metrics.{_HOME[name]}"), name)
    return former(__name__, name)
