"""Words that turn what is said into its opposite, or leave it open, in the languages that teachers answer in.

The lists are there to notice, not to understand: a sentence that holds one of these words says nothing for certain, so
the teacher is asked again. They may hold a word too many; one too few is what costs a wrong label.
"""

# ruff: noqa: RUF001 - words and marks of many scripts look like others

from __future__ import annotations

import re

_NEGATIONS = """
    not cannot never no nope nah none nobody nothing neither nor hardly barely scarcely without lack lacks lacking
    unlikely doubt doubtful doubtfully deny denies wrong incorrect false mistake mistaken untrue opposite except fails
    fail failed refuse refuses avoid excluding rather reject rejects rejected disagree contrary isnt arent wasnt wont
    dont doesnt didnt cant ain non
    nicht nichts nie niemals kein keine keinen keinem keiner keines nein weder noch ohne kaum falsch
    ne pas jamais aucun aucune ni sans guère faux fausse
    nunca jamás tampoco ningún ninguna ninguno sin ni falso falsa
    mai né senza nessun nessuno nessuna neanche nemmeno
    não nem sem nenhum nenhuma tampouco jamais
    niet geen nooit zonder nee noch niets
    inte ikke ikkje ej ingen inget inga aldrig aldri utan uden uten nej nei icke
    nie nigdy bez ani żaden żadna brak není nejsou nikdy žádný ne nikoli nisu nije nema nikada
    не нет ни никогда нельзя без нету вряд неверно ні немає ніколи ня няма
    nem nincs soha sem nélkül sincs ei en ole eivät älä ilman eikä emme
    değil yok hayır hiç asla olmayan
    nu niciun nicio fără niciodată
    không chẳng chưa đừng tidak bukan tanpa jangan belum tak hindi huwag wala hapana si sio haiko bila
    δεν μη μην όχι ούτε χωρίς ποτέ
    לא אין בלי אינו אינה אל מעולם
    لا ليس ليست لم لن غير ما بدون دون كلا نه نیست نمی بدون هیچ نہیں نا
    नहीं नही न मत बिना कभी না নয় নেই নি ছাড়া
    ez nije nav nėra nebuvo ekki ekkert nid nad ddim nijemals
"""
_PARTS = """
    错 錯 誤 误 間違 틀린
    不 没 沒 非 无 無 未 别 勿 莫 否 ない なく ません なし ず 않 아니 아닙 아닌 안 없 못 ไม่ มิได้ มิใช่ ไร้ ບໍ່ មិន អត់ မဟုတ် မရှိ
    ഇല്ല അല്ല அல்ல இல்லை కాదు లేదు ಅಲ್ಲ ಇಲ್ಲ
"""
_OPEN = """
    if whether unless might could maybe perhaps either or depends depending between assume assuming suppose supposing
    claims claimed pretends supposedly allegedly
    hypothetically unclear uncertain unsure ambiguous someone first initially almost nearly
    ob falls wenn vielleicht könnte entweder oder manche unklar zuerst si peut soit ou certains
    quizás quizá podría algunos forse potrebbe alcuni talvez pode
    если может возможно либо или некоторые
"""
_OPEN_PARTS = "如果 可能 也许 或 要是 もし かもしれ か? 만약 아마 또는"
_TURN = """
    actually wait correction instead however but although though yet except nevertheless nonetheless sorry oops hmm
    reconsider reconsidering whereas aber doch jedoch sondern obwohl mais cependant pourtant pero aunque sino però ma
    sebbene mas porém maar echter men dock но однако хотя ale jednak
"""
_TURN_PARTS = "但 不过 然而 其实 等等 しかし でも ただし 하지만 그러나"
_BECAUSE = """
    because since as for due given weil denn da car parce puisque porque pues perché poiché pois omdat want eftersom
    fordi потому поскольку так
"""
_BECAUSE_PARTS = "因为 因 由于 から ので 때문"


def _words(text: str, parts: str = "") -> re.Pattern[str]:
    """Return the pattern of whole words, and of parts of words in scripts that write no spaces."""
    words = "|".join(sorted(map(re.escape, set(text.split())), key=len, reverse=True))
    inside = "|".join(map(re.escape, parts.split()))
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)" + (f"|{inside}" if inside else ""), re.IGNORECASE)


NEGATION = re.compile(
    _words(_NEGATIONS, _PARTS).pattern
    + r"|n['\N{RIGHT SINGLE QUOTATION MARK}]t\b|\bn['\N{RIGHT SINGLE QUOTATION MARK}](?=\w)"
    + r"|!=|[≠¬✗✘❌✕✖☐👎🚫⛔]|\[ \]|~~"
    + r"|\bfar from\b|\banything but\b|\bless than\b|\btoo\b.*\bto be\b|\bfree (?:of|from)\b",
    re.IGNORECASE,
)
"""What says that something is not so."""
OTHERS = re.compile(
    r"\b(?:some|one|people|others|many|critics|they|you|manche|certains|algunos) (?:(?:would|might|may|could|can) )?"
    r"(?:say|call|think|argue|claim|believe|sagen|disent|dicen)\b",
    re.IGNORECASE,
)
"""What says that somebody else says something."""
OPEN = re.compile(f"{_words(_OPEN, _OPEN_PARTS).pattern}|{OTHERS.pattern}", re.IGNORECASE)
"""What says that something may be so, or that somebody else says it."""
TURN = _words(_TURN, _TURN_PARTS)
"""What turns against what was said before it."""
TAKES_BACK = re.compile(
    r"\b(?:actually|wait|correction|sorry|oops|reconsider(?:ing)?|on second thoughts?|scratch that|my mistake|"
    r"i mean|kidding|moment|eigentlich|korrektur|en fait|en realidad|in realtà|на самом деле)\b|其实|等等|やっぱり"
    r"|(?:not|n['\N{RIGHT SINGLE QUOTATION MARK}]t|wrong|incorrect|false|untrue|falsch|faux|falso|неверно|不对)"
    r"\W{0,4}(?:[.!\n]|$)",
    re.IGNORECASE,
)
"""What takes back what was said before it: a word of correction, or a sentence that ends in a denial."""
REPEATS_NO = re.compile(r"(?:not|n['\N{RIGHT SINGLE QUOTATION MARK}]t)(?=\W{0,4}(?:[.!\n]|$))", re.IGNORECASE)
"""The end of a sentence such as "No, it does not."."""
BECAUSE = _words(_BECAUSE, _BECAUSE_PARTS)
"""What a reason begins with; denials behind it are about the reason."""
