"""What a model thought is parted from its answer, whatever marks it uses."""

import pytest

from growth import assert_linear
from potstill.text.reasoning import after_thoughts, split_reasoning

PAIRS = [
    ("<think>", "</think>"),
    ("<THINK>", "</think >"),
    ("<thinking>", "</thinking>"),
    ('<think time="3">', "</think>"),
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<scratch_pad>", "</scratch_pad>"),
    ("<antThinking>", "</antThinking>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<｜begin▁of▁thinking｜>", "<｜end▁of▁thinking｜>"),  # noqa: RUF001
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|channel|>final <|constrain|>json<|message|>"),
    ("analysis", "assistantfinal"),
    ("<|channel>thought\n", "<channel|>"),
]
THOUGHTS = ["Ulm? No, 3 < 4.", "", 'First {"city": "Ulm"}.\n\n```json\n{"city": "Ulm"}\n```\nno', "It's `x`."]


@pytest.mark.parametrize(("start", "end"), PAIRS)
@pytest.mark.parametrize("thoughts", THOUGHTS)
@pytest.mark.parametrize("between", ["", "\n\n"])
def test_thoughts_at_the_beginning(start, end, thoughts, between):
    text = f"{between}{start}{thoughts}{between}{end}{between}The capital:\n\nBerlin"
    assert split_reasoning(text) == (thoughts, "The capital:\n\nBerlin")


@pytest.mark.parametrize(("start", "end"), [pair for pair in PAIRS if "nalysis" not in pair[0]])
def test_a_template_may_have_opened_the_thoughts(start, end):
    assert split_reasoning(f"Ulm? No.\n{end}\n\nBerlin") == ("Ulm? No.", "Berlin")


@pytest.mark.parametrize(("start", "end"), [pair for pair in PAIRS if pair[0] != "analysis"])
def test_thoughts_without_an_end_have_no_answer(start, end):
    assert split_reasoning(f'{start}First idea: {{"city": "Ulm"}}') == ('First idea: {"city": "Ulm"}', "")
    with pytest.raises(ValueError, match="no answer"):
        after_thoughts(f"{start}First idea")


@pytest.mark.parametrize(
    "text",
    [
        "Berlin",
        "",
        "  two spaces stay \n",
        "The <think> tag opens thoughts and </think> ends them.",
        "Close it with `</think>`.",
        'Close it with "</think>".',
        "Write:\n```xml\n<think>\nso\n</think>\n```\nThat is all.",
        "```\n<think>a</think>\n```",
        "`<think>` is a tag",
        '{"tag": "end with </think> here"}',
        "<doc>\n<reasoning>a</reasoning>\n</doc>",
        "analysis of the text: it is final",
        "I think [so].",
    ],
)
def test_tags_that_are_text_stay(text):
    assert split_reasoning(text) == ("", text)


def test_an_answer_about_tags_keeps_them():
    answer = "Write `<think>` and `</think>`:\n```\n<think>a</think>\n```"
    assert split_reasoning(f"<think>easy</think>\n{answer}") == ("easy", answer)


def test_thoughts_may_speak_of_their_own_tags():
    assert split_reasoning("<think>in <think>a</think> or `</think>`</think>B")[1] == "B"
    assert split_reasoning("<think>the tag <think> is</think>B")[1] == "B"


def test_several_blocks():
    assert split_reasoning("<think>a</think>\n<think>b</think>\nC") == ("a\n\nb", "C")
    assert split_reasoning("Well.\n<think>a</think>\nC") == ("a", "Well.\n\nC")
    assert split_reasoning("Well.\n<think>cut off")[1] == ""
    assert split_reasoning("<think>a</think>\nmore\n</think>\nC")[1] == "C"


@pytest.mark.parametrize(
    "quoted", ['"%s"', "'%s'", "“%s”", "\N{LEFT SINGLE QUOTATION MARK}%s\N{RIGHT SINGLE QUOTATION MARK}"]
)
def test_quotations_on_both_sides_of_the_end_do_not_hide_it(quoted):
    thoughts, answer = f"She says {quoted % 'yes'}", quoted % "Berlin"
    assert split_reasoning(f"<think>{thoughts}</think>{answer}") == (thoughts, answer)
    assert split_reasoning(f"<think>The tag {quoted % '</think>'} ends it</think>B")[1] == "B"


def test_marks_around_the_answer_go_with_the_thoughts():
    text = "<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>B<|end_of_solution|>"
    assert split_reasoning(text) == ("a", "B")


@pytest.mark.parametrize("before", ["\ufeff", "\u200b", "<s>", "<|im_start|>assistant\n", "<｜Assistant｜>"])  # noqa: RUF001
def test_what_can_not_be_seen_before_thoughts_hides_them_not(before):
    assert split_reasoning(f"{before}<think>Ulm?</think>Berlin") == ("Ulm?", "Berlin")


def test_thoughts_behind_the_answer_leave_it_as_it_is():
    assert split_reasoning("Berlin\n<think>Sure?</think>") == ("Sure?", "Berlin")
    assert split_reasoning("Berlin\n<think>Sure?") == ("Sure?", "")


@pytest.mark.parametrize(
    "part",
    ["<think>", "</think>", "<think ", "[think]`", "<|channel|>", "```\n", "\n<think>a</think>", "analysis", "</"],
)
def test_time_is_linear(part):
    assert_linear(lambda size: split_reasoning(part * (size // len(part))))
