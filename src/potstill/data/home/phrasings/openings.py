"""Core phrasings of the fan, blinds and lock; the notation is that of the package."""

from typing import Final

PHRASINGS: Final[dict[str, str]] = {
    "fan.on": """
v 9*(turn|switch) on {fan}
v 9*(turn|switch) {fan} on
v 3*(put|get|flip|power) {fan} on
v (put|flip|get|power|click|kick) on {fan}
v 2*(start|activate|enable|fire up|power up|run|use|start up) {fan}
v get {fan} (going|running|spinning|working|started|moving|blowing)
v (let|have) {fan} (run|spin|blow)
v make {fan} (spin|run|blow)
v set {fan} (running|spinning|going)
v get the air moving with {fan}
w {fan} :: (on|turned on|running|switched on|spinning|going|blowing)
t 6*{fan} on
t (on|start|run|turn on) {fan}
s 2*{ineed} {fan}
s it's time for {fan}
""",
    "fan.off": """
v 9*(turn|switch) off {fan}
v 9*(turn|switch) {fan} off
v 3*(stop|kill|cut|shut off|shut down|power down|power off) {fan}
v (deactivate|disable|halt|quit|turn out) {fan}
v (shut|put|power|flip|click|get) {fan} off
v (stop|keep) {fan} from (spinning|running|blowing)
v make {fan} stop (spinning|running|blowing)
v make {fan} stop
v (leave|keep) {fan} off
w {fan} :: (off|turned off|switched off|stopped|shut off)
t 6*{fan} off
t (stop|no more|off|kill) {fan}
s I don't (need|want) {fan} (anymore|on|running)
s {fan} can (stop|go off)
s I'm (done with|finished with) {fan}
s no need to keep {fan} on
""",
    "fan.set_speed": """
v 7*(set|turn|put|switch|change|adjust) {fan} to {lvl}
v 5*(put|run|set|have|use) {fan} (on|at) {lvl}
v (turn|switch) {fan} on (to|at) {lvl}
v (turn on|switch on|start) {fan} (at|on) {lvl}
v 3*set {fan} (speed to|on speed) {val}
v 3*(set|change|adjust|turn|put|switch) the speed of {fan} to {val}
v (change|adjust|turn|put|switch) {fan} speed to {val}
v (set|run|put|turn) {fan} (to|at|on) {val} speed
v (set|run) {fan} at a {val} speed
v (make|let|have) {fan} (run|spin|go|blow) (on|at) {val}
v (keep|leave) {fan} (on|at) {val}
v (set|change|put) the speed to {val} on {fan}
v (bring|crank|dial|take|move|turn) {fan} (down to|up to|to) {val}
v (crank|turn) (up|down) {fan} to {val}
v give me {val} speed on {fan}
v set {fan} {val}
v (make|turn|switch) {fan} {val}
v (crank|turn|put) {fan} (up to full|on full blast|to full speed|to maximum) => high
v (crank|turn|put) {fan} (to max|to top speed|to the highest speed|all the way up) => high
v (run|set|put) {fan} (at full speed|on full blast|at maximum speed|at top speed|on the highest setting) => high
v (set|put|turn|run) {fan} (to the lowest speed|on the lowest setting|to lowest) => low
v (set|put|turn|run) {fan} (to half speed|on the middle setting) => medium
w {fan} :: (on|at|set to|running on|to be on) {val}
w {fan} :: (on|at) {val} speed
t 7*{fan} {val}
t 4*{fan} (to|on|at|speed) {val}
t {fan} {val} speed
t {val} (fan speed|fan|speed on {fan}|speed for {fan})
t {fan} full (blast|speed) => high
s {ineed} {fan} (on|at) {val}
s {ineed} {val} (fan speed|speed on {fan})
s {fan} should (run|be|spin|go) (on|at) {val}
s {val} speed (on|for) {fan}
""",
    "blinds.open": """
v 12*open {blinds}
v 3*open up {blinds}
v 3*(raise|lift|pull up|roll up|draw up|put up|bring up|part|unshut|draw back|pull back|pull open) {blinds}
v (raise|pull|roll|put|bring|push|lift|slide|get|swing) {blinds} (up|open)
v (pull|draw) {blinds} (back|apart|aside)
v (unclose|throw open|fling open|slide open|roll back) {blinds}
v open {blinds} (all the way|completely|fully|wide)
v 3*let (the light|some light|the sun|some sun|light) in
v 3*let (sunlight|the sunlight|the daylight|some daylight|the sunshine|the morning) in
v 3*let in (the light|some light|the sun|some sun|light)
v 3*let in (sunlight|the sunlight|the daylight|some daylight|sunshine|natural light)
v let the sun shine in
v (bring|get) in (some sun|the sunshine|some daylight|natural light)
v (show|let) me see (outside|the view)
v let some (light|sun|sunshine) (in to|into) {R}
v let (light|the sun|sunlight|daylight) into {R}
w {blinds} :: (open|opened|up|raised|wide open|fully open|pulled up)
t 6*{blinds} (open|up)
t (raise|open|open up|up with) {blinds}
s {ineed} {some} (daylight|sunlight|natural light|sun|sunshine)
s I (want|need|would like) to see (outside|the view|the sun|the street)
s I can't see (outside|out of the window|out of the windows)
""",
    "blinds.close": """
v 12*(close|shut) {blinds}
v 3*close up {blinds}
v 3*(lower|drop|pull down|roll down|draw|bring down|let down|put down|pull shut|draw down|slide shut) {blinds}
v (pull|roll|put|bring|let|get|push|take) {blinds} down
v (pull|draw|slide|get|swing) {blinds} (shut|closed)
v close {blinds} (all the way|completely|fully|tight|up)
v (keep|block|shut) out (the sun|the light|the sunlight|the daylight)
v (keep|block|shut) the (sun|light|sunlight|daylight|sunshine) out
v block the (sun|sunlight|daylight|view)
v keep the neighbors from looking in
v (give me|get me|give us) (some privacy|privacy|a bit of privacy)
w {blinds} :: (closed|shut|down|lowered|all closed|fully closed|pulled down|drawn)
t 6*{blinds} (closed|down|shut|close)
t (lower|close|shut|down with) {blinds}
s {ineed} (some privacy|privacy|more privacy)
s the neighbors can see (in|inside|us|me)
s (everyone|the whole street) can see (in|inside|us|me)
c the sun is (in my eyes|blinding me|shining in my face|bothering me)
c there's too much (sun|sunlight|sunshine|daylight)
c the sunlight is (blinding me|in my face)
""",
    "blinds.set_position": """
v 6*(set|move|put|bring|adjust|open|turn) {blinds} to {lvl}
v 4*open {blinds} {val}
v 3*(raise|lower|lift|pull|roll|close|drop|change|get) {blinds} to {val}
v (raise|open|lower|roll) {blinds} (up to|down to) {val}
v (pull|roll|move|bring) {blinds} (up|down) to {val}
v 3*(open|raise) {blinds} (by|up) {val}
v set the position of {blinds} to {lvl}
v (change|adjust|move|put) the position of {blinds} to {lvl}
v set {blinds} position to {lvl}
v (set|leave|put|keep|have) {blinds} (at|on) {val}
v (set|put|leave|keep|make|have|get|move) {blinds} {val} open
v (set|put|bring|move) {blinds} to {val} open
v 3*open {blinds} (halfway|half way|half|to half|by half|up halfway|to the middle|halfway up) => 50
v (close|lower|raise|set|put|move|pull|bring|roll) {blinds} (halfway|to half|to the halfway point|half way) => 50
v (half open|half close|half-open|half-close) {blinds} => 50
v (leave|keep|have|put|set) {blinds} (half open|halfway open|half closed|half shut|half down) => 50
v (pull|roll|bring|lower) {blinds} (halfway down|down halfway|half down|down half way) => 50
v (raise|pull|roll|bring) {blinds} (halfway up|up halfway|half up) => 50
v open {blinds} (three quarters|three quarters of the way) => 75
v open {blinds} (a quarter|a quarter of the way|one quarter) => 25
v (set|put|raise|move) {blinds} to (full|maximum|max|the maximum|the full position) => 100
w {blinds} :: (at|set to|on) {lvl}
w {blinds} :: {val} open
w {blinds} :: (half open|halfway open|halfway|half closed|half shut|halfway up|halfway down) => 50
t 5*{blinds} {lvl}
t 3*{blinds} (to|at|position|open to) {val}
t 2*{blinds} {val} open
t {val} (on|for) {blinds}
t {blinds} (half|halfway|half open|half closed|halfway open|half way) => 50
t {blinds} (full|max|maximum) => 100
t (open|raise|lower) {blinds} {val}
t half open {blinds} => 50
s {ineed} {blinds} {val} open
s {blinds} should be {val} open
s {ineed} {blinds} (half open|halfway open) => 50
""",
    "lock.lock": """
v 14*lock {lock}
v 3*(lock up|secure|bolt|latch|deadbolt) {lock}
v (shut and lock|close and lock) {lock}
v (engage|set|activate|turn|throw|fasten|close) the (lock|bolt|deadbolt) on {boltable}
v (keep|get|make) {lock} locked
v make {lock} secure
v (double lock|double-lock) {lock}
v 2*(lock up|lock) {R}
v lock {R} up
v lock up
v lock (everything|up for the night|everything up|the house up)
w {lock} :: (locked|locked up|secured|bolted|securely locked)
t 6*{lock} (locked|lock)
t (lock|secure) {lock}
s I (forgot to lock|didn't lock|haven't locked|left without locking|don't think I locked) {lock}
s {lock} {is} (unlocked|not locked|still unlocked), (lock it|please lock it|lock it please|fix that)
s nobody (should|can) (get|come) in through {lock}
""",
    "lock.unlock": """
v 14*unlock {lock}
v 2*(unbolt|unlatch|undo|release) {lock}
v (undo|release|open|disengage|unlock|take off|turn off|remove|deactivate) the (lock|bolt|deadbolt) on {boltable}
v (get|make|leave|keep) {lock} unlocked
v 2*unlock {R}
v unlock (everything|the house|the house for us)
v (let me in|let us in|let the guests in|let them in|let him in|let her in) through {lock}
v unlock {lock} (so I can get in|to let me in|for the guests|for my friend|for the delivery|for my sister)
w {lock} :: (unlocked|unbolted|not locked)
t 6*{lock} (unlocked|unlock)
t unlock {lock}
s I'm locked out of {R}
s I (can't get in|am locked out), unlock {lock}
s {lock} {is} locked, (unlock it|please unlock it|unlock it please)
""",
}
