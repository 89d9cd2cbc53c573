"""Core phrasings of the heating and air conditioning; the notation is that of the package."""

from typing import Final

PHRASINGS: Final[dict[str, str]] = {
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
c 3*(it's|it is|its) (freezing|chilly|freezing cold|icy|cold|ice cold)
c 3*(it's|it is|its) (frosty|a bit chilly|so chilly|frigid|very cold|nippy)
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
c 3*(it's|it is|its) (boiling|roasting|hot|sweltering|scorching|baking)
c 3*(it's|it is|its) (boiling hot|stifling|so warm|very hot|a sauna|an oven)
c 3*{im} (hot|boiling|so hot|sweating|roasting|melting)
c 3*{im} (very hot|too hot|too warm|burning up|overheating|feeling hot|a bit hot)
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
