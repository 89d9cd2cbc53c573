"""Core phrasings of every action.

A line is `kind [weight*]text [=> value]`. The kinds: `v` verb phrase (takes polite frames), `w` a thing and its state
parted by "::" (takes "I want ... to be", "make sure ... is"), `t` telegraphic, `s` sentence, `c` complaint. "(a|b)"
stands for one phrasing each. Slots: names of noun lists, `{val}` the value, `{lvl}` the value or a word such as "half",
`{num}` the bare number, `{R}` a named room; the rest are small choices of the lexicon. A key with "/" is one of several
groups of phrasings of the same action.
"""

from typing import Final

PHRASINGS: Final[dict[str, str]] = {
    "light.on": """
v 9*(turn|switch) on {light}
v 9*(turn|switch) {light} on
v 3*put {light} on
v (put|flip|get|power|bring|throw|click|snap) on {light}
v (flip|get|power|bring|leave|keep|click) {light} on
v (activate|enable|start|light up|fire up|power up) {light}
v get {light} (going|working|lit|started)
v (light up|illuminate|lighten up|light) {R}
v (turn on|switch on|put on|give me|get me|bring|give us|let's have|let there be|let me have) {some} (light|lights)
v (put|shine|throw) some light on
v make it (bright|brighter|less dark|not so dark)
v (get rid of the|end this) darkness
v let there be light
v (add|bring in) some (lighting|light)
v don't leave me in the dark
w {light} :: (on|turned on|switched on|lit|shining|up and running)
t 5*{light} on
t (on|turn on|switch on|activate) {light}
t {light} (please|on now|back on)
t lights (up|on)
s {ineed} {some} (light|lighting|more light)
s let there be light
c 4*{its} {too} dark
c 2*it's (pitch black|pitch dark|so dark|dark|getting dark|gloomy|dim|rather dark|as dark as a cave|completely dark)
c it is (getting dark|dark|gloomy|too dim|so gloomy)
c {R} is {too} (dark|dark|gloomy|dim)
c I (can't|cannot|can not|can hardly|can barely) see (anything|a thing|what I'm doing|my hand|where I'm going)
c I can't see (anything|a thing|well|properly|much|in the dark)
c (we're|I'm) (sitting|standing|stuck) in the dark
c there's (no light|not enough light|hardly any light|too little light)
c (we're|I'm) in the dark
c I need to see (something|better|what I'm doing)
c why is it so dark
c I (can't read|can't find anything) because it's {too} dark
""",
    "light.off": """
v 9*(turn|switch) off {light}
v 9*(turn|switch) {light} off
v 3*(kill|cut|shut off|shut down|turn out|put out|switch out) {light}
v (put|shut|flip|power|get|click) {light} off
v 2*(turn|put|shut) {light} out
v (power|flip|click|shut) (off|down) {light}
v (extinguish|deactivate|disable|douse|stop) {light}
v (leave|keep) {light} off
v (darken|black out) {R}
v make it (dark|darker|pitch black|less bright)
v put {R} in the dark
v (turn off|switch off|get rid of) {some} light
w {light} :: (off|turned off|switched off|out|shut off)
t 5*{light} off
t {light} out
t (off|kill|no more) {light}
t {light} (off now|off please)
s (no more light|no light|lights out|no lights)
s I don't (need|want) {light} anymore
s I (don't need|don't want) {light}
s {light} (can|should) go off
s I'm (done with|finished with) {light}
c 4*{its} {too} bright
c it's (too bright|blinding|blindingly bright|so bright|very bright|glaring)
c {R} is {too} bright
c {light} {is} {too} bright
c {light} {is} (blinding me|hurting my eyes|keeping me awake|still on)
c there's too much light
c I (want|need|would like) (darkness|it dark|it to be dark)
c I can't sleep with {light} on
c why is it so bright
""",
    "light.set_brightness": """
v 6*(set|dim|turn|put|bring|adjust|change) {light} to {lvl}
v 2*(brighten|lower|raise|reduce|increase|take|move|get) {light} to {lvl}
v 2*(turn|bring|dial|take) (down|up) {light} to {val}
v 2*(turn|bring|dim|dial) {light} (down|up) to {val}
v 3*set the brightness of {light} to {lvl}
v (adjust|change|turn|bring|raise|lower|put|dim|reduce|increase|get) the brightness of {light} to {lvl}
v 3*set {light} brightness to {lvl}
v (adjust|change|turn|raise|lower|put|reduce|increase) {light} brightness to {lvl}
v 2*(set|put|change|turn|adjust|lower|raise|bring) the brightness to {lvl}
v (set|turn|put|switch) {light} (on to|on at|at) {lvl}
v (turn on|switch on|put on) {light} (at|to) {lvl}
v (make|have|keep) {light} {val} (bright|of brightness)
v make {light} {lvl}
v (set|give|put) {light} (to|at) {val} brightness
v (set|put|bring) {light} to a brightness of {val}
v (set|dim|put) the lighting to {lvl}
v make it {val} bright
v (dim|brighten) {R} to {val}
v (set|turn|put|bring|crank) {light} (to full|to max|to maximum|to full brightness|to maximum brightness|up all the way) => 100
v (turn|crank|bring|put) up {light} (all the way|to the max|fully) => 100
v (turn|crank|bring|put) {light} up (all the way|to the max|fully|to full) => 100
v make {light} as bright as (possible|they can be|you can|it gets) => 100
v (give me|set|put|use) (full|maximum|max) brightness => 100
v (brighten) {light} (fully|completely|to the max|all the way) => 100
v (dim|turn down|cut|bring) {light} (to half|halfway|by half|to half brightness|down to half|down halfway) => 50
v (turn|bring) {light} (to half|halfway up|down halfway|to half brightness|halfway down) => 50
v (set|put) {light} (to half|halfway|at half|to half brightness|at half brightness|to half power) => 50
v (give me|set|use|put) half brightness => 50
w {light} :: (at|dimmed to|set to|to be at) {lvl}
w {light} :: at (half brightness|half) => 50
w {light} :: (at full brightness|at maximum brightness|at their brightest|as bright as possible) => 100
t 5*{light} {lvl}
t 3*{light} (to|at) {lvl}
t 2*{light} brightness {lvl}
t (brightness|brightness at|brightness to) {lvl}
t (dim|set|dimmer) {light} {val}
t {light} {val} (brightness|bright)
t {light} (half|half brightness) => 50
t {light} (full|max|full brightness|maximum brightness|full power) => 100
t {val} (light|brightness)
s {ineed} {val} (brightness|light)
s {ineed} (full|maximum) (brightness|light) => 100
s {val} (brightness|light) is enough
""",
    "light.set_color": """
v 6*(set|turn|change|switch|make|put) {light} to {val}
v 6*(make|turn|paint|color|colour|set|change) {light} {val}
v 2*(set|change|switch|turn) the (color|colour) of {light} to {val}
v 2*(set|change|switch|turn) {light} (color|colour) to {val}
v (set|change|switch|turn) the (color|colour) to {val}
v (set|change|switch) {light} to the (color|colour) {val}
v (give|get) {light} a {val} (color|colour|tone|glow|tint)
v (use|give me|put on|turn on|switch on|show|set|get me|let's have|choose|pick) {val} (light|lighting|lights)
v (switch|change|go|turn) to {val} (light|lighting|lights)
v (have|let) {light} (glow|shine|be) {val}
v (bathe|flood|fill) {R} (in|with) {val} light
v (light up|light|illuminate) {R} in {val}
v make {R} (glow|look) {val}
v (turn on|switch on) {light} in {val}
v make the (lighting|light color|mood lighting) {val}
w {light} :: (|set to |turned |in ){val}
w {light} :: to (turn|go|become|glow|be|shine) {val}
t 6*{light} {val}
t 3*{light} (to|in|color|colour) {val}
t {val} {light}
t (color|colour) {val}
t {val} (light|lights|lighting|mood lighting)
s {ineed} {val} (light|lights|lighting)
s {ineed} (a|some) {val} (light|glow)
s {light} should (be|turn|glow|shine|look) {val}
s can {light} (be|turn|go) {val}
s I'm in the mood for {val} (light|lights)
""",
    "thermostat.set_temperature": """
v 6*(set|turn|put|adjust|change|bring|get) {thermo} to {val}
v 2*(raise|lower|increase|reduce|move|drop|take|switch|keep|program) {setback} to {val}
v 2*(turn|bring|crank|dial) (up|down) {setback} to {val}
v 2*(turn|bring|crank|dial|take|put) {setback} (up|down) to {val}
v 2*(set|bring|get|put|keep|heat|warm) {R} to {val}
v 2*(cool|chill) {R} (to|down to) {val}
v (warm|heat) {R} (up to|to) {val}
v (heat up|warm up|cool down) {R} to {val}
v 3*make it {val}
v (keep|hold|get|maintain|bring) it (at|to) {val}
v (keep|hold|maintain) {R} at {val}
v (keep|hold|maintain|leave|set) {temp} at {val}
v (set|maintain|give me|keep) a temperature of {val}
v (set|put|turn|switch) {thermo} (on to|at|on at) {val}
v (set|bring|put) it to {val}
v (heat|warm) (up|it up|things up) to {val}
v cool (down|it down|things down) to {val}
v make {R} {val}
v have {R} at {val}
v (turn on|switch on|start) {climate} (at|to) {val}
v let it be {val}
v set {thermo} for {val}
w {thermo} :: (at|set to|on|to be at) {val}
w {temp} :: (at|set to|) {val}
w {R} :: (at|heated to|to be) {val}
t 6*{thermo} {val}
t 4*{thermo} (to|at|on|=|:) {val}
t (temperature|temp|heat|heating) {val}
s I want it {val}
s (I'd like it|I want it|I need it|we want it|I would like it) to be {val}
s it should be {val}
s {temp} should be {val}
s {ineed} {val}
s {ineed} a temperature of {val}
s {ineed} it (at|to be) {val}
s can it be {val}
s can we (get|make) it {val}
s {R} should be {val}
""",
    "thermostat.raise/by": """
v 6*(raise|increase) {setback} by {val}
v 5*(turn|bring|put|crank|push|bump|move) {setback} up (by |){val}
v 4*(turn|bring|crank|bump|push) up {setback} (by |){val}
v (raise|increase|boost|up) {setback} {val}
v 3*make it {val} (warmer|hotter)
v 2*make {R} {val} (warmer|hotter)
v 2*(warm|heat) {R} (up |)by {val}
v (warm|heat) it up by {val}
v (warm|heat) up {R} by {val}
v (add|give me) {val} (to {setback}|more heat|of heat)
v add {val} of warmth
v (get|have) it {val} warmer
v (go|move) up {val} on {setback}
v take {setback} up (by |){val}
v set {setback} {val} (higher|warmer|hotter|up)
v (increase|raise) the heat by {val}
w {setback} :: {val} (higher|warmer|hotter|up)
w {temp} :: (raised|increased|turned up) by {val}
w it :: {val} (warmer|hotter)
w {R} :: {val} (warmer|hotter)
t 4*{setback} up {val}
t 3*{val} (warmer|hotter|up)
t {setback} {val} (higher|up|more|hotter|warmer)
t (up|raise) {val}
s I want it {val} (warmer|hotter)
s it should be {val} (warmer|hotter)
s (I need|I'd like|we could use|I could use|give me) {val} more
s could it be {val} warmer
""",
    "thermostat.raise/null": """
v 6*(turn|switch|put) on {heat}
v 6*(turn|switch|put) {heat} on
v 3*(turn|crank|bring|push) up {setback}
v 3*(turn|crank|bring|push|put) {setback} up
v 2*(turn|bring|push) {setback} up {abit}
v 3*(raise|increase|boost) {setback}
v 2*(raise|increase|boost) {setback} {abit}
v (start|fire up|activate|enable|run|power up|kick on) {heat}
v get {heat} (going|running|on|started)
v 2*(warm|heat) up {R}
v 2*(warm|heat) {R} up
v (warm|heat) {R}
v 3*make it (warmer|hotter|less cold|cozier|toasty|warm)
v make it {abit} (warmer|hotter|less cold)
v make {R} (warmer|hotter|cozier|less cold|warm)
v (warm|heat) it up
v (warm|heat) things up
v (turn on|switch on|give me|put on|bring) {some} (heat|warmth)
v get {R} (warm|warmer|warmed up)
v (give me|add) (more|some more|a bit more|a little more) (heat|warmth)
w {heat} :: (on|turned on|running|switched on|turned up|going|higher)
w it :: (warmer|hotter|a bit warmer|a little warmer|less cold)
w {R} :: (warmer|a bit warmer|heated|warmed up|a little warmer)
w {setback} :: (turned up|higher|raised|a bit higher|increased)
t 4*{heat} on
t 2*{setback} up
t (warmer|a bit warmer|more heat|hotter|heat|heat up)
t {setback} (higher|up a bit|up a little)
s {ineed} (more heat|some heat|heat|some warmth|more warmth|it warmer|it to be warmer)
s could it be (a bit warmer|warmer|a little warmer)
s can we have it (a bit warmer|warmer|a little warmer)
s can you make it {abit} warmer
c 5*{its} {too} cold
c 3*(it's|it is|its) (freezing|chilly|freezing cold|icy|cold|ice cold|frosty|a bit chilly|so chilly|frigid|very cold|nippy)
c 3*{im} (cold|freezing|so cold|chilly|shivering|very cold|really cold|too cold|feeling cold|a bit cold|freezing cold)
c {R} is (too cold|freezing|chilly|so cold|cold|ice cold|too chilly|really cold|very cold|an icebox)
c {R} feels {too} cold
c I feel (cold|chilly|so cold|too cold)
c it feels (cold|chilly|too cold|freezing|like winter)
c it's not warm enough
c (I'm not|it isn't) warm enough
c (my feet|my hands|my fingers|my toes) are (freezing|cold|ice cold|frozen)
c (I'm turning into|it's like) (an icicle|a fridge)
c why is it so cold
c {temp} is too low
c it's (getting|become) (cold|chilly|too cold)
c brr, it's (cold|freezing)
c I can't (get|stay|keep) warm
c we're freezing to death
c the (kids|guests|children) are cold
""",
    "thermostat.lower/by": """
v 6*(lower|decrease|reduce) {setback} by {val}
v 5*(turn|bring|put|drop|move|dial) {setback} down (by |){val}
v 4*(turn|bring|drop|dial) down {setback} (by |){val}
v (drop|cut) {setback} by {val}
v (lower|decrease|drop|reduce) {setback} {val}
v 3*make it {val} (cooler|colder|less warm)
v 2*make {R} {val} (cooler|colder)
v 2*cool {R} (down |)by {val}
v cool it down (by |){val}
v cool down {R} by {val}
v (get|have) it {val} cooler
v (go|move) down {val} on {setback}
v take {setback} down (by |){val}
v take {val} off {setback}
v set {setback} {val} (lower|cooler|colder|down)
v (reduce|lower) the heat by {val}
w {setback} :: {val} (lower|cooler|colder|down)
w {temp} :: (lowered|reduced|turned down|decreased|dropped) by {val}
w it :: {val} (cooler|colder)
w {R} :: {val} (cooler|colder)
t 4*{setback} down {val}
t 3*{val} (cooler|colder|down|less)
t {setback} {val} (lower|down|less|cooler|colder)
t (down|lower) {val}
s I want it {val} (cooler|colder)
s it should be {val} (cooler|colder)
s (I need|I'd like|we could use|I could use) {val} less
s could it be {val} cooler
""",
    "thermostat.lower/null": """
v 6*(turn|switch|put) on {cool}
v 6*(turn|switch|put) {cool} on
v 3*(turn|bring|dial) down {setback}
v 3*(turn|bring|put|dial) {setback} down
v 2*(turn|bring) {setback} down {abit}
v 3*(lower|decrease|reduce|drop) {setback}
v 2*(lower|decrease|reduce|drop) {setback} {abit}
v (start|fire up|activate|enable|run|power up|kick on) {cool}
v get {cool} (going|running|on|started)
v 2*(cool down|cool|chill) {R}
v 2*cool {R} (down|off)
v 3*make it (cooler|colder|less hot|less warm|cool)
v make it {abit} (cooler|colder|less hot|less warm)
v make {R} (cooler|colder|less hot|cool)
v cool (it|things) (down|off)
v get {R} (cool|cooler|cooled down)
v (give me|bring|let's have) (some|a bit of) (cool air|cooling)
v (give me|use) less heat
w {cool} :: (on|turned on|running|switched on|going)
w it :: (cooler|colder|a bit cooler|a little cooler|less hot)
w {R} :: (cooler|a bit cooler|cooled down|colder|a little cooler)
w {setback} :: (turned down|lower|lowered|a bit lower|reduced)
t 4*{cool} on
t 2*{setback} down
t (cooler|a bit cooler|less heat|colder|cool down)
t {setback} (lower|down a bit|down a little)
s {ineed} (less heat|some cool air|it cooler|it to be cooler|cool air|some cooling)
s could it be (a bit cooler|cooler|a little cooler)
s can we have it (a bit cooler|cooler|a little cooler)
s can you make it {abit} cooler
c 5*{its} {too} (hot|warm)
c 3*(it's|it is|its) (boiling|roasting|hot|sweltering|scorching|baking|boiling hot|stifling|so warm|very hot|a sauna|an oven)
c 3*{im} (hot|boiling|so hot|sweating|roasting|melting|very hot|too hot|too warm|burning up|overheating|feeling hot|a bit hot)
c {R} is (too hot|too warm|boiling|so hot|hot|stifling|roasting|really hot|very hot|an oven|like a sauna)
c {R} feels {too} (hot|warm)
c I feel (hot|too hot|so hot|too warm)
c it feels (hot|too hot|too warm|like a sauna|boiling|like summer)
c it's not (cool|cold) enough
c it isn't cool enough
c why is it so (hot|warm)
c {temp} is too high
c it's (getting|become) (hot|warm|too hot|too warm)
c phew, it's (hot|boiling)
c I can't (cool down|stand the heat|sleep in this heat|bear this heat)
c we're (melting|dying of heat|sweating)
c the (kids|guests|children) are (hot|sweating|too hot)
""",
    "thermostat.off": """
v 9*(turn|switch) off {climate}
v 9*(turn|switch) {climate} off
v 2*(kill|cut|shut off|shut down|power down|power off|stop|deactivate|disable) {climate}
v (shut|put|power|flip|get) {climate} off
v stop (heating|cooling) {R}
v stop the (heating|cooling)
v (leave|keep) {climate} off
w {climate} :: (off|turned off|switched off|shut off)
t 6*{climate} off
t (no more|off|stop) {climate}
t no more heating
s I don't (need|want) {climate} (anymore|on)
s (we don't|I don't) need {climate}
s {climate} can go off
s (I'm done with|we're done with) {climate}
s no need to keep {climate} on
""",
}
