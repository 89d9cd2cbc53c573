"""A number in an answer is its score where it is given as one; all else is asked again."""

# ruff: noqa: RUF001 - signs look like others

import pytest

from growth import assert_linear
from potstill.text.score import ScoreReader

GIVEN = [
    *(
        "%s",
        "%s.",
        "**%s**",
        "%s!",
        "Score: %s",
        "Score: **%s**/10",
        "%s/10",
        "%s out of 10",
        "%s (out of 10)",
        "%s points",
    ),
    *("I give it a %s.", "I'd give it %s out of 10.", "I rate it %s.", "My rating is %s.", "The score is %s.", "A %s."),
    *("The score is %s because it is fine.", "%s, because it is fine.", "%s - clear and short", "%s (clear and short)"),
    *(
        "%s\n\nThe text is clear.",
        "The text is clear.\n\n%s",
        "The text is clear. Score: %s",
        "Overall: %s",
        "a solid %s",
    ),
    *(
        "Overall, I would give this a %s.",
        "Helpfulness: %s",
        "[[%s]]",
        "<score>%s</score>",
        '{"score": %s}',
        "Score = %s",
    ),
    *("\\boxed{%s}", "Bewertung: %s", "Ich gebe ihm %s Punkte.", "Je donne %s sur 10.", "La puntuación es %s.", "%s分"),
    *(
        "评分:%s",
        "我给%s分。",
        "スコア: %s",
        "점수: %s",
        "%s점",
        "Оценка — %s",
        "Score (1-10): %s",
        "On a scale from 1 to 10: %s",
    ),
    *(
        "The relevance of the text is %s.",
        "It's a %s.",
        "Thus, %s.",
        "# Score\n%s",
        "Score:\n%s",
        "The final verdict is %s.",
    ),
]
NOT_GIVEN = [
    *(
        "not %s",
        "minus %s",
        "I deduct %s points.",
        "%s points off",
        "There are %s errors.",
        "In %s words: bad",
        "page %s",
    ),
    *("%s errors.", "%s. Good.", "%s) Good.", "Step %s: read.", "Criterion %s: good", "GPT-%s", "Windows %s", "top %s"),
    *(
        "%s km",
        "$%s",
        "%s €",
        "No. %s",
        "%s times",
        "%s years",
        "%s o'clock",
        "%s May",
        "%sth",
        "a %s-point scale",
        "%s%%",
    ),
    *("Answer %s is wrong", "Would I give %s? Hmm.", "%s? No.", "%s isn't fair", "%s is too high", "%s, no, wait"),
    *("almost %s", "close to %s", "fast %s", "presque %s", "menos de %s", "moins de %s", "mehr als %s", "under a %s"),
    *("%s of 100 criteria are met", "%s out of 100 people agree.", "%s of 100 tests", "%s/100 checks pass"),
    *("%s at best", "%s at most", "%s and up", "%s点以上", "Some would say %s.", "I can't give it a %s.", "Errors: %s"),
    *(
        "A %s is not justified",
        "%s is wrong",
        "%s²",
        "%s½",
        "₁%s",
        "The score is %s times lower.",
        "Give it %s? Never.",
    ),
]


def read(low, high, text):
    try:
        return ScoreReader(low, high).read(text)
    except ValueError:
        return None


@pytest.mark.parametrize("template", GIVEN)
def test_a_score_that_is_given_is_read(template):
    for score in (1, 7, 10):
        assert read(1, 10, template % score) == score


@pytest.mark.parametrize("template", NOT_GIVEN)
def test_a_number_that_counts_bounds_or_denies_is_no_score(template):
    for number in (2, 7, 10):
        assert read(1, 100, template % number) is None


@pytest.mark.parametrize(
    "sign", ["-", "- ", "−", "–", "—", "‑", "－", "﹣", "minus ", "moins ", "минус ", "マイナス", "负"]
)
def test_a_sign_is_never_lost_however_it_is_written(sign):
    for template in ("%s3", "Score: %s3", "The score is %s3."):
        assert read(-5, 5, template % sign) in (-3.0, None)
        assert read(1, 10, template % sign) is None


def test_two_final_scores_are_asked_again():
    assert read(1, 10, "Final score: 8\nFinal score: 3") is None
    assert read(1, 10, "First score: 3\nFinal score: 8") == 8
    assert read(1, 10, "1,000") is None


@pytest.mark.parametrize(
    "part", ["score ", "is a ", "I give it ", "- ", "<a", "minus ", "7 ", ": ", "\n", "(", "1 to "]
)
def test_time_is_linear(part):
    assert_linear(lambda size: read(1, 10, part * (size // len(part))))
