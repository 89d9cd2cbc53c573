"""Core phrasings of the speaker, oven, coffee maker, alarm and sprinkler; the notation is that of `phrasings`."""

from typing import Final

PHRASINGS: Final[dict[str, str]] = {
    "speaker.play/genre": """
v 8*play {some} {val}
v 5*play {some} {val} music
v 4*(put|throw|stick) on {some} {val} {vibe}
v (put|get) {some} {val} {vibe} on
v 2*(turn on|switch on|start|start playing|fire up|cue up|queue up|blast|stream|bring on) {some} {val} {vibe}
v 3*play {some} {val} {vibe} on {player}
v (put|turn on|start|stream|switch on) {some} {val} {vibe} on {player}
v (put|turn|switch|set|change|tune) {player} (to|on to|over to) {val}
v have {player} play {some} {val} {vibe}
v (let|make) {player} play {val}
v (let me hear|let us hear|give me|get me|hit me with|give us) {some} {val} {vibe}
v (listen|dance) to {some} {val} {vibe}
v fill {R} with {val} music
v play (a|me a) {val} (song|tune|playlist|track|station|album)
v (play|put on|tune in to|turn on) the {val} (station|channel|playlist)
v play me {some} {val} {vibe}
v play something {val}
w {val} music :: (on|playing|turned on)
w {player} :: (on|playing|set to) {val}
t 3*{val} (music|on|playlist|station|songs)
t 2*{val} on {player}
t 2*{player} {val}
t (music|play|music:) {val}
t {player} on {val}
t {val}
s 3*{ineed} {some} {val} {vibe}
s (I want|I'd like|I would like|we want|I feel like) to (hear|listen to) {some} {val} {vibe}
s I feel like (listening to|hearing) {some} {val} {vibe}
s I'm in the mood for {some} {val} {vibe}
s how about {some} {val} {vibe}
s let's (hear|have|listen to) {some} {val} {vibe}
s can (I|we) (hear|listen to) {some} {val} {vibe}
s (some|a little|a bit of) {val} {vibe} would be (nice|great|lovely)
""",
    "speaker.play/news": """
v 6*play the news => news
v 2*(put|turn|switch|bring) on the news => news
v (put|turn|switch) the news on => news
v (play|put on|turn on|start) the (latest news|morning news|evening news|news channel|news station|radio news|headlines) => news
v (read|tell|give|play|bring) me the (news|latest news|headlines) => news
v 2*(play|put on|turn on|start) the news on {player} => news
v (play|put on) (news|some news) (on {player}|) => news
v (turn|switch|set|put|tune) {player} (to the news|to news|on the news) => news
v (let me hear|listen to|let's hear|hear|get me) the news => news
v have {player} play the news => news
w the news :: (on|playing|turned on) => news
t 2*(news|news on|play news|the news) => news
t news on {player} => news
t {player} news => news
s (I want|I'd like|I would like|we want) to (hear|listen to) (the news|the latest news|the headlines) => news
s {ineed} the (news|latest news|headlines) => news
s (what's|what is) (in|on) the news => news
s can (I|we) hear the news => news
s let's (hear|have|listen to) the news => news
""",
    "speaker.play/null": """
v 9*play {some} {tunes}
v 4*(put|turn|switch) on {some} {tunes}
v 2*(put|turn|switch) {some} {tunes} on
v 5*(turn|switch) on {speaker}
v 5*(turn|switch) {speaker} on
v (start|resume|unpause|continue|restart|fire up|activate|power up|start up) {speaker}
v (put|get|flip|power) {speaker} on
v put on {speaker}
v (start|resume|continue|keep) playing {tunes}
v (start|resume|unpause|continue|restart|bring back|cue) the {tunes}
v get {speaker} (going|playing|started)
v play (a song|something|a tune|anything|me a song|us a song|me some music|us some music|some background music)
v play (something|some music|music|songs) on {player}
v (have|let|make) {player} play (something|some music|music)
v (let me hear|give me|give us|get me|hit me with) some (music|tunes|songs)
v (listen to|hear) some (music|tunes|songs)
v fill {R} with music
v get the (party|music) started
w {speaker} :: (on|playing|turned on|switched on|going)
w {some} {tunes} :: (on|playing)
t 4*{speaker} on
t (music|play|play music|tunes|start music|music please|play something)
s 2*{ineed} {some} {tunes}
s (I want|I'd like|I would like|we want|we'd like) to (hear|listen to) {some} {tunes}
s I feel like listening to {some} {tunes}
s I'm in the mood for {some} {tunes}
s how about some (music|tunes)
s let's (hear|have|listen to) some (music|tunes)
s can (I|we) (hear|listen to) some (music|tunes)
s some (music|tunes) would be (nice|great|lovely)
c it's {too} quiet
""",
    "speaker.pause": """
v 10*pause {speaker}
v 7*(stop|turn off|switch off) {speaker}
v 5*(turn|switch) {speaker} off
v (cut|kill|shut off|end|halt|silence|quiet|shut down|power down|hold|interrupt) {speaker}
v (shut|put|power|flip|get) {speaker} off
v 2*(stop|pause|quit|end|finish) (playing|playing music|playing songs|the song|this song|the track|the playlist|the playback)
v pause the (jazz|rock|pop|classical music|news)
v (stop|turn off|switch off|cut) the (jazz|rock|pop|classical music|news)
v put {speaker} on (pause|hold)
v (stop|pause|cut|kill) the (sound|audio|music|song) (on|from) {player}
v (make|have) {player} stop (playing|the music)
v make {speaker} (stop|pause)
v press pause on {player}
v hit pause on {speaker}
w {speaker} :: (paused|off|stopped|turned off|switched off|on pause)
t 4*{speaker} (off|pause|stop)
t (no more|stop|pause) {speaker}
t (pause|stop playing|music off|enough music|music stop)
s I don't want (music|any music|to hear music|to hear any music|{speaker} on) (anymore|right now|now)
s (that's enough|no more|enough) (music|songs)
s I'm (done|finished) (listening|with the music|with {speaker})
s (I need|I want) the music to stop
s {speaker} can (stop|go off)
""",
    "speaker.set_volume": """
v 6*(set|turn|put|change|adjust|bring) {speaker} volume to {lvl}
v 5*(set|turn|put|change|adjust|bring) the volume of {speaker} to {lvl}
v 3*(set|turn|put|change|bring) the volume on {speaker} to {lvl}
v 2*(raise|lower|increase|reduce|decrease) {speaker} volume to {val}
v (raise|lower|increase|reduce|decrease|crank|drop) the volume (on|of) {speaker} to {val}
v 3*(turn|bring|crank|dial) {speaker} (up|down) to {lvl}
v 2*(turn|bring|crank|dial|take) (up|down) {speaker} to {lvl}
v turn (up|down) the volume (on|of) {speaker} to {val}
v turn the volume (up|down) (on|of) {speaker} to {val}
v turn the volume (on|of) {speaker} (up|down) to {val}
v 2*(set|put|switch) {speaker} to volume {val}
v (set|put|have|play) {speaker} (at|on) volume {val}
v 2*(set|put) {speaker} volume (at|on) {val}
v set {speaker} to {val} volume
v play {speaker} at (full|maximum|max) volume => 100
v play the music at half volume => 50
v (set|turn) the sound (of|on) {speaker} to {val}
v (make|set|play) {speaker} as loud as (possible|it gets) => 100
v (turn|crank|put|set|blast) {speaker} (to full volume|all the way up|up to the max|to maximum volume|to max volume|at full volume) => 100
v (turn|set|put) {speaker} (to half volume|down to half volume|at half volume) => 50
w {speaker} volume :: (at|set to|to be at) {val}
w {speaker} :: (at|on) volume {val}
w {speaker} :: at {val} volume
t 6*{speaker} volume {val}
t 3*{speaker} volume (to|at|up to|down to) {val}
t volume {val} (on|for) {speaker}
t {speaker} (sound|vol|loudness) {val}
t {speaker} to volume {val}
t {speaker} to {val}
t {speaker} (full|max|maximum) volume => 100
t {speaker} half volume => 50
s {ineed} {speaker} (at|on) volume {val}
s {speaker} volume should be {val}
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
