"""Core phrasings of every action.

A line is `kind [weight*]text [=> value]`. The kinds: `v` verb phrase (takes polite frames), `w` a thing and its state
parted by "::" (takes "I want ... to be", "make sure ... is"), `t` telegraphic, `s` sentence, `c` complaint. "(a|b)"
stands for one phrasing each. Slots: names of noun lists, `{val}` the value, `{lvl}` the value or a word such as "half",
`{num}` the bare number, `{R}` a named room; the rest are small choices of the lexicon. A key with "/" is one of several
groups of phrasings of the same action.
"""

from typing import Final

from potstill.data.home.phrasings import chores, climate, guards, light, media, openings

PHRASINGS: Final[dict[str, str]] = {
    **light.PHRASINGS,
    **climate.PHRASINGS,
    **openings.PHRASINGS,
    **media.PHRASINGS,
    **chores.PHRASINGS,
    **guards.PHRASINGS,
}
