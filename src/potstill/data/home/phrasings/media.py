"""Core phrasings of the TV and speaker; the notation is that of the package."""

from typing import Final

PHRASINGS: Final[dict[str, str]] = {
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
v set the volume to {lvl} on {tv}
v (turn|put|bring|change) the volume to {lvl} on {tv}
v 6*(set|turn|put|change|adjust|bring) {tv} volume to {lvl}
v 5*(set|turn|put|change|adjust|bring) the volume of {tv} to {lvl}
v 3*(set|turn|put|change|bring) the volume on {tv} to {lvl}
v 2*(raise|lower|increase|reduce|decrease) {tv} volume to {val}
v (raise|lower|increase|reduce|decrease|crank|drop) the volume (on|of) {tv} to {val}
v 3*(turn|bring|crank|dial) {tv} (up|down) to {val}
v 2*(turn|bring|crank|dial|take) (up|down) {tv} to {val}
v turn (up|down) the volume (on|of) {tv} to {val}
v turn the volume (up|down) on {tv} to {val}
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
v (play|put on|turn on|start) the (latest news|morning news|evening news) => news
v (play|put on|turn on|start) the (news channel|news station|radio news|headlines) => news
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
""",
    "speaker.pause": """
v 10*pause {speaker}
v 7*(stop|turn off|switch off) {speaker}
v 5*(turn|switch) {speaker} off
v (cut|kill|shut off|end|halt|silence|quiet|shut down|power down|hold|interrupt) {speaker}
v (shut|put|power|flip|get) {speaker} off
v 2*(stop|pause|quit|end|finish) (playing|playing music|playing songs|the song)
v 2*(stop|pause|quit|end|finish) (this song|the track|the playlist|the playback)
v pause the (jazz|rock|pop|classical music|news)
v (stop|turn off|switch off|cut) the (jazz|rock|pop|classical music|news)
v put {speaker} on (pause|hold)
v (stop|pause|cut|kill) the (sound|audio|music|song) (on|from) {player}
v (make|have) {player} stop (playing|the music)
v make {speaker} (stop|pause)
v press pause on {player}
v hit pause on {speaker}
s don't play (any more music|music anymore|anything)
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
v set the volume to {lvl} on {speaker}
v (turn|put|bring|change) the volume to {lvl} on {speaker}
v 6*(set|turn|put|change|adjust|bring) {speaker} volume to {lvl}
v 5*(set|turn|put|change|adjust|bring) the volume of {speaker} to {lvl}
v 3*(set|turn|put|change|bring) the volume on {speaker} to {lvl}
v 2*(raise|lower|increase|reduce|decrease) {speaker} volume to {val}
v (raise|lower|increase|reduce|decrease|crank|drop) the volume (on|of) {speaker} to {val}
v 3*(turn|bring|crank|dial) {speaker} (up|down) to {val}
v 2*(turn|bring|crank|dial|take) (up|down) {speaker} to {val}
v turn (up|down) the volume (on|of) {speaker} to {val}
v turn the volume (up|down) on {speaker} to {val}
v turn the volume (on|of) {speaker} (up|down) to {val}
v 2*(set|put|switch) {speaker} to volume {val}
v (set|put|have|play) {speaker} (at|on) volume {val}
v 2*(set|put) {speaker} volume (at|on) {val}
v set {speaker} to {val} volume
v play {speaker} at (full|maximum|max) volume => 100
v play the music at half volume => 50
v (set|turn) the sound (of|on) {speaker} to {val}
v (make|set|play) {speaker} as loud as (possible|it gets) => 100
v (turn|crank|put|set|blast) {speaker} (to full volume|all the way up|up to the max) => 100
v (turn|crank|put|set|blast) {speaker} (to maximum volume|to max volume|at full volume) => 100
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
}
