"""Core phrasings of the alarm and sprinkler; the notation is that of the package."""

from typing import Final

PHRASINGS: Final[dict[str, str]] = {
    "alarm.arm": """
v 9*arm {alarm}
v 7*(turn|switch) on {alarm}
v 6*(turn|switch) {alarm} on
v 5*(set|activate|enable) {alarm}
v (put|get|flip|power|leave|keep) {alarm} on
v (put|power) on {alarm}
v (start|engage|fire up|power up|prime|run|use|ready) {alarm}
v get {alarm} (going|armed|ready|running)
v (arm|secure|protect|guard) (the house|the whole house|the home|my house)
v (arm|guard|protect) {R}
v (put|set|bring) {alarm} (to armed|in armed mode|in away mode|to away mode)
v (make|keep) the house (secure|safe|protected|guarded) with {alarm}
v watch the house while (I'm|we're) (away|out|asleep|on vacation)
w {alarm} :: (armed|on|active|activated|turned on|set|switched on|enabled|to be armed)
t 5*{alarm} on
t 2*{alarm} (armed|arm|active)
t (arm|set|activate) {alarm}
s I (forgot to|didn't) (set|arm|turn on) {alarm}
s {ineed} {alarm} (armed|on|active)
s (I'm leaving|we're leaving|I'm going to bed|we're going away|I'm heading out), (arm|set|turn on|activate) {alarm}
s {alarm} should be (on|armed|active) (tonight|while I'm away|while we're out|when we leave)
""",
    "alarm.disarm": """
v 10*disarm {alarm}
v 7*(turn|switch) off {alarm}
v 6*(turn|switch) {alarm} off
v 4*(deactivate|disable) {alarm}
v 2*(stop|kill|cut|shut off|shut down|cancel|power down|silence|unset|disengage|unarm) {alarm}
v (shut|put|power|flip|get|leave) {alarm} off
v (disarm|unarm) (the house|the whole house|the home|my house)
v disarm {R}
v make {alarm} (stop|shut up)
v (put|set|bring) {alarm} (to disarmed|in home mode|to off)
v stop {alarm} from (ringing|going off|beeping)
w {alarm} :: (disarmed|off|deactivated|turned off|switched off|disabled|to be disarmed)
t 5*{alarm} off
t 2*{alarm} (disarmed|disarm|inactive)
t (disarm|no more|stop|deactivate) {alarm}
s (I don't|we don't) need {alarm} (anymore|now|on)
s {alarm} (keeps beeping|won't stop), (turn it off|stop it|disarm it)
s (I'm home|we're home|we're back|I'm back), (disarm|turn off|deactivate|disable) {alarm}
s I'm (home|back), no need for {alarm}
""",
    "sprinkler.on/null": """
v 6*(turn|switch) on {sprinkler}
v 6*(turn|switch) {sprinkler} on
v 4*(start|run|activate) {sprinkler}
v (enable|fire up|power up|start up|use|launch|open|begin|kick on) {sprinkler}
v (put|get|flip|power) {sprinkler} on
v get {sprinkler} (going|running|started|working)
v (let|have) {sprinkler} (run|water|go)
v 8*water {R}
v (start|begin) (watering|irrigating|sprinkling) {R}
v (irrigate|sprinkle|hose|give some water to|spray) {R}
v give {R} (some water|a bit of water|a drink|water)
v water the (grass|flowers|flower beds|roses|vegetables|flower bed)
v start (watering|the watering|the irrigation)
v (have|get) {R} watered
w {sprinkler} :: (on|turned on|running|switched on|going|started)
w {R} :: (watered|irrigated|sprinkled)
t 6*{sprinkler} on
t (start|run|on|turn on) {sprinkler}
t (water|start watering) {r}
s {R} (needs|could use) (water|some water|watering|a drink)
s {R} is thirsty
s the (grass|vegetables) could use some water
c {R} is {too} dry
c {R} looks (dry|thirsty|parched|brown)
c the (grass|soil) is (dry|too dry|dying|turning brown|thirsty)
""",
    "sprinkler.on/minutes": """
v 6*(turn|switch) on {sprinkler} for {val}
v 5*(turn|switch) {sprinkler} on for {val}
v 6*(run|start|activate) {sprinkler} for {val}
v (use|enable|fire up|open|set|keep|leave) {sprinkler} for {val}
v (put|get|leave|keep) {sprinkler} on for {val}
v (let|have) {sprinkler} (run|water|go) for {val}
v (have|keep) {sprinkler} running for {val}
v 8*water {R} for {val}
v (start|begin|keep) watering {R} for {val}
v (irrigate|sprinkle|hose|spray) {R} for {val}
v give {R} {val} of (water|watering|irrigation)
v water the (grass|flowers|flower beds|roses|vegetables) for {val}
v (water|sprinkle) for {val}
v (set|program) {sprinkler} (to run for|to) {val}
v (run|start) a {num}-minute watering
v start (watering|the irrigation) for {val}
w {sprinkler} :: (on|running|going|turned on) for {val}
w {R} :: (watered|irrigated) for {val}
t 5*{sprinkler} {val}
t 4*{sprinkler} (on|on for|for) {val}
t {val} of (watering|irrigation|sprinkler|sprinklers)
t {val} (sprinklers|watering)
t (water|water the) {r} {val}
s {ineed} {sprinkler} on for {val}
s {R} (needs|could use) {val} of (water|watering)
s {sprinkler} should (run|be on|go) for {val}
""",
    "sprinkler.off": """
v 9*(turn|switch) off {sprinkler}
v 9*(turn|switch) {sprinkler} off
v 4*(stop|shut off|shut down|kill|cut|power down|power off|halt|close) {sprinkler}
v (deactivate|disable|quit|end|cancel) {sprinkler}
v (shut|put|power|flip|get) {sprinkler} off
v 4*stop (watering|irrigating|sprinkling) {R}
v stop (watering|the watering|irrigating)
v (leave|keep) {sprinkler} off
v (end|cancel|quit|pause) the watering
w {sprinkler} :: (off|turned off|switched off|stopped|shut off)
t 6*{sprinkler} off
t (stop|no more|off|kill) {sprinkler}
t (stop watering|no more water) {r}
s {R} (has|got) enough water
s {R} is (wet enough|watered enough)
s (I don't|we don't) need {sprinkler} (anymore|now|on)
s {sprinkler} can (stop|go off)
s {R} doesn't need (water|any more water|more water|watering)
c {R} is (too wet|soaked|flooded|drowning|soaking wet)
c it's raining, (stop|turn off|no need for) {sprinkler}
""",
}
