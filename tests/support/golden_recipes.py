"""One call or more of each method, for the keys of the steps that it builds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from potstill.engine.step import Rows, Step
from potstill.models.edge import Model
from potstill.recipes import Averaged, TrainCausal, TrainClassifier
from potstill.steps import Evaluate, MagnitudePrune, QuantizeInt8, WidthPrune
from potstill.trainers import (
    BornAgain,
    Classifier,
    CoFiPrune,
    Compress,
    CoTraining,
    Ensemble,
    HardLabel,
    LayerMatch,
    LoRA,
    LotteryTicket,
    SelfTraining,
    SequenceLevel,
    SoftLabel,
    TeachingAssistant,
)
from samples import Given, Samples

Recipe = Callable[[Samples], list[Step]]
"""Makes steps, given where a model's folder lies."""
ROWS, MORE, MODEL, OTHER = Given("rows"), Given("more rows"), Given("model"), Given("other model")
CAUSAL = TrainCausal(like=SoftLabel(ROWS, student=MODEL, epochs=2, lora=LoRA(rank=4), temperature=2))
CLASSIFIER = TrainClassifier(like=Classifier(ROWS, student=MODEL, text="review", alpha=0.25, epochs=1.5))


def _sequence_level(samples: Samples) -> list[Step]:
    return [
        SequenceLevel(ROWS, student=MODEL, teacher=OTHER, decode=decode, word_level=0.5, interpolate=decode == "beam")
        for decode in ("greedy", "beam", "best_of")
    ]


def _compress(samples: Samples) -> list[Step]:
    stages = {"pruned": lambda model: WidthPrune(model, calibration=ROWS, heads=4), "int8": QuantizeInt8}
    result = Compress(MODEL, stages, budget=3)
    return [*result, result.table]


def _searched_by_all_keywords(samples: Samples) -> list[Step]:
    """Return two students whose teacher's outputs are searched for with no parameter at its default."""
    drawn = SequenceLevel(
        ROWS,
        student=MODEL,
        teacher=OTHER,
        decode="best_of",
        samples=4,
        temperature=0.7,
        length_penalty=0.5,
        max_tokens=64,
        gold=0.25,
        max_failed=0.2,
        seed=5,
        train=CAUSAL,
    )
    beam = SequenceLevel(ROWS, student=MODEL, teacher=OTHER, decode="beam", beams=7, interpolate=True, seed=2)
    return [drawn, beam]


def _sequence_level_within(samples: Samples) -> list[Step]:
    """Return what other steps and recipes make of a student that learns what its teacher writes."""
    learned = SequenceLevel(ROWS, student=MODEL, teacher=OTHER, seed=4)

    def train(rows: Rows, student: Model, teacher: object) -> Step:
        return SequenceLevel(rows, student=student, teacher=OTHER, gold=0.5, seed=6)

    born = BornAgain(ROWS, student=MODEL, rounds=1, train=train)
    ticket = LotteryTicket(ROWS, student=MODEL, rounds=1, rewind=0.5, train=train)
    stages = {"learned": lambda model: train(ROWS, model, None), "int8": QuantizeInt8}
    return [
        MagnitudePrune(OTHER, recover=learned),
        CoFiPrune(OTHER, train=learned, heads=2),
        QuantizeInt8(learned),
        Evaluate(learned, ROWS),
        *born,
        *ticket,
        *Compress(OTHER, stages),
    ]


def _sized(samples: Samples) -> list[Step]:
    sizes = {"intermediate_size": 64, "heads": 2, "hidden_size": 32, "align": 16}
    train = HardLabel(ROWS, student=MODEL, epochs=2, learning_rate=0.25, warmup=0.125)
    return [CoFiPrune(OTHER, train=train, learning_rate=0.5, warmup=0.4, name="small", **sizes)]


def _masked(samples: Samples) -> list[Step]:
    like = (
        HardLabel(ROWS, student=MODEL),
        SoftLabel(ROWS, student=MODEL, teacher=OTHER),
        Classifier(ROWS, student=MODEL),
        LayerMatch(ROWS, student=MODEL, teacher=OTHER),
    )
    return [CoFiPrune(OTHER, train=train, sparsity=0.75) for train in like]


RECIPES: Mapping[str, Mapping[str, Recipe]] = {
    "BornAgain": {
        "plain": lambda samples: [*BornAgain(ROWS, student=MODEL)],
        "from a teacher": lambda samples: [*BornAgain(ROWS, student=MODEL, rounds=2, teacher=OTHER, train=CAUSAL)],
    },
    "CoFiPrune": {"masked": _masked, "sized": _sized},
    "CoTraining": {
        "plain": lambda samples: [*CoTraining(ROWS, MORE, student=MODEL)],
        "chosen": lambda samples: [
            *CoTraining(
                ROWS,
                MORE,
                student=MODEL,
                views=("head", "tail"),
                students=(OTHER, MODEL),
                rounds=2,
                per_class=2,
                threshold=0.5,
                text="review",
                label="mark",
                train=CLASSIFIER,
            )
        ],
    },
    "Compress": {"two stages": _compress},
    "Ensemble": {
        "plain": lambda samples: [*Ensemble(ROWS, teachers=(MODEL, OTHER), student=str(samples.model))],
        "weighed": lambda samples: [
            *Ensemble(ROWS, teachers=(MODEL, OTHER), student=MODEL, weights=(0.25, 0.75), train=CLASSIFIER)
        ],
        "of generations": lambda samples: [
            *Ensemble(ROWS, teachers=BornAgain(ROWS, student=MODEL, rounds=1), student=OTHER)
        ],
        "by hand": lambda samples: [CLASSIFIER(ROWS, MODEL, Averaged((MODEL, OTHER)))],
    },
    "LotteryTicket": {
        "plain": lambda samples: [*LotteryTicket(ROWS, student=MODEL)],
        "rewound": lambda samples: [
            *LotteryTicket(
                ROWS, student=MODEL, rounds=2, rewind=0.25, scope="layer", control="random", seed=3, train=CAUSAL
            )
        ],
    },
    "SelfTraining": {
        "plain": lambda samples: [*SelfTraining(ROWS, MORE, student=MODEL)],
        "soft": lambda samples: [
            *SelfTraining(
                ROWS,
                MORE,
                student=MODEL,
                rounds=2,
                threshold=0.5,
                per_class=9,
                soft=True,
                text="review",
                label="mark",
                train=CLASSIFIER,
            )
        ],
    },
    "SequenceLevel": {
        "plain": lambda samples: [SequenceLevel(ROWS, student=MODEL, teacher=OTHER)],
        "searched": _sequence_level,
        "all keywords": _searched_by_all_keywords,
        "within others": _sequence_level_within,
    },
    "TeachingAssistant": {
        "plain": lambda samples: [*TeachingAssistant(ROWS, teacher=OTHER, students=(MODEL,))],
        "two": lambda samples: [*TeachingAssistant(ROWS, teacher=OTHER, students=(MODEL, MODEL), train=CAUSAL)],
    },
}
"""By method and variant; where two methods share a step, their keys show that too."""
