"""Each measure equals its reference where there is one, and takes any text, script and number of right answers."""

from __future__ import annotations

import json
import random
import re
from decimal import Decimal

import pytest

from potstill.metrics import (
    BLEU,
    ROUGE,
    TER,
    ChrF,
    Contains,
    ExactMatch,
    JSONFields,
    JSONSchema,
    Label,
    Matches,
    NumericAnswer,
    TokenF1,
    ValidJSON,
)
from potstill.metrics.answers import exact_match
from potstill.metrics.measures.by_name import NAMED
from potstill.metrics.measures.matching import normalized
from potstill.metrics.measures.overlap import common_subsequence
from potstill.metrics.measures.reading import last_number
from potstill.text.patterns import SlowPattern

HOSTILE = [
    "",
    " ",
    "\ud800 lone",
    "\u202ebidi\u202c",
    "<script>x</script>",
    "a" * 50_000,
    "[" * 5_000,
    "1" * 5_000,
    "\0",
    "e\u0301" * 100,
    "😀😀",
    '{"a": NaN}',
    "####",
    "\\boxed{",
    "1e999",
    "-" * 1_000,
]
CYRILLIC = "Кошка сидит на мягком ковре."
WORDS = "the a cat dog sat on mat in old town and it was very big".split()


def score(measure, answer, gold, row=None):
    return measure.per_row(answer, gold, row or {})


def sentences(count, seed=0):
    """Return pairs of English prose that share words."""
    rng = random.Random(seed)
    return [[" ".join(rng.choices(WORDS, k=rng.randint(1, 14))) for _ in range(2)] for _ in range(count)]


@pytest.mark.parametrize(
    "measure",
    [*NAMED.values(), Label(("yes", "no")), JSONSchema({"type": "object"}), Matches("a+$")],
    ids=lambda one: one.name,
)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_texts_have_a_score(measure, text):
    gold = {"numeric_answer": "3", "json_fields": '{"a": 1}', "label": "yes"}.get(measure.name, "a right answer")
    short = measure.name == "ter" and len(text) > 1_000
    assert score(measure, text[:1_000] if short else text, gold) >= 0


@pytest.mark.parametrize(
    "measure",
    [ExactMatch(), Contains(), TokenF1(), ROUGE("1"), ROUGE("2"), ROUGE("L"), ChrF(), BLEU()],
    ids=lambda one: one.name,
)
@pytest.mark.parametrize(
    "text", [CYRILLIC, "打开厨房的灯", "افتح الباب من فضلك الآن", "เปิดไฟในครัว", "the cat sat on it"]
)
def test_identical_texts_of_any_script_have_the_best_score(measure, text):
    assert score(measure, text, text) == pytest.approx(1.0 if measure.largest == 1 else 100.0)


@pytest.mark.parametrize("measure", [ExactMatch(), TokenF1(), ROUGE("L"), ChrF(), BLEU()], ids=lambda one: one.name)
def test_the_nearest_of_several_right_answers_counts(measure):
    apart, near = "nothing alike whatsoever here", "the cat sat on the mat"
    assert score(measure, near, [apart, near]) == score(measure, near, near) > score(measure, near, apart)


def test_exact_match_is_that_of_the_figure():
    for answer, gold in [("a", " a "), ('{"a": 40.0}', '{"a":40}'), ("true", "1"), ("A", "a"), ("", " ")]:
        assert score(ExactMatch(), answer, gold) == exact_match(answer, gold)
    assert score(ExactMatch(json=False), '{"a": 1}', '{"a":1}') == 0


def test_differences_that_are_none_are_named():
    loose = ExactMatch(ignore=("case", "punctuation", "articles", "space"))
    assert score(loose, "The  Eiffel-Tower!", "eiffeltower") == 1
    assert score(loose, "„Straße“", "STRASSE") == 1
    assert score(ExactMatch(ignore=("case",)), "Paris.", "paris") == 0
    assert loose.name == "exact_match(ignore=case+punctuation+articles+space)"
    assert normalized("An apple a day", ("articles", "space")) == "apple day"


def test_contains_looks_for_whole_words():
    assert score(Contains(), "It was Paris, they say", ["Rome", "PARIS"]) == 1
    assert score(Contains(), "Parisian", "Paris") == 0
    assert score(Contains(words=False), "Parisian", "Paris") == 1
    assert score(Contains(), "我住在北京市", "北京") == 1
    assert score(Contains(), "anything", "") == 0


def test_matches_has_a_limit_of_time(monkeypatch):
    monkeypatch.setattr("potstill.text.patterns.SECONDS", 0.1)
    assert score(Matches(r"\d+"), "no 7", "") == 1
    assert score(Matches(r"\d+", whole=True), "no 7", "") == 0
    with pytest.raises(SlowPattern):
        score(Matches(r"(a|aa)+b"), "a" * 80, "")
    with pytest.raises(re.error):
        Matches("(")


@pytest.mark.parametrize("kind", ["1", "2", "L"])
def test_rouge_is_that_of_its_package_on_english_prose(kind):
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer([f"rouge{kind}"])
    for answer, gold in sentences(300):
        expected = scorer.score(gold, answer)[f"rouge{kind}"].fmeasure
        assert score(ROUGE(kind), answer, gold) == pytest.approx(expected, abs=1e-12)
    golds = [gold for _, gold in sentences(5, seed=1)]
    expected = scorer.score_multi(golds, "the cat sat on the old mat")[f"rouge{kind}"].fmeasure
    assert score(ROUGE(kind), "the cat sat on the old mat", golds) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ["1", "2", "L"])
def test_rouge_is_that_of_its_package_on_other_scripts_cut_into_the_same_words(kind):
    scoring = pytest.importorskip("rouge_score.rouge_scorer")
    words = type("Words", (), {"tokenize": lambda self, text: text.lower().split()})()
    scorer = scoring.RougeScorer([f"rouge{kind}"], tokenizer=words)
    rng = random.Random(2)
    for _ in range(50):
        one, two = (" ".join(rng.choices(["кошка", "сидит", "на", "ковре", "дом"], k=9)) for _ in range(2))
        assert score(ROUGE(kind), one, two) == pytest.approx(scorer.score(two, one)[f"rouge{kind}"].fmeasure)


def test_rouge_refuses_other_kinds_and_takes_long_texts():
    with pytest.raises(ValueError, match="no kind 'W'"):
        ROUGE("W")
    rng = random.Random(3)
    long = " ".join(rng.choices(WORDS, k=20_000))
    assert score(ROUGE("L"), long, long) == 1
    assert score(ROUGE("2"), "word", "word") == 0  # no pair of words


def test_the_longest_common_subsequence_is_that_of_the_table():
    rng = random.Random(4)
    for _ in range(100):
        ours, theirs = (rng.choices("abcde", k=rng.randint(0, 90)) for _ in range(2))
        row = [0] * (len(theirs) + 1)
        for one in ours:
            before = row[:]
            for place, other in enumerate(theirs, 1):
                row[place] = before[place - 1] + 1 if one == other else max(row[place - 1], before[place])
        assert common_subsequence(ours, theirs) == row[-1]


def test_token_f1_is_squads():
    assert score(TokenF1(), "the the cat", "the cat") == pytest.approx(0.8)
    assert score(TokenF1(), "", "") == 1
    assert score(TokenF1(), "", "cat") == 0
    assert score(TokenF1(), "?", "cat") == 0


def test_bleu_chrf_and_ter_are_sacrebleus_with_its_signature():
    sacrebleu = pytest.importorskip("sacrebleu")
    answers, golds = zip(*sentences(40, seed=5), strict=True)
    for measure, reference in (
        (BLEU(), sacrebleu.BLEU()),
        (ChrF(), sacrebleu.CHRF(word_order=2)),
        (TER(), sacrebleu.TER()),
    ):
        actual, expected = measure.corpus(answers, golds), reference.corpus_score(answers, [golds])
        assert actual.value == pytest.approx(expected.score)
        assert actual.signature == str(reference.get_signature())
        counts = measure.counts(answers, golds)
        assert measure.figure([sum(column) for column in zip(*counts, strict=True)]) == pytest.approx(actual.value)
    assert score(BLEU(), answers[0], golds[0]) == sacrebleu.sentence_bleu(answers[0], [golds[0]]).score
    assert not TER().higher_is_better


def test_rows_may_have_unlike_numbers_of_right_answers():
    sacrebleu = pytest.importorskip("sacrebleu")
    answers, golds = ["the cat sat on it", "a dog in town was big"], [["the cat sat on it", "x"], "a dog in town was"]
    expected = sacrebleu.BLEU().corpus_score(answers, [["the cat sat on it", "a dog in town was"], ["x", None]])
    assert BLEU().corpus(answers, golds).value == pytest.approx(expected.score)
    assert "nrefs:var" in BLEU().corpus(answers, golds).signature


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 5 + 4 = 9 eggs.", "9"),
        ("x = -5", "-5"),
        ("10-5", "5"),
        ("1,234,567.80", "1234567.8"),
        ("-$5", "-5"),
        ("#### 12 apples, not 13", "12"),
        ("\\boxed{3} of 4", "3"),
        ("#### 3\n#### 4", "4"),
        ("٣٤", "34"),
        ("\u22127", "-7"),
        ("1\u202f234", "1234"),
        ("12 345", "345"),
        ("#### none\n8", "8"),
        ("1e3", "1000"),
        (".5", "0.5"),
    ],
)
def test_the_last_number_is_found(text, number):
    assert last_number(text) == Decimal(number)


def test_a_numeric_answer_needs_a_right_one_and_may_be_nearly_it():
    assert score(NumericAnswer(), "It is 1,000.0", "#### 1000") == 1
    assert score(NumericAnswer(), "I can't say", "#### 1000") == 0
    assert score(NumericAnswer(tolerance=0.01), "3.14", "3.1416") == 1
    assert score(NumericAnswer(), "3.14", "3.1416") == 0
    assert score(NumericAnswer(), "0.1 + 0.2 = 0.3", "0.30") == 1
    with pytest.raises(ValueError, match="holds no number: 'none'"):
        score(NumericAnswer(), "3", "none")


def test_a_label_is_read_as_labels_are_made():
    label = Label(("safe", "unsafe"))
    assert score(label, "The answer is **Safe**.", "safe") == 1
    assert score(label, "not safe", "safe") == 0
    assert score(label, "unsafe", ["safe", "unsafe"]) == 1
    with pytest.raises(ValueError, match="'sane' is no label: one of safe, unsafe"):
        score(label, "safe", "sane")


def test_json_is_found_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("potstill.text.patterns.SECONDS", 0.1)
    words = 'Sure!\n```json\n{"a": 1}\n```'
    assert (score(ValidJSON(), words, ""), score(ValidJSON(among_words=True), words, "")) == (0, 1)
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
    assert score(JSONSchema(schema), '{"a": 1}', "") == 1
    assert score(JSONSchema(schema), '{"a": 0}', "") == score(JSONSchema(schema), "[]", "") == 0
    assert score(JSONSchema(schema, among_words=True), words, "") == 1
    assert score(JSONSchema({"type": "null"}), "null", "") == 1
    with pytest.raises(SlowPattern):
        score(JSONSchema({"pattern": "(a|aa)+b"}), json.dumps("a" * 80), "")


def test_fields_of_objects_are_compared_one_by_one():
    gold = json.dumps({"a": 1, "b": {"c": True, "d": [1, 2]}, "e": None})
    assert score(JSONFields(), gold, gold) == 1
    answer = json.dumps({"a": 1.0, "b": {"c": 1, "d": [1, 2]}, "x": 0})
    assert score(JSONFields(), answer, gold) == pytest.approx(2 / 5)  # a and b.d of a, b.c, b.d, e and x
    assert score(JSONFields(fields=("a", "b.c")), answer, gold) == pytest.approx(1 / 2)
    assert score(JSONFields(), "no json", gold) == 0
    assert score(JSONFields(), "{}", "{}") is None
    actual = JSONFields().corpus([answer, gold], [gold, [gold, '{"a": 2}']])
    assert actual.value == pytest.approx(6 / 9)
    assert actual.parts == {"a": 1.0, "b.c": 0.5, "b.d": 1.0, "e": 0.5, "x": 0.0}
    with pytest.raises(ValueError, match="no JSON object: '3'"):
        score(JSONFields(), "{}", "3")
