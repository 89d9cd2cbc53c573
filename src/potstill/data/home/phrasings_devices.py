"""Core phrasings of the fan, blinds, lock, TV, speaker, vacuum, oven, coffee maker, alarm and sprinkler.

The notation is that of `phrasings`.
"""

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
v (crank|turn|put) {fan} (up to full|on full blast|to full speed|to maximum|to max|to top speed|to the highest speed|all the way up) => high
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
v 3*let (the light|some light|the sun|some sun|light|sunlight|the sunlight|the daylight|some daylight|the sunshine|the morning) in
v 3*let in (the light|some light|the sun|some sun|light|sunlight|the sunlight|the daylight|some daylight|sunshine|natural light)
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
    "tv.on": """
v 9*(turn|switch) on {tv}
v 9*(turn|switch) {tv} on
v 3*(put|get|flip|power|pop|stick) {tv} on
v (put|flip|get|power|click) on {tv}
v 2*(start|activate|enable|fire up|power up|start up|boot up|wake up|light up) {tv}
v get {tv} (going|running|started|up)
v (bring up|show me|give me) {tv}
v (watch|use) {tv}
v (watch something|see something|watch a movie|watch a show|watch a film|watch the game) on {tv}
w {tv} :: (on|turned on|running|switched on|playing)
t 6*{tv} on
t (on|start|turn on) {tv}
s I (want|would like|need) to watch {tv}
s I'd like to watch {tv}
s I feel like watching {tv}
s (it's time for|time for) {tv}
s (we|the kids) want to watch {tv}
""",
    "tv.off": """
v 9*(turn|switch) off {tv}
v 9*(turn|switch) {tv} off
v 3*(kill|cut|shut off|shut down|power down|power off|stop|turn out) {tv}
v (deactivate|disable|quit|end) {tv}
v (shut|put|power|flip|click|get) {tv} off
v (leave|keep) {tv} off
v stop watching {tv}
v put {tv} to sleep
w {tv} :: (off|turned off|switched off|shut off|shut down)
t 6*{tv} off
t (stop|no more|off|kill) {tv}
s (I'm|we're) (done|finished) (watching|with) {tv}
s (nobody is|no one is|nobody's|I'm not|we're not) watching {tv} (anymore|now)
s (nobody is|no one is|I'm not) watching {tv}
s that's enough {tv}
s (enough|no more) {tv} for (today|tonight)
s {tv} can go off
s I don't (need|want) {tv} (on|anymore)
""",
    "tv.set_volume": """
v 6*(set|turn|put|change|adjust|bring) {tv} volume to {lvl}
v 5*(set|turn|put|change|adjust|bring) the volume of {tv} to {lvl}
v 3*(set|turn|put|change|bring) the volume on {tv} to {lvl}
v 2*(raise|lower|increase|reduce|decrease) {tv} volume to {val}
v (raise|lower|increase|reduce|decrease|crank|drop) the volume (on|of) {tv} to {val}
v 3*(turn|bring|crank|dial) {tv} (up|down) to {lvl}
v 2*(turn|bring|crank|dial|take) (up|down) {tv} to {lvl}
v turn (up|down) the volume (on|of) {tv} to {val}
v turn the volume (up|down) (on|of) {tv} to {val}
v turn the volume (on|of) {tv} (up|down) to {val}
v 2*(set|put|switch) {tv} to volume {val}
v (set|put|have|play) {tv} (at|on) volume {val}
v 2*(set|put) {tv} volume (at|on) {val}
v set {tv} to {val} volume
v (set|turn) the sound (of|on) {tv} to {val}
v (set|turn|change) {tv} sound (level|volume|) to {val}
v (make|set) {tv} as loud as (possible|it gets) => 100
v (turn|crank|put|set) {tv} (to full volume|all the way up|up to the max|to maximum volume|to max volume) => 100
v (turn|set|put) {tv} (to half volume|down to half volume|at half volume) => 50
w {tv} volume :: (at|set to|to be at) {val}
w {tv} :: (at|on) volume {val}
w {tv} :: at {val} volume
t 6*{tv} volume {val}
t 3*{tv} volume (to|at|up to|down to) {val}
t volume {val} (on|for) {tv}
t {tv} (sound|vol|loudness) {val}
t {tv} to volume {val}
t {tv} (full|max|maximum) volume => 100
t {tv} half volume => 50
s {ineed} {tv} (at|on) volume {val}
s {tv} volume should be {val}
""",
    "tv.mute": """
v 12*mute {tv}
v 3*(silence|quiet|hush|shush|shut up) {tv}
v 3*(turn|switch|shut|cut|kill|put|take) off the (sound|volume|audio) (of|on) {tv}
v (turn|switch|shut|cut) the (sound|volume|audio) (of|on) {tv} off
v 2*(turn|switch|cut|shut) off {tv} (sound|volume|audio)
v (mute|silence|stop|kill|cut|remove) the (sound|audio|volume|noise) (of|on|from) {tv}
v mute {tv} (sound|audio|volume)
v (put|set|have|keep) {tv} on (mute|silent)
v (make|keep) {tv} (silent|quiet|mute|go silent|be quiet|go quiet)
v (set|switch|turn) {tv} to (mute|silent)
v take the sound off {tv}
v press mute on {tv}
v hit mute on {tv}
w {tv} :: (muted|on mute|silent|silenced|without sound)
t 6*{tv} mute
t {tv} (muted|on mute|silent|sound off|no sound|quiet)
t (mute|silence|sound off on|no sound on) {tv}
s {ineed} (no sound|silence) (on|from) {tv}
s I don't want to hear {tv}
s I don't (want|need) sound on {tv}
""",
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
}
