"""Core phrasings of the vacuum, oven and coffee maker; the notation is that of the package."""

from typing import Final

PHRASINGS: Final[dict[str, str]] = {
    "vacuum.start": """
v 6*(start|run) {vacuum}
v 5*(turn|switch) on {vacuum}
v 4*(turn|switch) {vacuum} on
v (launch|activate|enable|fire up|power up|start up|use|begin|deploy|release|send out|put on|get out) {vacuum}
v get {vacuum} (going|running|started|cleaning|working|to work|to clean)
v (have|let|make) {vacuum} (clean|run|start|work|go|do its job|start cleaning|do its thing)
v (have|let|make) {vacuum} (clean|do|vacuum|sweep|hoover) {R}
v (send|put|get) {vacuum} to (work|clean)
v (send|get) {vacuum} (to|into) {R}
v tell {vacuum} to (clean|start|start cleaning|get to work|vacuum|clean up)
v tell {vacuum} to (clean|vacuum|sweep|do) {R}
v 7*(vacuum|clean|hoover|sweep) {R}
v 3*(vacuum|clean|hoover|sweep) the (floor|floors|carpet|rug)
v (clean up|tidy up the floor in|give a quick clean to|vacuum up) {R}
v (start|begin|do some|do the|get on with the) (vacuuming|hoovering)
v (start|begin) (cleaning|vacuuming|hoovering) {R}
v (start|begin) a (cleaning|vacuuming) (run|round|cycle|session)
v (vacuum|hoover) the (dust|crumbs|dirt|mess|dog hair) up
v get rid of the (crumbs|dust|dirt)
v (pick up|suck up) the (crumbs|dust|dirt)
v get {R} (vacuumed|hoovered|cleaned)
w {vacuum} :: (on|running|started|going|working|cleaning|turned on)
w {R} :: (vacuumed|hoovered|cleaned|swept)
w the (floor|floors|carpet) :: (vacuumed|hoovered|cleaned|swept)
t 4*{vacuum} (on|start|go)
t (start|run|vacuum with) {vacuum}
t (vacuum|clean|hoover) {r}
t (vacuum now|start vacuuming|start cleaning|vacuuming time)
s {R} (needs|could use) (vacuuming|cleaning|a clean|a vacuum|hoovering|a good vacuuming)
s the (floor|carpet|rug) (needs|could use) (vacuuming|cleaning|hoovering|a clean)
c the (floor|carpet|rug) is (dirty|dusty|filthy|a mess|full of crumbs|covered in crumbs|covered in dust)
c {R} is (dirty|dusty|filthy|full of crumbs|so dusty|covered in crumbs)
c there are (crumbs|crumbs on the floor|crumbs everywhere|crumbs all over the floor)
c there's (dust|dirt|dog hair|cat hair) (all over the floor|on the floor|on the carpet)
""",
    "vacuum.stop": """
v 12*stop {vacuum}
v 4*(pause|halt|turn off|switch off|shut off|kill|cut|power down|shut down) {vacuum}
v 3*(turn|switch|shut|power) {vacuum} off
v (deactivate|disable|quit|interrupt|end|freeze) {vacuum}
v 4*stop (vacuuming|hoovering)
v 2*stop (cleaning|sweeping)
v stop (vacuuming|cleaning|hoovering) {R}
v stop the (vacuuming|cleaning|hoovering)
v (make|have) {vacuum} (stop|pause|stop cleaning|stop running)
v tell {vacuum} to (stop|pause|stop cleaning|halt|quit)
v stop {vacuum} (from cleaning|from running|cleaning)
v (end|cancel|abort|pause|interrupt) the (cleaning|vacuuming|cleaning run)
v (quit|pause|finish) (vacuuming|hoovering|cleaning)
w {vacuum} :: (off|stopped|turned off|paused|switched off)
t 6*{vacuum} (off|stop)
t (stop|no more|pause) {vacuum}
t (no more vacuuming|stop vacuuming|vacuuming off)
s {vacuum} can stop
s (that's enough|no more) (vacuuming|hoovering)
s {vacuum} should stop (cleaning|running|now)
s I don't want {vacuum} (running|cleaning|on)
""",
    "vacuum.dock": """
v 7*dock {vacuum}
v 5*send {vacuum} {back} {its_} {basenow}
v 4*send {vacuum} (home|back|back home)
v (return|bring|put|take|get|guide|call|drive) {vacuum} {back} {its_} {basenow}
v (bring|get|call|take|put) {vacuum} (home|back|back home)
v 2*(park|charge|recharge|recall|return) {vacuum}
v (have|let|make) {vacuum} (dock|return|go home|go back|charge|recharge|return home|go charge|come home)
v (have|let|make) {vacuum} (return|go|go back|head) to {its_} {basenow}
v tell {vacuum} to (dock|return|go home|go back|charge|recharge|return home|come back)
v tell {vacuum} to (return|go|go back) to {its_} {basenow}
v (send|put|get|set) {vacuum} (to charge|charging|on its charger|on the charger)
v (put|place) {vacuum} on (the|its) (dock|base|charger|charging station)
v (dock|park) {vacuum} (at|on|in) {its_} {basenow}
v (finish|stop) cleaning and (dock|go home|return to base|charge)
w {vacuum} :: (docked|parked|charging|back at its base|back on its dock|on the charger|in its dock|charged)
w {vacuum} :: to (dock|go home|return|charge|go back|return to its base|go back to its dock)
t 4*{vacuum} (dock|home|return|back to base|to base|to dock|go home|to charger)
t (dock|park|charge|return) {vacuum}
t {vacuum} back to {its_} {basenow}
s {vacuum} (should|can|may|could) (dock|go home|charge|go back|return home|return to its base|go to its dock)
s {vacuum} {needs} (to charge|charging|to be charged|recharging|to go home|to go back to its base)
s it's time for {vacuum} to (go home|dock|charge|go back)
""",
    "oven.preheat": """
v 10*preheat {oven} to {val}
v 6*(set|heat|turn|put|bring|get|warm|switch) {oven} to {val}
v 2*(heat up|warm up|fire up|crank up|turn up) {oven} to {val}
v (heat|warm|crank|turn|get) {oven} up to {val}
v (preheat|start preheating|begin preheating|start heating|pre-heat) {oven} (to|at) {val}
v (turn on|switch on|start|run) {oven} (at|to) {val}
v (turn|switch|put) {oven} on (at|to) {val}
v (set|adjust|change|raise|lower) {oven} temperature to {val}
v (set|adjust|change|raise|lower) the temperature (of|in|on) {oven} to {val}
v (set|preheat|put) {oven} (for|on|at) {val}
v (get|have|make|keep) {oven} (at|hot at|heated to|preheated to) {val}
v make {oven} {val}
v get {oven} (ready at|going at|up to|hot to) {val}
v let {oven} (preheat|heat up|warm up) to {val}
v give me {val} in {oven}
v bake at {val}
w {oven} :: (at|preheated to|heated to|set to|to be at|hot at|preheated at) {val}
w {oven} temperature :: (at|set to) {val}
t 6*{oven} {val}
t 3*{oven} (to|at|on) {val}
t preheat {val}
t (preheat|heat) {oven} {val}
t {val} in {oven}
t {oven} preheat (to|) {val}
s 2*{ineed} {oven} (at|preheated to|on at) {val}
s {oven} should be (at|heated to|preheated to) {val}
s I (want|need) to bake (something|a cake|bread|cookies|a pie|lasagna) at {val}
s (I'm baking|we're baking) (a cake|bread|cookies|a pie), (preheat|heat|set) {oven} to {val}
s {val} for {oven}
""",
    "oven.off": """
v 9*(turn|switch) off {oven}
v 9*(turn|switch) {oven} off
v 3*(shut off|shut down|kill|cut|power down|power off|stop|turn out) {oven}
v (deactivate|disable|quit) {oven}
v (shut|put|power|flip|click|get) {oven} off
v stop (heating|preheating) {oven}
v stop {oven} from heating
v (leave|keep) {oven} off
v let {oven} cool (down|off)
v stop (baking|preheating|the preheating)
w {oven} :: (off|turned off|switched off|shut off|shut down|powered down)
t 6*{oven} off
t (off|stop|kill|no more) {oven}
s I'm (done|finished) (with|using) {oven}
s we're (done|finished) (with|using) {oven}
s (I don't|we don't) need {oven} (anymore|now|on)
s I left {oven} on
s I forgot to turn off {oven}
s {oven} can go off
s I (didn't|did not) turn {oven} off
""",
    "coffee_maker.brew/null": """
v 6*(make|brew) {some} {coffee_}
v 3*(make|brew|fix|get|prepare|pour|give) me {some} {coffee_}
v (prepare|start|fix|put on|get|start making|start brewing|cook|whip up|do) {some} {coffee_}
v 2*(put|get) {some} {coffee_} on
v 2*(make|brew|put on|start|prepare|get|fix) a (pot|fresh pot|pot) of {coffee_}
v (make|brew|get|fix|prepare) me a (coffee|fresh coffee|pot of coffee)
v make a coffee
v 5*(turn|switch) on {coffee}
v 4*(turn|switch) {coffee} on
v 3*(start|run|fire up|power up|activate|start up|enable|use) {coffee}
v get {coffee} (going|running|started|brewing|working)
v (have|let|make) {coffee} (brew|make some coffee|run|make coffee)
v (start|begin) (brewing|the brewing|making coffee)
v get {some} coffee (going|brewing|started|ready)
v (make|brew) coffee with {coffee}
v (make|brew) us some (coffee|fresh coffee)
w {coffee} :: (on|running|turned on|going|brewing|started)
w {some} coffee :: (brewed|ready|made|brewing)
t 3*{coffee} on
t 2*(coffee|coffee time|coffee please|make coffee|brew coffee|more coffee|fresh coffee)
t (start|run) {coffee}
s 5*{ineed} {some} {coffee_}
s {ineed} (a coffee|my coffee|my morning coffee|a fresh pot of coffee|a pot of coffee|caffeine|some caffeine)
s I (feel like|would love|could really use|really need|am craving) {some} coffee
s I'm (craving|dying for|in the mood for) {some} coffee
s how about {some} coffee
s let's have {some} coffee
s it's time for {some} coffee
s some coffee would be (nice|great|lovely)
s I'd love a coffee
""",
    "coffee_maker.brew/cups": """
v 7*(make|brew) {val} of {coffee_}
v 4*(make|brew|get|pour|prepare|fix) me {val} of {coffee_}
v 2*(prepare|fix|start|get|put on|do|cook|pour) {val} of {coffee_}
v (make|brew|prepare|get) us {val} of coffee
v (have|let|make) {coffee} (brew|make|do|prepare) {val}
v have {coffee} (brew|make|prepare) {val} of coffee
v (set|program|start|run|put) {coffee} (for|to) {val}
v (start|run|turn on|switch on) {coffee} for {val}
v set {coffee} to (brew|make) {val}
v get {val} of coffee (going|ready|brewing|brewed)
v use {coffee} to (make|brew) {val}
v (brew|make) {val} (with|in|on|using) {coffee}
v (make|brew) coffee for {num}
v (make|brew) enough coffee for {num}
v make {num} coffees
v (start|begin) (brewing|making) {val} of coffee
v make me a cup of coffee => 1
v (make|brew|get me|fix me) a cup of coffee => 1
w {val} of coffee :: (ready|brewed|made)
t 4*{val} of coffee
t 2*coffee {val}
t coffee, {val}
t {coffee} {val}
t coffee for {num}
t {val} coffee
t (brew|make) {val}
s 5*{ineed} {val} of {coffee_}
s {val} of {coffee_} (would be nice|would be great|will do|should do)
s can (I|we) (get|have) {val} of coffee
s (we'll have|I'll have|I'll take|we'll take) {val} of coffee
s let's have {val} of coffee
s I feel like {val} of coffee
s how about {val} of coffee
""",
    "coffee_maker.off": """
v 9*(turn|switch) off {coffee}
v 9*(turn|switch) {coffee} off
v 3*(shut off|shut down|kill|cut|power down|power off|stop|turn out) {coffee}
v (deactivate|disable|quit|halt) {coffee}
v (shut|put|power|flip|click|get) {coffee} off
v stop (brewing|making coffee|the brewing|brewing coffee|the coffee)
v (leave|keep) {coffee} off
v stop {coffee} from (brewing|running)
w {coffee} :: (off|turned off|switched off|shut off|shut down|stopped)
t 6*{coffee} off
t (off|stop|kill|no more) {coffee}
t (no more coffee|coffee off)
s I'm (done|finished) (with|using) {coffee}
s (I don't|we don't) need {coffee} (anymore|now|on)
s I don't (want|need) (any more coffee|more coffee|coffee anymore)
s (that's|we have) enough coffee
s I left {coffee} on
s I forgot to turn off {coffee}
s {coffee} can go off
""",
}
