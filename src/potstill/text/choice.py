"""Which of several labels an answer says, or that it does not say one for certain.

An answer in words is easy to misread: "not safe" holds the word "safe", "No doubt: yes" begins with "no", "A careful
look" with "A". So a label counts only where it is the whole answer, where it opens the answer and is set off from the
rest, or where a phrase such as "the answer is" leads to it; and only if nothing around it denies it, leaves it open,
takes it back or names another one. All else is asked again, which costs one answer and no wrong label.
"""

# ruff: noqa: RUF001 - words and marks of many scripts look like others

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from potstill.text.labels import ANY, MARKS, NAMED, Labels, prepared
from potstill.text.negation import BECAUSE, NEGATION, OPEN, OTHERS, REPEATS_NO, TAKES_BACK, TURN
from potstill.text.phrases import ANNOUNCES, CONDITION, CROSSED, STATEMENT, is_key, is_own
from potstill.text.reasoning import after_thoughts

_GAP = rf"[\s{re.escape(MARKS)}]{{0,12}}"
_CLOSE = rf"[ \t{re.escape(MARKS)}]{{0,12}}"
_SUFFIX = r"(?:的|です|でした|だ|입니다|이다|이에요|예요)?"
_STOP = rf"(?:$|[.,;!:\n()…。、—–]|-\s|{BECAUSE.pattern})"
_FILLER = (
    r"(?:(?:the|a|an|option|label|class|category|choice|response|answer|letter|assistant|clearly|definitely|certainly|"
    r"simply|just|therefore|thus|most likely|likely|probably|overall|indeed|very|die|der|das|option|antwort|la|le|el|"
    r"l'|klar|eindeutig|clairement|claramente)\b[ :]*){0,3}"
)
_NOUN = (
    r"(?:answer|label|verdict|decision|choice|category|class|classification|conclusion|output|result|response|"
    r"sentiment|rating|option|judge?ment|winner|antwort|etikett|kategorie|klasse|urteil|ergebnis|entscheidung|"
    r"réponse|étiquette|catégorie|classe|décision|respuesta|etiqueta|categoría|clase|veredicto|decisión|"
    r"risposta|etichetta|categoria|verdetto|resposta|rótulo|classificação|antwoord|categorie|svar|svaret|"
    r"odpowiedź|etykieta|odpověď|cevap|yanıt|etiket|ответ|метка|категория|класс|вердикт|відповідь|"
    r"答案|回答|标签|標籤|类别|類別|结论|結論|答え|ラベル|分類|判定|정답|답변|답|라벨|결론|الإجابة|الجواب|التصنيف|उत्तर|जवाब)"
)
_LINK = (
    r"(?:is|are|was|would be|should be|must be|reads|ist|lautet|wäre|est|es|è|é|är|er|to|brzmi|je|это|"
    r"是|为|為|は|が|은|는|이|هو|هي|है|:|=|->|→|—|–)"
)
_LEADS = re.compile(
    rf"(?:(?<!\w)(?P<noun>{_NOUN}){_GAP}(?:{_LINK}{_GAP}){{1,2}}"
    rf"|(?<!\w)(?:therefore|thus|hence|in conclusion|in summary|to conclude|daher|deshalb|folglich|donc|"
    rf"por lo tanto|quindi|portanto|поэтому|因此|所以|したがって|따라서)[,:]?{_GAP})"
    rf"{_FILLER}{_GAP}(?P<label>{NAMED}){_SUFFIX}(?={_CLOSE}{_STOP})",
    re.IGNORECASE,
)
"""A phrase that says what the answer is."""
_STATES = re.compile(
    rf"(?:{STATEMENT}|是|选|選|为|は|が|(?P<key>[:=])){_GAP}{_FILLER}{_GAP}{NAMED}{_SUFFIX}(?={_CLOSE}{_STOP})"
    rf"|(?:^|[.!:\n]\s{{0,3}}|\b(?:on|with|for|say)\s)\*\*\s?{NAMED}\s?\*\*(?={_CLOSE}{_STOP})"
    rf"|(?:^|\b(?:think|believe|say|that)\s){_GAP}{NAMED}{_CLOSE}\s(?:is|wins|fits|would be|ist|est|es)\s"
    rf"(?:the\s|clearly\s|definitely\s)?(?:right|correct|better|best|answer|richtig|correcto|correcte?|juste)\b",
    re.IGNORECASE,
)
"""A weaker one, which counts where no other label is named and nothing is denied."""
_ALONE = re.compile(
    rf"(?:[-•*]\s{{1,3}}|\d{{1,2}}[.)]\s{{1,3}})?(?:(?:definitely|absolutely|clearly|certainly|obviously|very|option|label|"
    rf"class|category|choice|answer|eindeutig|ganz klar|clairement|claramente|chiaramente)\s{{1,3}})?"
    rf"{_GAP}({NAMED}){_CLOSE}[.!]?\s*",
    re.IGNORECASE,
)
"""A list's mark or a word of emphasis before the label that is the whole answer."""
_OPENS = re.compile(rf"{_GAP}({NAMED}){_SUFFIX}{_CLOSE}([.,;!:\n)。、—–…]|\s-\s|\s\()")
_FINAL = re.compile(r"final|conclu|therefore|thus|hence|schließlich|definitiv|最终|最終|최종|итог", re.IGNORECASE)
_BOX = re.compile(
    r"\\boxed\{(?:\\text\{)?([^{}]{1,200})\}?\}|\[\[([^\[\]]{1,200})\]\]"
    r"|<(answer|final|final_answer|label|output|result|verdict|choice|category)>([^<>]{1,200})</\3>",
    re.IGNORECASE,
)
"""Frames that prompts ask answers to be put in."""
_REJECTS = re.compile(
    rf"[,(]?\s*\b(?:and |but |und |et |y |e )?(?:not|rather than|instead of|over|nicht|statt|pas|plutôt que|no|non|não|"
    rf"не|а не|而不是|不是){_GAP}{_FILLER}({ANY})(?={_CLOSE}{_STOP})",
    re.IGNORECASE,
)
"""Another label turned down: that confirms the one before it."""
_SET_OFF = re.compile(rf"{_SUFFIX}{_CLOSE}{_STOP}", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?。\n;]")
LONGEST = 20_000
"""Characters beyond which an answer is no longer looked through for a label."""
_PARTICLES = frozenset(
    """
    yes no true false y n ja nein oui non si sí sì sim não da ne да нет tak nie evet hayır 是 否 对 不 はい いいえ 네
    아니요
    """.split()
)
"""Labels that say nothing themselves, so that a denial behind them explains rather than contradicts them."""
_DENIALS = frozenset(
    ["no", "false", "n", "nein", "non", "não", "ne", "нет", "nie", "hayır", "否", "不", "いいえ", "아니요"]
)
"""Those that deny, so that a sentence behind them that ends in "not" says the same again."""


@dataclass(frozen=True)
class ChoiceReader:
    """Reads which of several labels an answer says.

    >>> reader = ChoiceReader(("safe", "unsafe"))
    >>> reader.read("The answer is **safe**, because it does no harm.")
    'safe'
    >>> reader.read("not safe")
    Traceback (most recent call last):
    ValueError: names safe, but not as a clear answer: one of safe, unsafe is wanted
    """

    choices: tuple[str, ...]
    """The labels."""

    @cached_property
    def _labels(self) -> Labels:
        return Labels(self.choices)

    def read(self, text: str) -> str:
        """Return the label that an answer says.

        Raises:
            ValueError: it says none, several, or one that it may not mean.
        """
        answer = after_thoughts(text).strip()
        if len(answer) > LONGEST:
            raise ValueError(f"has {len(answer)} characters where one of {', '.join(self.choices)} is wanted")
        whole = self._labels.whole(answer)
        crossed = CROSSED.match(answer) and answer not in self.choices
        if whole is not None and not crossed:
            return whole
        framed = _BOX.sub(_unframed, prepared(answer))
        marked = self._labels.marked(framed)
        label = None if crossed else self._led_to(marked) or self._opening(marked) or self._stated(marked)
        if label is None:
            named = sorted({self._labels.name_of(mark) for mark in re.findall(ANY, marked)}, key=self.choices.index)
            what = f"names {' and '.join(named)}, but not as a clear answer" if named else "names none"
            raise ValueError(f"{what}: one of {', '.join(self.choices)} is wanted")
        return label

    def _led_to(self, marked: str) -> str | None:
        """Return the label that a phrase leads to; of different ones the last, if it is called final."""
        matches = [match for match in _LEADS.finditer(marked) if _is_answer(marked, match)]
        if not matches:
            return None
        labels = {self._labels.name_of(match["label"]) for match in matches}
        last = matches[-1]
        final = _FINAL.search(_sentence_before(marked, last.start()) + last.group())
        clear = len(labels) == 1 or (final and not _FINAL.search("".join(match.group() for match in matches[:-1])))
        return self._unless_taken_back(marked, last.end(), last["label"]) if clear else None

    def _opening(self, marked: str) -> str | None:
        """Return the label that an answer begins with, if it is set off from the rest."""
        alone = _ALONE.fullmatch(marked)
        if alone:
            return self._labels.name_of(alone[1])
        match = _OPENS.match(marked)
        if match is None or _LEADS.search(marked):
            return None
        rest = marked[match.end() :]
        if match[2] == ":" and (NEGATION.search(rest) or OPEN.search(rest) or re.search(rf"\d|{ANY}", rest)):
            return None  # a key with a value, as in "safe: no"
        if (match[2] == ":" and len(rest.split()) <= 2) or rest[:1] == "?":
            return None  # "safe: rarely", "safe!?"
        if ANNOUNCES.match(rest):
            return None
        return self._unless_taken_back(marked, match.end() - 1, match[1])

    def _stated(self, marked: str) -> str | None:
        """Return the only label named, if the whole answer just states it."""
        names = {self._labels.name_of(mark) for mark in re.findall(ANY, marked)}
        if len(names) != 1 or any(pattern.search(marked) for pattern in (NEGATION, OPEN, TAKES_BACK)) or "?" in marked:
            return None
        [name] = names
        if _LEADS.search(marked):
            return None  # to what is some other answer
        symbol = not re.search(r"[^\W_]", name) and re.search(rf"\A{_GAP}{NAMED}|{NAMED}{_CLOSE}\Z", marked)
        if _states(marked) or (symbol and is_key(marked[: symbol.start()])):
            return name
        return None

    def _unless_taken_back(self, marked: str, end: int, mark: str) -> str | None:
        """Return the label of `mark` unless what comes behind it denies it or names another one."""
        name = self._labels.name_of(mark)
        rest = _REJECTS.sub(lambda match: match.group() if self._labels.name_of(match[1]) == name else "", marked[end:])
        if TAKES_BACK.search(REPEATS_NO.sub("", rest) if name.casefold() in _DENIALS else rest):
            return None
        sentence = _SENTENCE_END.split(rest, maxsplit=1)[0]
        claim = BECAUSE.split(sentence, maxsplit=1)[0]
        condition = CONDITION.search(sentence)
        if condition and condition.start() <= len(claim):
            return None
        if name.casefold() not in _PARTICLES and (NEGATION.search(claim) or TURN.search(claim)):
            return None
        return None if any(self._contradicts(rest, other, name) for other in re.finditer(ANY, rest)) else name

    def _contradicts(self, rest: str, mark: re.Match[str], name: str) -> bool:
        """Return whether a label behind the answer denies it: the same one negated, or another one set off."""
        before = _sentence_before(rest, mark.start())
        if OTHERS.search(before):
            return False
        if self._labels.name_of(mark.group()) == name:
            return name.casefold() not in _PARTICLES and NEGATION.search(before) is not None
        return _SET_OFF.match(rest, mark.end()) is not None or TURN.search(rest, 0, mark.start()) is not None


def _unframed(match: re.Match[str]) -> str:
    """Return a framed answer as a sentence."""
    return f" final answer: {next(group for group in (match[1], match[2], match[4]) if group)}. "


def _sentence_before(text: str, place: int) -> str:
    """Return what stands before `place` in its sentence."""
    return _SENTENCE_END.split(text[max(0, place - 500) : place])[-1]


def _before_lead(text: str, lead: re.Match[str]) -> str:
    """Return what may deny a phrase that leads to a label: its sentence, or its clause if it is the final word."""
    before = _sentence_before(text, lead.start())
    return before.rpartition(",")[2] if _FINAL.search(before.rpartition(",")[2] + lead.group()) else before


def _is_answer(text: str, lead: re.Match[str]) -> bool:
    """Return whether a phrase leads to the answer itself, and not to a wrong one, or somebody else's."""
    own = lead["noun"] is None or is_own(_sentence_before(text, lead.start()))
    return own and not _is_open(_before_lead(text, lead))


def _states(text: str) -> bool:
    """Return whether a text states what the answer is, be it as the value of a key."""
    matches = _STATES.finditer(text)
    return any(match["key"] is None or is_key(text[max(0, match.start() - 100) : match.start()]) for match in matches)


def _is_open(text: str) -> bool:
    """Return whether a text denies what follows, or leaves it open."""
    return bool(NEGATION.search(text) or OPEN.search(text))
