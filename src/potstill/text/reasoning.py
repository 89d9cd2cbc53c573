"""What a model thought before it answered, and its answer: pure functions on the text of a response.

The marks are those that chat templates and published models use. Two things need care: a template may open the
thoughts in the prompt, so that a response begins inside them, and thoughts that were cut off have no end.
"""

# ruff: noqa: RUF001 - marks of models hold characters that look like others

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from itertools import pairwise

_WORDS = (
    r"thoughts?|reasoning|reflection|scratch_?pad|(?:inner|internal)_(?:monologue|thoughts?|reasoning)|monologue|cot|"
    r"chain_of_thoughts?|ant_?thinking|(?:thinking|thought|reasoning)_(?:process|content)|deliberation|rethink|ponder"
)
_MARKS = (
    (r"<(?:seed:|mm:|longcat_)?think(?:ing)?(?:\s[^<>]{0,200})?/?>", r"</(?:seed:|mm:|longcat_)?think(?:ing)?\s?>"),
    (
        r"<\|(?:(?:begin|start)_of_thought|start_thinking|think(?:ing)?|thought|reasoning)\|>",
        r"<\|(?:end_of_thought|end_thinking|/think(?:ing)?|/thought|/reasoning)\|>",
    ),
    ("<｜(?:begin|start)▁of▁thinking｜>", "<｜end▁of▁thinking｜>"),
    (r"\[think\]", r"\[/think\]"),
    ("◁think▷", "◁/think▷"),
    (r"<\|channel>thought", r"<channel\|>"),
    (r"<unused94>thought", r"<unused95>"),
    (rf"<(?:{_WORDS})>", rf"</(?:{_WORDS})\s?>"),
)
_LEADING_ONLY = len(_MARKS) - 1
"""The last marks are ordinary words, which XML uses too: they open thoughts only where a response begins."""
_TAG = re.compile("|".join(f"(?P<o{i}>{start})|(?P<c{i}>{end})" for i, (start, end) in enumerate(_MARKS)), re.I)
_MAY_BE_MARK = re.compile(r"[<◁]|\[/?think\]", re.I)
"""What every mark has: most answers have none of it, which is seen at once."""
_AROUND = re.compile(r"<\|(?:begin_of_solution|end_of_solution|start_response|end_response)\|>", re.I)
_MESSAGE = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>(\w{1,40})[^<>]{0,200}(?:<\|constrain\|>\w{1,40})?<\|message\|>"
)
_MESSAGE_END = re.compile(r"<\|(?:end|return|call)\|>")
_PLAIN_FINAL = "assistantfinal"
"""The head of gpt-oss's last message where special tokens were left out."""
_MARK_TOKENS = frozenset({"<|channel>", "<channel|>", "<unused94>", "<unused95>"})
_MESSAGE_TOKENS = frozenset(
    {"<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>"}
)
_FENCE = re.compile(r"(?:^|(?<=[>\]▷]))[ \t]{0,3}(?:```|~~~)", re.MULTILINE)
_LONGEST_MARK = 250
_BEFORE = re.compile(
    r"[\s\ufeff\u200b\u2060]|<s>|<\|(?:assistant|im_start|bos)\|>(?:assistant)?|<｜[^<>｜]{1,40}｜>", re.I
)
"""What may stand before thoughts: blanks, seen or unseen, and special tokens that open the model's turn."""
_QUOTES = "\"'\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}“”«»„"
_OPENED_BY = {"”": "“„", "\N{RIGHT SINGLE QUOTATION MARK}": "\N{LEFT SINGLE QUOTATION MARK}"}
"""Marks that end a quotation where another one opened it."""

Span = tuple[int, int]


def split_reasoning(text: str) -> tuple[str, str]:
    r"""Return what a model thought, and its answer.

    Thoughts stand at the beginning, or in a block that begins a line; tags in code or between quotes are text like any
    other. Thoughts that never end have no answer yet, which is then empty. A text without thoughts comes back as it is.

    >>> split_reasoning("<think>Ulm? No.</think>\n\nBerlin")
    ('Ulm? No.', 'Berlin')
    >>> split_reasoning("The tag <think> opens thoughts.")
    ('', 'The tag <think> opens thoughts.')
    """
    begun = text.lstrip()
    if _MESSAGE.match(begun):
        return _split_messages(begun)
    if re.match("analysis(?! )", begun) and _PLAIN_FINAL in begun:
        thoughts, _, answer = begun.removeprefix("analysis").rpartition(_PLAIN_FINAL)
        return thoughts.strip(), answer.strip()
    if not _MAY_BE_MARK.search(text):
        return "", text
    tags = [] if _is_json(begun) else _tags_outside_code(text)
    spans = list(_thoughts(text, tags))
    if not spans:
        return "", text
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    parts = [text[start:end] for start, end in pairwise(edges)]
    unfinished = spans[-1][1] == len(text) and (_opens(tags[-1]) or tags[-1].end() < len(text))
    if not _BEFORE.sub("", parts[0]):
        parts[0] = ""
    answer = "" if unfinished else _AROUND.sub("", "".join(parts[::2])).strip()
    return "\n\n".join(_inner(part) for part in parts[1::2]).strip(), answer


def after_thoughts(text: str) -> str:
    """Return the answer in a response, without the thoughts before it.

    Raises:
        ValueError: it holds thoughts alone.
    """
    thoughts, answer = split_reasoning(text)
    if thoughts and not answer:
        raise ValueError("holds thoughts and no answer after them")
    return answer


def marks_in(vocabulary: Iterable[str]) -> frozenset[str]:
    """Return the tokens of a vocabulary that are marks: without them a response can't be parted any more.

    Those of gpt-oss's messages count only where it has a channel: `<|end|>` ends the answers of other models.
    """
    tokens = frozenset(vocabulary)
    marks = {token for token in tokens if token in _MARK_TOKENS or _TAG.fullmatch(token) or _AROUND.fullmatch(token)}
    return frozenset(marks | (tokens & _MESSAGE_TOKENS if "<|channel|>" in tokens else frozenset()))


def opened_by(prompt: str) -> str:
    """Return the mark at the end of a prompt that opens thoughts, so that a response begins inside them; or nothing."""
    end = prompt.rstrip()[-_LONGEST_MARK:]
    tags = list(_TAG.finditer(end))
    last = tags[-1] if tags else None
    return last.group() if last is not None and last.end() == len(end) and _opens(last) else ""


def _split_messages(text: str) -> tuple[str, str]:
    """Return the thoughts and the final message of a response in the format of gpt-oss."""
    heads = list(_MESSAGE.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    bodies = [_MESSAGE_END.split(text[head.end() : end], maxsplit=1)[0] for head, end in zip(heads, ends, strict=True)]
    messages = [(head[1] == "final", body.strip()) for head, body in zip(heads, bodies, strict=True)]
    return "\n\n".join(body for final, body in messages if not final), "\n\n".join(
        body for final, body in messages if final
    )


def _thoughts(text: str, tags: list[re.Match[str]]) -> Iterator[Span]:
    """Yield where thoughts are, their tags included."""
    number, behind, opened = 0, 0, False
    while number < len(tags):
        tag = tags[number]
        if _opens(tag) and _may_open(text, tag, behind):
            end = number if tag.group().endswith("/>") else _closing(tags, number)
            if end is None:
                yield tag.start(), len(text)
                return
            yield tag.start(), tags[end].end()
            number, behind, opened = end, tags[end].end(), True
        elif _ends_unopened(text, tags, number) and (not opened or _begins_line(text, tag, behind)):
            yield behind, tag.end()
            behind = tag.end()
        number += 1


def _may_open(text: str, tag: re.Match[str], behind: int) -> bool:
    """Return whether an opening tag stands where thoughts begin, after what ends at `behind`."""
    if _kind(tag) == _LEADING_ONLY:
        return not _BEFORE.sub("", text[behind : tag.start()])
    return _begins_line(text, tag, behind)


def _begins_line(text: str, tag: re.Match[str], behind: int) -> bool:
    """Return whether nothing but white space is between a tag and the beginning of its line, or `behind`."""
    start = max(behind, text.rfind("\n", behind, tag.start()) + 1)
    return not _BEFORE.sub("", text[start : tag.start()])


def _closing(tags: list[re.Match[str]], number: int) -> int | None:
    """Return which tag ends the thoughts that a tag opens; thoughts may quote their own tags, most often in pairs."""
    depth, last = 0, None
    for place in range(number, len(tags)):
        if _kind(tags[place]) == _kind(tags[number]):
            depth += 1 if _opens(tags[place]) else -1
            last = last if _opens(tags[place]) else place
            if depth == 0:
                return place
    return last


def _ends_unopened(text: str, tags: list[re.Match[str]], number: int) -> bool:
    """Return whether a tag ends thoughts, and does not just follow its opening tag within a line of prose."""
    if _opens(tags[number]):
        return False
    before = tags[number - 1] if number else None
    if before is None or not _opens(before) or _kind(before) != _kind(tags[number]):
        return True
    return text.find("\n", before.end(), tags[number].start()) >= 0


def _tags_outside_code(text: str) -> list[re.Match[str]]:
    """Return the tags that are neither in code nor between quotes."""
    fences = [fence.start() for fence in _FENCE.finditer(text)]
    ticks = [tick.start() for tick in re.finditer("(?<!`)`{1,2}(?!`)", text)]
    return [tag for tag in _TAG.finditer(text) if not _is_quoted(text, tag, fences, ticks)]


def _is_quoted(text: str, tag: re.Match[str], fences: list[int], ticks: list[int]) -> bool:
    """Return whether a tag is inside a fence, inside code on its line, or right between two quotes."""
    start, end = tag.span()
    before = bisect(fences, start)
    if before % 2 and (len(fences) - before) % 2:  # of an odd number of fences behind it, one closes the one before it
        return True
    line = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    on_line = bisect(ticks, start) - bisect(ticks, line - 1)
    behind = bisect(ticks, line_end if line_end >= 0 else len(text)) - bisect(ticks, end - 1)
    if on_line % 2 and behind % 2:
        return True
    between = start > 0 and text[start - 1] in _QUOTES and end < len(text) and text[end] in _QUOTES
    return between and _opens_quotation(text[line : start - 1], text[start - 1])


def _opens_quotation(before: str, mark: str) -> bool:
    """Return whether a quotation mark opens one on its line, and does not end one that stands `before` it."""
    if mark == '"':
        return before.count(mark) % 2 == 0
    if mark == "'":
        return not before[-1:].isalnum()
    return not set(before) & set(_OPENED_BY.get(mark, ""))


def _opens(tag: re.Match[str]) -> bool:
    """Return whether a tag opens thoughts."""
    return str(tag.lastgroup).startswith("o")


def _kind(tag: re.Match[str]) -> int:
    """Return which marks a tag belongs to."""
    return int(str(tag.lastgroup)[1:])


def _inner(thoughts: str) -> str:
    """Return thoughts without their own tags."""
    tags = list(_TAG.finditer(thoughts))
    start = tags[0].end() if tags and _opens(tags[0]) and not thoughts[: tags[0].start()].strip() else 0
    end = tags[-1].start() if tags and not _opens(tags[-1]) and tags[-1].end() == len(thoughts) else len(thoughts)
    return thoughts[start:end].strip()


def _is_json(text: str) -> bool:
    """Return whether the whole text is a JSON value, in whose strings a tag may stand."""
    if text[:1] not in ("{", "[", '"'):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
