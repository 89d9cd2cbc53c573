"""What an instruction asks for: its verb and the noun that is the verb's direct object.

Wang et al. 2023, "Self-Instruct", figure 2, counts them by a constituency parser. A parser is a model of its own; this
is an approximation by rules over English word lists: instructions mostly are imperatives that start with their verb,
and the head of a noun phrase mostly is its last word before a preposition. Questions and texts in which no listed verb
is found at such a place give nothing, as in the paper those without the structure are left out.
"""

from __future__ import annotations

import itertools
import re

VERBS = frozenset(
    """
    abbreviate accept achieve act adapt add adjust advise alter analyse analyze announce annotate answer apologize
    apply appraise argue arrange articulate ask assemble assess assign assume attach avoid balance begin book
    brainstorm break brew bring build bypass calculate call cancel capitalize capture categorise categorize change
    characterize charge chat check choose cite clarify classify clean clear close collect color combine come comment
    compare compile complete compose compute concatenate conclude condense conduct configure confirm connect
    consider construct contact continue contrast convert convince cook copy correct count cover craft create
    critique cut date debug decide decode decrease deduce define delete deliver demonstrate derive describe design
    detect determine develop devise diagnose dim disable discover discuss display dispute distinguish divide do
    download draft draw edit elaborate eliminate email emphasize enable encode encourage end enhance enter enumerate
    establish estimate evaluate examine exchange execute expand explain explore express extend extract fetch figure
    file fill filter find finish fix flip focus fold follow forecast form format formulate gather generate get give
    go grade greet group guess guide handle help highlight hypothesize identify illustrate imagine implement imply
    improve include incorporate increase indicate infer inform insert install instruct integrate interpret introduce
    invent invert investigate invite join judge justify keep label launch learn leave lengthen let link list listen
    load locate lock look lower maintain make map mark match measure mention merge minimize mix model modify monitor
    move multiply mute name narrate negate normalize note notify number offer open optimize order organize outline
    output paraphrase parse pause perform pick place plan play plot point polish pose post praise predict prepare
    present preserve prevent print prioritize proceed process produce program prompt pronounce proofread propose
    prove provide pull punctuate purchase put quantify query quote raise randomize rank rate react read rearrange
    reason recall recap recite recommend reconstruct record reduce refactor refer refine reformat reformulate
    rephrase relate remember remind remove rename render reorder reorganize repair repeat replace reply report
    represent request research reserve reset resolve respond restate restructure resume retrieve return reveal
    reverse review revise reword rewrite rhyme round run sample save say scan schedule score search segment select
    send separate set share shift shorten show shuffle shut sign simplify simulate skip solve sort speak specify
    spell split spot standardize start state stop store structure study submit substitute subtract suggest sum
    summarise summarize supply support suppose swap switch synthesize tag take talk tell test think throw time title
    tokenize trace track train transcribe transform translate transpose trim try turn type understand undo unlock
    unmute unscramble update upgrade upload use validate vary verify visit visualize wait wake walk warn weigh work
    write
    """.split()
)
"""Base forms of verbs that instructions start with; "give" is there, "given" is not."""
OPENERS = re.compile(
    r"^(?:(?:so|now|then|next|first|finally|hi|hey|hello|okay|ok|just|also|briefly|kindly|please|and)\b[\s,]*"
    r"|(?:can|could|would|will|should) (?:you|we|i)\b[\s,]*"
    r"|(?:i|we)(?: would|'d)? (?:want|need|like|love) (?:you )?to\b\s*"
    r"|(?:i am|i'm) (?:looking|trying) (?:to|for)\b\s*"
    r"|(?:your|the|my) (?:task|job|goal|aim|objective) is (?:to\b)?\s*"
    r"|you (?:will|should|must|need to|have to|are (?:asked |required |expected )?to|may|can)\b(?: be)?\s*"
    r"|help (?:me|us)\b(?: to\b| with\b)?\s*"
    r"|let'?s\b\s*|let us\b\s*|try to\b\s*|be able to\b\s*|be sure to\b\s*|make sure to\b\s*|do not\b\s*|don't\b\s*)",
    re.IGNORECASE,
)
"""Phrases before the verb that ask, but don't say for what."""
CLAUSE = re.compile(
    r",|\bthen\b|\band\b|\byou (?:will|should|must|need to|have to|are to|are asked to)\b|\byour task is\b"
)
"""Where the main clause may start in a sentence that doesn't start with it."""
PARTICLES = frozenset("on off up down out back over away together".split())
PRONOUNS = frozenset("me us him them you myself yourself themselves".split())
DETERMINERS = frozenset(
    """
    a an the this that these those my your his her its our their some any all each every both no another other such
    several many few more most one two three four five six seven eight nine ten twenty what which whatever
    """.split()
)
BOUNDARIES = frozenset(
    """
    , of for in on at to with without from about by as into onto between among within during after before under over
    against through across per via like than until since because so but and or nor if whether when while where how
    why who whom whose that which is are was were be been has have had do does did can could will would should may
    might must not off up down out away there here it he she they we i you then instead also only please today
    tomorrow tonight now
    """.split()
)
"""Words that end a noun phrase."""
PARTICIPLES = frozenset(
    """
    given provided called named written based containing using describing listing including explaining showing
    regarding concerning following starting ending stating below above
    """.split()
)
"""Words that end a noun phrase after its noun, and belong to it before."""
IRREGULAR = {
    "people": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "analyses": "analysis",
    "criteria": "criterion",
    "hypotheses": "hypothesis",
    "lives": "life",
    "series": "series",
    "news": "news",
    "species": "species",
    "movies": "movie",
    "cookies": "cookie",
}


MOST_CLAUSES, LONGEST = 100, 2000
"""Clauses of a sentence, and characters of a clause, that are looked at: more are no sentence but a list."""


def verb_and_object(text: str) -> tuple[str, str] | None:
    """Return the verb of an English instruction and its direct object in the singular; the object may be empty.

    >>> verb_and_object("Please write three short stories about a dog.")
    ('write', 'story')
    >>> verb_and_object("Given a list of numbers, find the largest number.")
    ('find', 'number')
    >>> verb_and_object("Who was the first person on the moon?") is None
    True
    """
    for sentence in re.split(r"[.?!:;\n()]+", text):
        for clause in _clauses(sentence):
            words = re.findall(r"[a-z]+(?:['\N{RIGHT SINGLE QUOTATION MARK}-][a-z]+)*|,", clause.lower())
            if words and words[0] in VERBS:
                return words[0], _object(words[1:])
    return None


def _clauses(sentence: str) -> list[str]:
    """Return the sentence without its opening phrases, and then what follows each place where a clause may start."""
    starts = [
        0,
        *(
            match.end() if match.group() in (",", "then", "and") else match.start()
            for match in CLAUSE.finditer(sentence.lower())
        ),
    ]
    return [_opened(sentence[start : start + LONGEST].strip()) for start in starts[:MOST_CLAUSES]]


def _opened(clause: str) -> str:
    """Return a clause without the phrases that only ask."""
    while match := OPENERS.match(clause):
        clause = clause[match.end() :]
    return clause


def _object(words: list[str]) -> str:
    """Return the head of the noun phrase that follows the verb, or nothing."""
    rest = words[1:] if words and words[0] in PARTICLES else list(words)
    rest = rest[1:] if rest and rest[0] in PRONOUNS else rest
    head, open_phrase = "", False
    for word, after in itertools.pairwise([*rest, ","]):
        if word in DETERMINERS and (not head or word not in BOUNDARIES):
            open_phrase = True  # a second determiner after a noun: "give the user a list" is about the list
        elif word in BOUNDARIES or (head and not open_phrase and _is_participle(word, after)):
            break
        elif not word.endswith("'s") and word not in PARTICIPLES:
            head, open_phrase = word, False
    return singular(head)


def _is_participle(word: str, after: str) -> bool:
    """Return whether a word after a noun starts a clause about it: "a list containing", "the code associated with"."""
    return word in PARTICIPLES or (
        word.endswith(("ing", "ed")) and after in DETERMINERS | BOUNDARIES - {",", "and", "or"}
    )


def singular(noun: str) -> str:
    """Return a noun in the singular, by the common endings.

    >>> [singular(noun) for noun in ("stories", "boxes", "lists", "glass", "people")]
    ['story', 'box', 'list', 'glass', 'person']
    """
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if len(noun) > 4 and noun.endswith("ies"):
        return noun[:-3] + "y"
    if re.search(r"(?:ss|x|z|ch|sh)es$", noun):
        return noun[:-2]
    return noun[:-1] if len(noun) > 3 and noun.endswith("s") and not re.search(r"(?:ss|us|is)$", noun) else noun
