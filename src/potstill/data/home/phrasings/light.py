"""Core phrasings of the light; the notation is that of the package."""

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
v 2*(turn|put) {light} out
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
v set the brightness to {lvl} on {light}
v (set|turn|put|switch) {light} (on to|on at|at) {lvl}
v (turn on|switch on|put on) {light} (at|to) {lvl}
v (make|have|keep) {light} {val} (bright|of brightness)
v make {light} {lvl}
v (set|give|put) {light} (to|at) {val} brightness
v (set|put|bring) {light} to a brightness of {val}
v (set|dim|put) the lighting to {lvl}
v make it {val} bright
v (dim|brighten) {R} to {val}
v (set|turn|put|bring|crank) {light} (to full|to max|to maximum) => 100
v (set|turn|put|bring|crank) {light} (to full brightness|to maximum brightness|up all the way) => 100
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
}
