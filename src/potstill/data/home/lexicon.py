"""Words for devices, and the polite or chatty frame put around a command."""

from typing import Final, NamedTuple


class Noun(NamedTuple):
    """A name for a device: its words, whether it is plural, and where it may stand.

    `where` is "r" for names used only together with a room, "n" for those used only without one, "" for both.
    """

    text: str
    plural: bool
    where: str


def _nouns(table: str) -> tuple[Noun, ...]:
    """Nouns from "weight text" items parted by commas; a final "+" marks a plural, "@r" or "@n" where it stands."""
    nouns: list[Noun] = []
    for item in table.split(","):
        weight, text = item.split(maxsplit=1)
        text, _, where = text.strip().partition("@")
        noun = Noun(text.rstrip("+"), text.endswith("+"), where)
        nouns += [noun] * int(weight)
    return tuple(nouns)


NOUNS: Final[dict[str, tuple[Noun, ...]]] = {
    "light": _nouns(
        "34 lights+, 28 light, 10 lamp, 4 lamps+, 4 ceiling light, 2 ceiling lights+, 2 overhead light, "
        "2 overhead lights+, 2 bulb, 1 bulbs+, 2 light bulb, 2 floor lamp, 2 desk lamp, 2 table lamp, "
        "1 bedside lamp, 1 reading lamp, 1 LED lights+, 2 lighting, 1 main light, 1 spotlights+, "
        "1 reading light, 1 standing lamp, 1 night light, 1 light fixture, 1 ceiling lamp"
    ),
    "heat": _nouns("14 heating, 9 heater, 6 radiator, 4 heat, 2 radiators+, 1 heaters+, 1 central heating@n"),
    "cool": _nouns("10 air conditioning, 9 AC, 7 air conditioner, 3 aircon, 2 A/C, 2 air con, 1 cooling"),
    "thermo": _nouns(
        "20 thermostat, 8 heating, 7 temperature, 6 heater, 4 radiator, 4 AC, 4 air conditioning, "
        "3 air conditioner, 2 heat, 1 room temperature@n, 1 temp, 1 aircon"
    ),
    "setback": _nouns("18 temperature, 18 thermostat, 14 heating, 9 heater, 6 radiator, 4 heat, 2 temp"),
    "climate": _nouns(
        "12 heating, 8 heater, 12 thermostat, 5 radiator, 8 air conditioning, 8 AC, 5 air conditioner, "
        "2 radiators+, 2 heat, 2 aircon, 1 central heating@n, 1 A/C"
    ),
    "temp": _nouns("12 temperature, 1 temp, 1 room temperature@n"),
    "fan": _nouns("30 fan, 8 ceiling fan, 4 fans+, 2 ventilator, 1 standing fan, 1 floor fan, 1 desk fan, 1 tower fan"),
    "blinds": _nouns(
        "20 blinds+, 14 curtains+, 9 shades+, 9 shutters+, 4 blind, 3 curtain, 2 shade, 1 window blinds+, "
        "2 drapes+, 1 roller blinds+, 1 window shades+, 1 roller shutters+, 2 shutter"
    ),
    "lock": _nouns(
        "14 front door@n, 8 back door@n, 10 door@n, 5 doors+@n, 2 main door@n, 2 side door@n, "
        "1 entrance door@n, 1 house door@n, 1 entry door@n, 30 door@r, 3 doors+@r, 4 lock@r, 2 deadbolt, "
        "1 patio door@n, 1 smart lock, 3 door lock, 1 front door lock@n, 1 back door lock@n"
    ),
    "boltable": _nouns(
        "14 front door@n, 8 back door@n, 10 door@n, 2 main door@n, 4 deadbolt, 30 door@r, 5 lock@r, "
        "3 lock@n, 2 door lock, 1 smart lock"
    ),
    "smartlock": _nouns("4 lock, 3 smart lock, 3 deadbolt, 3 door lock"),
    "tv": _nouns("30 TV, 16 tv, 14 television, 9 telly, 3 screen, 2 TV set, 2 smart TV, 1 television set"),
    "music": _nouns("30 music, 8 radio, 5 stereo, 1 tunes+, 1 song@n"),
    "speaker": _nouns(
        "24 speaker, 7 speakers+, 12 music, 10 radio, 9 stereo, 4 sound system, 1 hi-fi, "
        "2 smart speaker, "
        "1 music system, 1 Bluetooth speaker, 1 music player"
    ),
    "player": _nouns(
        "18 speaker, 5 speakers+, 12 radio, 10 stereo, 4 sound system, 1 hi-fi, 2 smart speaker, "
        "1 music system, 1 Bluetooth speaker"
    ),
    "vacuum": _nouns(
        "24 vacuum, 11 robot vacuum, 12 vacuum cleaner, 7 robot, 7 hoover, 7 roomba, 3 cleaning robot, "
        "1 robot cleaner, 1 vacuum robot, 1 robot hoover, 1 vac, 1 robovac"
    ),
    "oven": _nouns("30 oven, 1 electric oven, 1 convection oven"),
    "coffee": _nouns(
        "16 coffee maker, 16 coffee machine, 3 espresso machine, 2 coffee pot, 1 coffeemaker, 1 espresso maker"
    ),
    "alarm": _nouns(
        "26 alarm, 14 security system, 11 alarm system, 4 security, 2 burglar alarm, 2 house alarm@n, "
        "1 security alarm, 1 home alarm@n, 1 home security@n, 1 intruder alarm"
    ),
    "sprinkler": _nouns(
        "20 sprinklers+, 22 sprinkler, 6 sprinkler system, 6 irrigation, 4 irrigation system, "
        "2 watering system, 2 watering"
    ),
}


def _weighted(table: str) -> tuple[str, ...]:
    """Items parted by "|", each with an optional leading "weight*"."""
    items: list[str] = []
    for item in " ".join(table.split()).split("|"):
        weight, star, text = item.strip().partition("*")
        items += [text] * int(weight) if star else [weight]
    return tuple(items)


# Small free choices inside a phrasing.
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "too": _weighted("6*too|2*so|2*really|way too|much too|far too|a bit too|very|a little too|pretty|awfully"),
    "toostrict": _weighted("7*too|2*way too|much too|far too|a bit too|a little too|just too"),
    "so": _weighted("4*so|2*really|very|3*too|quite|pretty|kind of|a bit|3*|3*"),
    "abit": _weighted("5*a bit|3*a little|slightly|a little bit|a touch|a tad|a notch|some"),
    "some": _weighted("5*some|3*|a little|a bit of"),
    "coffee_": _weighted("12*coffee|2*fresh coffee|hot coffee|black coffee|strong coffee"),
    "tunes": _weighted("10*music|2*tunes|2*songs"),
    "vibe": _weighted("10*music|2*tunes|2*songs|5*|5*"),
    "win": _weighted("8*|the window"),
    "its": _weighted("10*it's|3*it is|its"),
    "im": _weighted("10*I'm|3*I am|2*we're|we are|everyone is"),
    "ineed": _weighted(
        "4*I need|4*I want|3*I'd like|we need|3*I could use|3*give me|I would like|2*can I get|"
        "2*can I have|get me|could I have|may I have|I fancy|I'd love|let me have"
    ),
    "its_": _weighted("2*its|2*the"),
    "back": _weighted("back to|to|back to|over to|on to"),
    "basenow": _weighted(
        "4*base|4*dock|2*charging station|3*charger|2*docking station|charging dock|charging base|home base|station"
    ),
}

WAKES: Final = _weighted("""
    4*hey assistant,|3*assistant,|3*computer,|2*ok house,|hey house,|3*hey google,|3*alexa,|2*ok google,|hey siri,|
    siri,|jarvis,|hey jarvis,|hey there,|hi there,|6*hey,|3*hi,|2*hello,|3*okay,|4*ok,|alright,|um,|uh,|so,|well,|
    right,|oh,|quick,|yo,|excuse me,|hey computer,|hello assistant,|dear assistant,|ok assistant,|house,|
    good morning,|good evening,|sorry,|hey buddy,|hmm,|listen,|and,|also,|then,|next,|now,|2*actually,|ok then,|oh and,
    """)

# Reasons and circumstances that change nothing; they stand before a command.
SETTINGS: Final = _weighted("""
    I'm leaving,|we're going out,|I'm home,|it's late,|I'm off to bed,|I'm going to bed,|dinner is ready,|I'm back,|
    we have guests,|guests are coming,|before I go,|it's bedtime,|it's morning,|I just woke up,|I'm heading out,|
    I'm tired,|my hands are full,|since I'm leaving,|when you can,|if you can,|if possible,|as soon as you can,|
    time to relax,|we're back,|while I'm out,|I'm busy,|one more thing,|from now on,|for tonight,|tonight,|
    this evening,|first,|right now,|just for now,|if you don't mind,|when you have a moment,|I have to go,|
    friends are coming over,|I'm about to leave,|I'm working,|we're leaving,|for once,|for my mother,|it's movie night,
    """)

# Frames around a verb phrase; "%g" takes the -ing form, "%v" the plain one. Those with "?" tend to end in it.
POLITE: Final = _weighted("""
    24*please %v|8*could you %v?|9*can you %v?|4*could you please %v?|5*can you please %v?|3*would you %v?|
    2*would you please %v?|2*will you %v?|will you please %v?|can you just %v?|could you just %v?|
    could you possibly %v?|would you kindly %v?|would you be so kind as to %v?|would you be able to %v?|
    are you able to %v?|3*I'd like you to %v|4*I want you to %v|3*I need you to %v|2*I would like you to %v|
    we need you to %v|I'd love for you to %v|I'd like to %v|2*I want to %v|2*I need to %v|I'd love to %v|
    we need to %v|we should %v|we want to %v|2*go ahead and %v|please go ahead and %v|be sure to %v|make sure to %v|
    make sure you %v|remember to %v|please remember to %v|don't forget to %v|please don't forget to %v|4*let's %v|
    let us %v|you can %v|you can %v now|you should %v|you may %v|it's time to %v|time to %v|2*can we %v?|could we %v?|
    shall we %v?|help me %v|can you help me %v?|2*just %v|please just %v|quickly %v|kindly %v|now %v|be a dear and %v|
    be so kind as to %v|do me a favor and %v|do me a favour and %v|could you do me a favor and %v?|
    I was wondering if you could %v|is it possible to %v?|would it be possible to %v?|any chance you could %v?|
    any chance you can %v?|why don't you %v?|I'd appreciate it if you could %v|it would be great if you could %v|
    it'd be nice if you could %v|if you could %v, that would be great|if you could please %v|
    2*would you mind %g?|do you mind %g?|mind %g?|how about %g?|what about %g?|I'd appreciate you %g|
    could I ask you to %v?|may I ask you to %v?|I'm asking you to %v|I told you to %v|you need to %v|
    I think you should %v|think you could %v?|do you think you could %v?|start by %g|I wish you would %v|
    maybe %v|perhaps you could %v|feel free to %v|could someone %v?|I have to %v|would you go ahead and %v?|
    can you go ahead and %v?|please could you %v?|please can you %v?|hurry and %v|you could %v|pls %v
    """)

TAILS: Final = _weighted("""
    12*please|6*thanks|4*thank you|5*for me|5*now|5*right now|immediately|2*right away|3*tonight|at once|
    when you get a chance|2*if you can|if you don't mind|if possible|would you|will you|could you|can you|asap|
    quickly|cheers|this evening|this morning|for tonight|again|straight away|already|pls|mate|ok|okay|real quick|
    while you're at it|before dinner|before we go|for me please|now please|right now please|for me, thanks|
    please and thank you|when you have a moment|when you can|as soon as possible|thanks a lot|thank you very much|
    if you could|if you would|today|before I leave|before bed|for us|for my guests|for the party|
    just for now|as usual|first|then|too|as well|please, thanks|buddy|my friend|dear|assistant|computer|alexa|
    I'm leaving|I'm going out|I'm tired|I'm going to bed|it's late
    """)

# Tails that must be set off by a comma.
PAUSED: Final = frozenset(
    [
        "would you",
        "will you",
        "could you",
        "can you",
        "mate",
        "ok",
        "okay",
        "cheers",
        "buddy",
        "my friend",
        "dear",
        "assistant",
        "computer",
        "alexa",
        "I'm leaving",
        "I'm going out",
        "I'm tired",
        "I'm going to bed",
        "it's late",
    ]
)

SIGHS: Final = _weighted(
    "ugh,|wow,|man,|honestly,|oh no,|I think|I feel like|god,|damn,|hmm,|ouch,|oh dear,|geez,|"
    "I'm afraid|you know,|seriously,"
)
FIXES: Final = _weighted(
    "can you fix that?|please do something about it|please help|help|fix it please|"
    "do something about it|can you help?|can you do something about that?|could you fix that?|"
    "fix that|please fix it|could you help me out?|can you take care of it?"
)

# Frames around "a thing in a state"; those before the bar are verb phrases, the others whole sentences.
STATE_VERBS: Final = _weighted("""
    6*get {N} {S}|2*have {N} {S}|make sure {N} {is} {S}|make sure that {N} {is} {S}|see that {N} {is} {S}|
    see to it that {N} {is} {S}|be sure that {N} {is} {S}
    """)
STATE_SENTENCES: Final = _weighted("""
    6*I want {N} {S}|5*I'd like {N} {S}|3*I need {N} {S}|2*let's have {N} {S}|2*can I have {N} {S}|could I have {N} {S}|
    2*can we have {N} {S}|could we have {N} {S}|can we get {N} {S}|can I get {N} {S}|2*I would like {N} {S}|
    we want {N} {S}|we need {N} {S}|I'd love {N} {S}|I'd prefer {N} {S}|it'd be nice to have {N} {S}|
    {N} should be {S}|2*{N} {needs} to be {S}|{N} must be {S}|I want {N} to be {S}|I'd like {N} to be {S}|
    I need {N} to be {S}|I want to have {N} {S}|let's get {N} {S}|2*{N} {S}|may I have {N} {S}|
    I'd like to have {N} {S}
    """)

# Reasons people give for a command, by the action; each fits before it ("it's dark, ...") and after it.
REASONS: Final[dict[str, tuple[str, ...]]] = {
    "light.on": _weighted("it's dark|it's getting dark|it's too dark|I can't see|I want to read|I lost my keys"),
    "light.off": _weighted("I want to sleep|I'm going to sleep|it's too bright|we're leaving|the kids are asleep"),
    "light.set_brightness": _weighted("it's movie night|I want to read|it's too bright|the baby is asleep"),
    "light.set_color": _weighted("we're having a party|it's a party|I want to relax|it's Christmas"),
    "thermostat.raise": _weighted("it's cold|I'm cold|it's too cold|I'm freezing|it's chilly|we're freezing"),
    "thermostat.lower": _weighted("it's hot|I'm hot|it's too hot|it's too warm|I'm sweating|it's boiling"),
    "thermostat.off": _weighted("it's warm enough|we're leaving|summer is here|we're going on vacation"),
    "fan.on": _weighted("it's stuffy|I need some air|it's hot|it's humid"),
    "fan.off": _weighted("it's too noisy|it's windy|I'm cold|it's loud"),
    "blinds.open": _weighted("it's a sunny day|I want to see outside|it's morning|I need daylight"),
    "blinds.close": _weighted("the sun is in my eyes|I need privacy|the neighbors are watching|it's night"),
    "lock.lock": _weighted("we're leaving|I'm going to bed|I'm going out|it's night"),
    "lock.unlock": _weighted("I'm home|my guests are here|I forgot my key|the kids are back|I'm outside"),
    "tv.on": _weighted("the game is starting|my show is on|I'm bored|it's movie time"),
    "tv.off": _weighted("the movie is over|I'm going to bed|it's bedtime|nobody is watching"),
    "tv.mute": _weighted("I'm on the phone|the phone is ringing|I have a call|the baby is asleep|it's too loud"),
    "tv.set_volume": _weighted("I can't hear it|it's too loud|the baby is asleep|it's too quiet"),
    "speaker.play": _weighted("I want to dance|I'm bored|we have guests|it's too quiet|I'm cooking"),
    "speaker.pause": _weighted("I'm on the phone|I have a call|I need quiet|the baby is asleep|I can't focus"),
    "speaker.set_volume": _weighted("I can't hear it|it's too loud|the baby is asleep|I love this song"),
    "vacuum.start": _weighted("the floor is dirty|there are crumbs everywhere|it's dusty|guests are coming"),
    "vacuum.stop": _weighted("it's too noisy|I'm on the phone|the baby is asleep|the floor is clean"),
    "vacuum.dock": _weighted("the floor is clean|the battery is low|it's done|it's clean enough"),
    "oven.preheat": _weighted("I'm baking bread|I'm making lasagna|I'm making pizza|it's time to bake"),
    "oven.off": _weighted("the cake is done|dinner is ready|the pizza is done|we're done baking"),
    "coffee_maker.brew": _weighted("I'm tired|I just woke up|guests are coming|I need energy"),
    "alarm.arm": _weighted("we're leaving|I'm going to bed|I'm going out|we're going on vacation"),
    "alarm.disarm": _weighted("I'm home|we're back|it's just me|it's a false alarm"),
    "sprinkler.on": _weighted("the grass is dry|it hasn't rained|the plants are thirsty|it's too dry"),
    "sprinkler.off": _weighted("it's raining|the grass is wet|it's wet enough|it's going to rain"),
}
