"""Written-out answers give the label that is meant, or are asked again; plain ones are read."""

from itertools import product

import pytest

from growth import assert_linear
from potstill.text.choice import ChoiceReader

SETS = [
    ("yes", "no"),
    ("safe", "unsafe"),
    ("positive", "negative", "neutral"),
    ("A", "B", "C"),
    ("A", "B", "tie"),
    ("C", "C++", "C#", "Objective-C"),
    ("book", "book flight", "book_hotel"),
    ("N/A", "U.S.", "E.U."),
    ("1", "2", "10"),
    ("-1", "0", "1"),
    ("👍", "👎"),
    ("👩‍💻", "👩", "👨‍👩‍👧"),
    ("❤️", "💔"),
    ("gut", "schlecht"),
    ("bon", "mauvais"),
    ("да", "нет"),
    ("安全", "危险"),
    ("是", "否"),
    ("ดี", "ไม่ดี"),
    ("आपातकाल", "सामान्य"),
    ("آمن", "خطر"),
    ("はい", "いいえ"),
    ("true", "false"),
    ("not applicable", "applicable"),
    ("US", "UK"),
]
MARKUP = [
    "%s",
    "**%s**",
    '"%s"',
    "`%s`",
    "[[%s]]",
    "(%s)",
    "«%s»",
    "“%s”",
    "\\boxed{%s}",
    "<answer>%s</answer>",
    "*%s*",
]
PLAIN = ["%s", " %s\n", "%s.", "The answer is %s.", "Answer: %s", "Label: %s", "<think>%%s or not?</think>%s"]
RIGHT = [
    *("%s because of what it says.", "It is %s.", "I choose %s.", "My answer: %s, clearly.", "Final answer: %s\n"),
    *("The best option is %s, not the others.", "Therefore, %s.", "I think the label is %s.", "%s, without any doubt."),
    *("Die Antwort ist %s.", "La réponse est %s.", "La respuesta es %s.", "Ответ: %s.", "答案是%s。", "答えは%sです。"),
    *(
        "Well, let me see.\n\nThe category is %s",
        "%s\n\nThe text says so itself.",
        "%s - it is obvious",
        "%s (certain)",
    ),
    *("%s!", "Output: %s", "La risposta è %s.", "A resposta é %s.", "정답은 %s입니다.", "The text is %s."),
]
DENIED = [
    *("not %s", "It is not %s.", "It isn't %s.", "never %s", "This is hardly %s.", "No way this is %s.", "%s? No."),
    *("Not at all %s", "far from %s", "It would be wrong to say %s.", "I don't think the answer is %s.", "%s: no"),
    *("The answer is not %s.", "%s, it is not.", "anything but %s", "kein %s", "nicht %s", "Das ist nicht %s."),
    *(
        "Ce n'est pas %s.",
        "pas %s",
        "no es %s",
        "non è %s",
        "não é %s",
        "не %s",
        "Это не %s.",
        "不%s",
        "不是%s",
        "没有%s",
    ),
    *(
        "%sではない",
        "%s 아닙니다",
        "değil: %s",
        "nie %s",
        "inte %s",
        "ikke %s",
        "niet %s",
        "tidak %s",
        "không %s",
        "ไม่%s",
    ),
    *("ليس %s", "לא %s", "नहीं %s", "It might be %s.", "If the answer is %s, so be it.", "Is it %s?", "nem %s", "ei %s"),
    *(
        "It could be %s.",
        "Some would say the answer is %s.",
        "The answer is %s? Hardly.",
        "%s. Actually, wait.",
        "un-%s",
    ),
    *(
        "%s. That is wrong.",
        "It lacks what would make it %s.",
        "neither %s",
        "%s-like",
        "I doubt that it is %s.",
        "%s is false.",
    ),
]
BOTH = [
    *(
        "%s or %s",
        "%s and %s",
        "%s/%s",
        "Either %s or %s.",
        "It depends: %s and %s.",
        "%s, %s",
        "%s. Actually, %s.",
        "%s\n%s",
    ),
    *("The answer is %s. The answer is %s.", "%s: 0.2, %s: 0.8", "Label: %s or %s", "%s, but also %s.", "%s %s"),
]

DENIALS = ("no", "нет", "否", "いいえ", "false")
"""Labels that a sentence which ends in "not" confirms."""
OF_SOMETHING_ELSE = [
    *(
        "%s, I understand the task.",
        "%s. What is the text?",
        "%s, of course. Please provide the text.",
        "%s, I cannot classify this.",
        "%s, I don't know.",
        "%s. I'm unable to say.",
        "%s, could you share the text?",
        "%s... if one ignores the last line.",
    ),
    *(
        "The worse response is %s.",
        "The losing option is %s.",
        "My second choice: %s",
        "Another answer: %s",
        "Example: %s",
    ),
    *(
        "The least likely answer is %s.",
        "The student's answer is %s.",
        "The previous label: %s",
        "One possible answer: %s",
    ),
    *(
        "Die falsche Antwort ist %s.",
        "La mauvaise réponse est %s.",
        "La respuesta incorrecta es %s.",
        "错误的答案是%s。",
    ),
    *("La risposta sbagliata è %s.", "Неправильный ответ: %s", "Het foute antwoord is %s.", "Fel svar är %s.", "!= %s"),
    *(
        "Text: %s",
        "Input: %s",
        "Options: %s",
        "Output format: %s",
        "The prompt says: %s",
        "[ ] %s",
        "~~%s~~",
        "label != %s",
    ),
    *(
        "The author says it's %s.",
        "It pretends to be %s.",
        "I want it to be %s.",
        "Please be %s.",
        "Make sure it is %s.",
    ),
    *("I hope it is %s.", "It is impossible that it is %s.", "The word is %s.", "The author claims the answer is %s."),
    *(
        "Definition of **%s**: see above.",
        "**%s** is one option.",
        "The user asks for **%s** content.",
        "%s: ✗",
        "%s!?",
    ),
    *(
        "%s, if it rains.",
        "%s, in some cases.",
        "%s, so long as nobody looks.",
        "%s: rarely",
        "%s, when cooked.",
        "%s: N",
    ),
    *("%s. Let me look at the text.", "%s, so the user wants a label.", "%s! I'd be happy to help.", "%s, voyons."),
    *(
        "%s, here's the label:",
        "%s. Ich analysiere den Text.",
        "%s, vamos ver.",
        "%s, давайте посмотрим.",
        "%s,我来分析。",
    ),
]


def read(choices, text):
    try:
        return ChoiceReader(choices).read(text)
    except ValueError:
        return None


@pytest.mark.parametrize("choices", SETS, ids="/".join)
def test_plain_answers_are_read(choices):
    reader = ChoiceReader(choices)
    for label, template, markup in product(choices, PLAIN, MARKUP):
        text = template % (markup % label)
        assert reader.read(text) == label, text


@pytest.mark.parametrize("choices", SETS, ids="/".join)
def test_written_out_answers_are_never_read_as_another(choices):
    reader = ChoiceReader(choices)
    unread = []
    for label, template, markup in product(choices, RIGHT, MARKUP[:4]):
        text = template % (markup % label)
        try:
            assert reader.read(text) == label, text
        except ValueError:
            unread.append(text)
    assert len(unread) < len(choices) * len(RIGHT) * 4 * 0.3, unread


@pytest.mark.parametrize("choices", SETS, ids="/".join)
def test_what_is_denied_or_left_open_is_asked_again(choices):
    for label, template, markup in product(choices, DENIED, MARKUP[:4]):
        text = template % (markup % label)
        named_by_template = label in template.casefold().replace(".", "").split()
        says_no = template == "%s, it is not." and label in DENIALS
        if text not in choices and not named_by_template and not says_no and (markup == "%s" or "-" not in template):
            assert read(choices, text) != label, text


@pytest.mark.parametrize("choices", [labels for labels in SETS if "".join(labels).isascii()], ids="/".join)
def test_what_is_said_of_something_else_is_asked_again(choices):
    for label, template in product(choices, OF_SOMETHING_ELSE):
        assert read(choices, template % label) is None, template % label


@pytest.mark.parametrize("choices", SETS, ids="/".join)
def test_several_labels_are_asked_again(choices):
    for one, other, template in product(choices, choices, BOTH):
        text = template % (one, other)
        if one != other and text not in choices:
            assert read(choices, text) is None, text


@pytest.mark.parametrize(
    ("choices", "text", "label"),
    [
        ("A B C", "A careful look shows that B is right.", ("B", None)),
        ("A B C", "I think so.", (None,)),
        ("A B C", "a good one", (None,)),
        ("A B tie", "Both are good, but the better one is [[B]].", ("B",)),
        ("A B tie", "A is a tie", (None,)),
        ("A B tie", "I first thought A, but the final answer is B.", ("B",)),
        ("A B tie", "The answer is A. On reflection, the final answer is B.", ("B",)),
        ("yes no", "Yes, because there is no error.", ("yes",)),
        ("yes no", "Yes. There are no errors in it.", ("yes",)),
        ("yes no", "There are no errors in it.", (None,)),
        ("yes no", "No, it is not safe.", ("no",)),
        ("yes no", "No, it does not.", ("no",)),
        ("yes no", "No. That is not so. Wait, yes.", (None, "yes")),
        ("yes no", "No, although some would say yes.", ("no",)),
        ("yes no", "yesterday", (None,)),
        ("yes no", "No doubt about it: yes", ("yes", None)),
        ("yes no", "No. 1", (None,)),
        ("A B no", "A. 1 of them fits.", ("A", None)),
        ("yes no", "Yes, of course.", ("yes",)),
        ("yes no", "No, I don't see any errors.", ("no",)),
        ("safe unsafe", "Safe. It does no harm.", ("safe",)),
        ("safe unsafe", "safe rather than unsafe", ("safe", None)),
        ("safe unsafe", "The answer is safe, not unsafe.", ("safe",)),
        ("safe unsafe", "fail-safe", (None,)),
        ("safe unsafe", "unsafe (not safe)", ("unsafe",)),
        ("safe unsafe", "safe (high confidence)", ("safe",)),
        ("safe unsafe", "safe (?)", (None,)),
        ("positive negative", '{"label": "positive"}', ("positive",)),
        ("C C++ C#", "The answer is C++.", ("C++",)),
        ("C C++ C#", "C", ("C",)),
        ("C C++", "C#", (None,)),
        ("1 2", "There are 2 reasons for 1.", (None,)),
        ("1 2", "1.5", (None,)),
        ("0 1", "-1", (None,)),
        ("👍 👎", "👍 Great work", ("👍",)),
        ("👍 👎", "👍👎", (None,)),
        ("label_one label_two", "Label one", ("label_one",)),
        ("A B C", "Option B", ("B",)),
        ("good bad", "- good", ("good",)),
        ("good bad", "1. good", ("good",)),
        ("good bad", "Definitely good!", ("good",)),
        ("1 2", "1. 2", (None,)),
        ("x y", "", (None,)),
    ],
)
def test_single_answers(choices, text, label):
    assert read(tuple(choices.split()), text) in label


@pytest.mark.parametrize(
    "part", [" ", "(", "*", "answer is ", "yes ", "yes, ", "not ", "\\boxed{", "[[", "<answer>", "a-", "n't"]
)
def test_time_is_linear(part):
    assert_linear(lambda size: read(("yes", "no", "A"), part * (size // len(part))))
