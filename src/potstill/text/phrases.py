"""Whether a sentence that names a label gives it as the answer: whose answer it is, of what it speaks, on what terms.

"The worse response is A", "The author says it's safe", "Text: safe" and "Good. Let me look" name a label and answer
nothing. What a sentence speaks of is matched against what answers speak of, and all else is taken to be something else.
"""

# ruff: noqa: RUF001 - letters of many scripts look like others

from __future__ import annotations

import re

_DETERMINERS = frozenset(
    """
    the a an my our this that its one der die das ein eine meine mein diese dieses dieser la le l les ma mon cette el
    un una mi esta il lo l' o os minha a questa mia de het mijn en ett min
    """.split()
)
_CONFIRMS = frozenset(
    """
    correct right best better final most overall likely probable appropriate suitable fitting accurate preferred chosen
    selected predicted assigned resulting proper true only good main primary general clear single definitive ultimate
    sentiment text class topic emotion intent language toxicity safety stance category classification label answer so
    output result therefore is thus hence definite strongest top winning recommended
    beste richtige korrekte passende endgültige wahrscheinlichste richtiges korrektes finale gesamte
    bonne meilleure correcte juste finale correcta mejor corretta migliore giusta correta melhor certa final définitive
    правильный верный лучший мой финальный итоговый окончательный juiste rätta
    """.split()
)
_WORD = re.compile(r"[^\W\d_][\w'\N{RIGHT SINGLE QUOTATION MARK}-]*")
_CLAUSE = re.compile(r"[,:;()\n—–]|\s-\s")
_SPACELESS = re.compile(r"[\u2e80-\uffdc]\s*\Z")
_NO_KEYS = re.compile(
    r"(?<!\w)(?:texts?|inputs?|options?|choices|labels|categories|classes|answers|examples?|format|prompt|title|"
    r"questions?|definition|note|policy|says|scale|instance|e\.?g|choose|pick|select|tell|user|system|quote|context|"
    r"task|words?|keywords?|terms?|hint|asks?|optionen|beispiel|eingabe|opciones|ejemplo|exemple|entrée)(?:\s(?:is|are|says))?\W{0,4}\Z",
    re.IGNORECASE,
)
"""What stands before a colon and is no question that a label answers."""
_THINGS = (
    r"(?:text|message|review|comment|sentence|statement|sentiment|tone|passage|post|tweet|e-?mail|query|question|"
    r"request|content|response|reply|claim|document|article|language|topic|intent|intention|mood|emotion|input|item|"
    r"paragraph|utterance|headline|answer|label|satz|nachricht|stimmung|aussage|bewertung|texte|phrase|avis|texto|"
    r"mensaje|frase|reseña|sentimiento|testo|messaggio|mensagem|текст|сообщение|отзыв)"
)
_Q = r"['\N{RIGHT SINGLE QUOTATION MARK}]"
_OPENER = (
    r"(?:(?:so|thus|therefore|hence|overall|clearly|in my (?:opinion|view)|well|also|daher|donc|"
    r"(?:i|we) (?:think|believe|conclude|would say|am sure|am confident)(?: that)?|ich denke|je pense|creo que|"
    r"(?:based on|given|after|from|in|looking at|according to) [^,.!?\n]{1,80},)[,:]?\s{1,3}){0,3}"
)
_IS = rf"(?:is|are|{_Q}s|was|should be|must be|ist|sind|est|es|son|è|sono|é|является|kies|är|er)"
_AS = (
    r"(?:\s(?:best\s|clearly\s)?(?:classified|labell?ed|categori[sz]ed|rated|considered|described|tagged|judged)"
    r"(?:\s(?:as|to be))?)?"
)
_SUBJECT = (
    rf"(?:it|this|that|das|dies|es|ce|c|esto|eso|questo|isto|это|(?:the|this|that|der|die|das|dieser|diese|dieses|le|la|"
    rf"cette|el|il|lo|o|a|este|esta|questa|этот|эта|это)\s(?:given\s|above\s|provided\s|product\s|customer\s|movie\s|"
    rf"overall\s|whole\s|general\s|user\s)?{_THINGS}(?:\s(?:of|in)\s(?:the|this)\s\w{{1,30}}(?:\s{_THINGS})?)?)"
)
_CHOOSING = (
    rf"(?:i|we|ich|je|yo|io|eu|я|wir|nous)(?:{_Q}(?:d|ll)|\s(?:would|will|have to|must))?\s"
    r"(?:choose|chose|pick|picked|select|selected|prefer|say|go with|vote for|(?:classify|label|rate|categori[sz]e)\s"
    rf"(?:it|this|(?:the|this)\s{_THINGS})(?:\sas)?|wähle|choisis|elijo|scelgo|escolho|выбираю)"
)
STATEMENT = rf"(?:^|[.!?\n:]\s{{0,3}}){_OPENER}(?:{_SUBJECT}[\s']{{0,2}}{_IS}{_AS}|{_IS}|{_CHOOSING}[:,]?)"
"""The beginning of a sentence that says of what is judged what it is, or what is chosen, up to the label."""
CONDITION = re.compile(
    r"(?<!\w)(?:if|unless|until|provided|depends|depending|(?:as|so) long as|"
    r"only (?:when|where|in|for|to|with|by)|when|"
    r"in (?:some|certain|many|most|a few) (?:cases|ways|places|parts|sense)|sometimes|partly|partially|rarely|seldom|"
    r"up to a point|wenn|falls|sofern|solange|teilweise|manchmal|à condition|parfois|en partie|siempre que|a veces|"
    r"en parte|a volte|se|às vezes|если|иногда|частично)(?!\w)|如果|只有|有时|もし|場合|만약|때만",
    re.IGNORECASE,
)
"""What says on what terms something is so."""
ANNOUNCES = re.compile(
    rf"[\s,.!:;)*_—–-]{{0,12}}(?:(?:so|now|then|and|first|alright|well|okay|ok|also|dann|alors|entonces)[\s,]{{1,3}}){{0,2}}"
    rf"(?:let(?:{_Q}s| me| us)\b|"
    rf"i(?:{_Q}(?:ll|m going)| will| am going| need to| have to)\b|"
    rf"i(?:{_Q}d| would) be (?:happy|glad)\b|i can (?:help|do)\b|"
    rf"we (?:need|have|should|must|will|look)\b|here(?:{_Q}s| is| are| comes)\b|"
    r"the user (?:wants|asks|is asking)\b|"
    r"(?:first|next),? (?:we|i)\b|my (?:analysis|answer|response) (?:follows|is below)|the analysis follows|"
    r"ich (?:analysiere|schaue|werde|sehe)\b|lass|schauen wir|sehen wir|also die|"
    r"voyons|regardons|je vais|veamos|"
    r"vamos|voy a|vediamo|vejamos|давай|посмотрим|рассмотрим|я (?:буду|проанализирую)|"
    r"我(?:来|们|將|将|会)|让我|讓我|来看|"
    r"見て|考えて|分析し|살펴|보겠)",
    re.IGNORECASE,
)
"""What is said by somebody who has yet to answer: the label before it is an interjection, as in "Good. Let me see"."""
CROSSED = re.compile(r"[-*\s]{0,9}(?:\[\s{0,3}\]|☐|~~|<(?:s|del|strike)>|!=|≠|¬|<>)", re.IGNORECASE)
"""What crosses out, or leaves unticked, the label behind it."""


def is_own(before: str) -> bool:
    """Return whether the noun behind `before`, such as "answer", is the answer that is given, and not some other one.

    >>> is_own("So the most likely"), is_own("The student's"), is_own("Die falsche")
    (True, False, False)
    """
    clause = _CLAUSE.split(before)[-1]
    if _SPACELESS.search(clause):
        return True  # a denial in it is seen without knowing its words
    words = [word.casefold() for word in _WORD.findall(clause)[-5:]]
    first = next((place for place in reversed(range(len(words))) if words[place] in _DETERMINERS), len(words) - 2)
    return all(word in _CONFIRMS for word in words[first + 1 :])


def is_key(before: str) -> bool:
    """Return whether what stands before a colon is a question that a label answers, as "Toxicity" is.

    >>> is_key("Toxicity"), is_key("Example")
    (True, False)
    """
    return _NO_KEYS.search(before) is None
