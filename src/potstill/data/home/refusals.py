"""Core phrasings of requests to refuse: unknown things and what known devices cannot do; notation of `phrasings`."""

from typing import Final

UNKNOWN: Final = """
v 9*(turn|switch) on {thing}
v 7*(turn|switch) {thing} on
v 7*(turn|switch) off {thing}
v 5*(turn|switch) {thing} off
v 5*(start|stop|run|activate) {thing}
v 2*(open|close|shut|lock|unlock) {thing}
v (shut off|shut down|kill|power up|fire up|put on|disable|deactivate|enable|pause|reset|restart|charge) {thing}
v (clean|empty|fill|fix|repair|move|check|use|heat up|load|unload|unplug|plug in|buy|wash|paint|raise|lower) {thing}
v 2*(set|turn|change|heat|raise|lower|dim) {thing} to {amount}
v (get|put) {thing} (going|running|started|on)
v (arm|disarm|mute|dock|preheat|play|lock up) {thing}
v (run|start|set) {thing} for {span}
v turn (up|down) {thing}
v (set|put|run) {thing} on (high|low|medium|max)
w {thing} :: (on|off|running|open|closed|turned on|turned off|started|at 50 percent|empty|clean|ready)
t 4*{thing} (on|off)
t 2*{thing} (start|stop|{amount}|open|closed|up|down)
t (start|stop|open|no more) {thing}
v 3*(order|buy|get|cook|make|bake|prepare|deliver) {food}
v 2*(order|buy|get|make|bring|cook) me {food}
v (order|buy|get|find) {goods}
v 2*(order|buy) me {goods}
v 3*(call|phone|text|email|message|ring|contact) {person}
v 2*(call|order|book|get) {ride}
v (call|order|book|get) me {ride}
v 3*(book|reserve|cancel|find) {trip}
v (book|reserve) me {trip}
v 3*(feed|walk|wash|bathe|pet|find|brush|play with) {pet}
v 3*(send|write) {paper} to {person}
v (send|write) {person} {paper}
v (read|check|delete|answer) my (emails|messages|mail|texts|email|voicemail)
v 2*(schedule|add|cancel|create|move|plan) {event} {when}
v (schedule|add|cancel|create) {event}
v 2*(tell me|check|look up|google|find out|show me) {topic}
v 3*do {chore}
v (finish|help me with|start) {chore}
v 2*(clean|wash|scrub|polish) {mess}
v 2*tell me {made}
v (tell|read|write) me {made}
v (drive me|take me|give me directions|navigate|show me the way) to {place}
v (fix|repair) {job}
v 3*(set|start|cancel|stop) (a timer|the timer|a stopwatch|the countdown)
v 4*set a timer for {span}
v (start|set|begin) a (countdown|stopwatch) (of|for) {span}
v start a timer of {span}
v 2*remind me to (call {person}|buy {food}|do {chore}|take my pills|take out the trash|pay the rent|drink water)
v set a reminder (for|to call) {person}
v (add|put) {food} (to the shopping list|on the shopping list|to my shopping list|on my list)
v (add|put) {goods} (to the shopping list|on the shopping list|to my cart)
v wake me up (at 7|at seven|at six thirty|in an hour|tomorrow|at 8 am|early)
v (translate this to|speak|teach me|learn|talk to me in) {lang}
v (take|post|upload|print|edit|share) (a photo|a picture|a selfie|my photos|this document|the report|a video)
v (take out|empty) the (trash|garbage|rubbish|bins|recycling)
v (pay|send) the (bills|rent|electricity bill|invoice|package)
v (mow|cut|rake|trim) the (lawn|grass|leaves|hedge|hedges|trees|bushes)
v (change|make|fold|iron|hang up) (the bed|the sheets|my shirts|the diapers|the towels|my clothes)
v (babysit|tuck in|pick up|drop off|dress) the (kids|baby|children|twins)
v (run|draw|fill|take) (a bath|a shower|a hot bath|the bath|the tub)
v (open|install|update|download|close|delete) (the app|Instagram|Facebook|my calendar)
v (open|install|update|download|close|delete) (Windows|Google Maps|WhatsApp|my files)
v (solve|calculate|compute) (this equation|two plus two|12 times 9|the square root of 16|my taxes|this problem)
v (transfer|withdraw|invest|send|lend me) (money|50 dollars|my savings|100 euros|some cash)
v (find|locate|look for|bring me) (my keys|my phone|my wallet|my glasses|the remote|my slippers|my shoes|my bag)
v (give|get|hand) me a (hug|massage|haircut|towel|high five|blanket|beer|raise|kiss|pillow)
v (cook|make|serve|reheat|grill|fry) (dinner|lunch|breakfast|the chicken|an egg|some fish|the leftovers|a turkey)
v (boil|heat up) (some water|water|an egg|the soup|the milk|eggs|potatoes)
v (launch|fly|land|build|steal|hack) (a rocket|the spaceship|the plane|a house|the bank|a satellite|the drone)
v (build|draw|sew|knit|design|carve) me a (house|boat|dress|scarf|logo|chair|picture|castle)
v (water|repot|trim|plant) the (houseplants|cactus|bonsai|tree)
v (invite|meet|visit|thank|greet) {person}
v (rent|sell|park|wash|start|refuel) (the car|my car|the van|a bike|the boat)
v (catch|kill|scare away|chase) the (spider|mouse|fly|mosquito|rat|burglar|squirrel|pigeon)
v (change|dye|cut|braid|brush|comb) my (hair|beard|teeth|nails|dress)
v (chill|pour|open) (the wine|some wine|the beer|a bottle|the champagne|me a drink)
v (sing|hum) (me a song|happy birthday|a lullaby|a song)
v (stop|predict|change|make) the (rain|weather|future|past|snow|war)
v (check me in for my flight|track my package|pick the lottery numbers|tie my shoes|cure my cold|grow some tomatoes)
v (write my essay|do a backflip|win the game|guess my age|flip a coin|roll the dice|order my prescription)
w the (laundry|dishes|homework|ironing|shopping|washing) :: (done|finished|ready)
s 2*(what's|what is) {topic}
s what's the (weather|temperature outside|forecast|time|date|weather like|traffic like|weather tomorrow)
s (how's|how is) the (weather|traffic|stock market|weather today|weather in Paris)
s what (time|day|year|month) is it
s will it (rain|snow|be sunny) (today|tomorrow|this weekend|tonight)
s who (won the game|is the president|are you|wrote Hamlet|invented the telephone|is calling)
s how (old are you|tall is Mount Everest|far is the moon|many people live in Spain|do I get to the station|are you)
s when is (my next meeting|the next bus|Easter|my birthday|the next train)
s where (is my phone|are my keys|is the nearest bank|can I eat|am I|is the cat)
s what should I (wear|eat|cook|read|watch)
s 2*{ineed} {food_}
s {ineed} (a taxi|a cab|a massage|a doctor|a vacation|an umbrella|a haircut|new shoes|a new phone|a timer)
s I'm (hungry|thirsty|bored|sick|lonely|hungry, order food|lost|late for work)
s my (car|phone|laptop|bike|back|printer) (is broken|won't start|is dead|hurts|needs fixing)
s the (dog|cat|baby|fish|hamster) (is hungry|needs food|wants out|needs a walk|is crying|needs a bath)
t (weather|pizza|homework|timer|taxi|calendar|email|flights|jokes|lottery numbers|traffic|recipes|pizza please)
t timer {span}
t (email|text|call) {person}
"""

# Phrasings with {X} for every device listed after the last "#", none of which supports them.
UNSUPPORTED_CROSS: Final = """
v 2*(lock|unlock) {X} # light fan blinds tv player vacuum oven coffee sprinkler climate
v (lock up|bolt) {X} # light fan oven coffee tv vacuum
v (open|close) {X} # fan tv player vacuum oven coffee climate alarm
v (open up|shut) {X} # fan tv player vacuum oven
v (mute|unmute) {X} # light fan blinds smartlock vacuum oven coffee sprinkler climate
v unmute {X} # tv
v (pause|unpause) {X} # light fan blinds oven sprinkler climate smartlock tv alarm
v (play|rewind|fast forward|skip) {X} # light fan blinds smartlock vacuum oven coffee sprinkler climate
v (play music|play some music) on {X} # light fan blinds smartlock vacuum oven coffee sprinkler
v (play jazz|play a song|play the news) on {X} # light fan blinds smartlock vacuum oven coffee sprinkler
v (arm|disarm) {X} # light fan blinds tv player vacuum oven coffee sprinkler climate
v (dock|park) {X} # light fan blinds tv player oven coffee sprinkler smartlock alarm climate
v (send|bring) {X} (home|back to its base|to the dock) # light fan tv player oven coffee sprinkler
v preheat {X} # light fan blinds tv player vacuum smartlock coffee sprinkler alarm
v preheat {X} to {hot} # light fan tv player vacuum coffee sprinkler blinds
v (brew|make) (coffee|some coffee) (with|in) {X} # light fan blinds tv player vacuum smartlock sprinkler climate
v (brew|make) (tea|two cups) (with|in) {X} # light fan blinds tv player vacuum smartlock sprinkler climate
v (brew|percolate) {X} # light fan tv vacuum oven
v (dim|brighten) {X} # fan smartlock vacuum oven coffee sprinkler player climate alarm
v (dim|brighten) {X} to {amount} # fan vacuum oven coffee sprinkler player
v (raise|lower|roll up|pull down) {X} # fan oven coffee vacuum smartlock
v (set|turn|change) the volume of {X} to {pc} # light fan blinds smartlock vacuum oven coffee sprinkler climate alarm
v turn (up|down) the volume (of|on) {X} # light fan blinds oven vacuum coffee sprinkler
v (set|change) the (brightness|position) of {X} to {pc} # fan smartlock vacuum oven coffee sprinkler player
v set the brightness of {X} to {pc} # blinds climate alarm
v set the speed of {X} to (low|medium|high) # light blinds tv player oven smartlock coffee sprinkler vacuum
v set the (color|colour) of {X} to red # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v set the (color|colour) of {X} to (blue|green) # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (change|turn) the (color|colour) of {X} to red # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (change|turn) the color of {X} to (blue|green) # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v change the colour of {X} to (blue|green) # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v turn the colour of {X} to (blue|green) # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v set the (color|colour) of {X} to purple # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v set the (color|colour) of {X} to yellow # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (change|turn) the color of {X} to purple # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (change|turn) the colour of {X} to purple # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (change|turn) the color of {X} to yellow # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (change|turn) the colour of {X} to yellow # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v set the color of {X} to (orange|white) # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v set the colour of {X} to (orange|white) # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (change|turn) the color of {X} to orange # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (change|turn) the color of {X} to white # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (change|turn) the colour of {X} to orange # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (change|turn) the colour of {X} to white # fan blinds tv player vacuum oven coffee smartlock sprinkler climate
v (make|turn|paint) {X} (red|blue|green) # fan blinds tv player vacuum oven coffee smartlock sprinkler
v (make|turn|paint) {X} (purple|yellow|orange) # fan blinds tv player vacuum oven coffee smartlock sprinkler
v (set|turn|heat) {X} to {heat_} # fan blinds tv player vacuum smartlock sprinkler alarm
v set the temperature of {X} to {heat_} # light fan blinds tv player vacuum smartlock sprinkler
v (set|turn|put) {X} to {pc} # smartlock vacuum coffee alarm sprinkler
v (warm up|cool down) {X} # light tv player vacuum smartlock blinds
v (turn on|turn off|switch on|switch off) {X} # blinds smartlock
v (turn|switch) {X} (on|off) # blinds
v water {X} # light tv oven fan vacuum player
v vacuum with {X} # light tv oven fan
v (record a show|watch a movie|show the news|play a movie) on {X} # light fan oven vacuum blinds coffee
v clean the (floor|carpet) with {X} # light fan tv oven
"""

ABSURD_DEVICES: Final = "light fan blinds smartlock tv player vacuum oven coffee alarm sprinkler climate"

# Phrasings with {X} for every device.
UNSUPPORTED_ANY: Final = """
v 3*(paint|wash|sell|eat|throw away|throw out|break|destroy|repair|fix|replace|burn|buy|rename|hide|move|cook) {X}
v (clean|dust|polish|feed|kick|hug|steal|rent|recycle|dismantle|take apart|smash|melt|shake|tickle) {X}
v (bake|boil|fry|wrap|decorate|weigh|photograph|insult|marry|promote|fold|iron|sharpen|bend|upgrade|reinstall) {X}
v 4*make {X} (sing|dance|fly|talk|jump|laugh|smile|cry|swim|walk|bark|explode|disappear|rap|whistle|juggle)
v 2*make {X} (cook dinner|walk the dog|tell a joke|do the dishes|climb the wall|order pizza|call mom)
v 2*make {X} (do my homework|sing a song|play chess|dance for me|float in the air|speak French|wash the car)
v 2*(teach|tell|ask|get|have) {X} to (sing|dance|fly|talk|jump|cook|swim|tell a joke|write a poem|walk the dog)
v (teach|ask) {X} (French|about the weather|for a joke)
v (throw|move|carry|drop|put) {X} (out of the window|upstairs|into the pool|to another room)
v (throw|move|carry|drop|put) {X} (in the trash|under the bed|on the roof|in the car)
v (let|have) {X} (fly|sing|dance|make pizza|cook|do the laundry|drive the car)
v (turn|transform) {X} into a (frog|cake|car|horse|dragon|rocket|boat)
v (give|lend|sell|mail|send) {X} to (my neighbor|a friend|grandma|my brother|my boss)
v take a (photo|picture|selfie) with {X}
v (call|text) mom (with|from|using) {X}
v (update|rewire|paint over|unscrew|disassemble) {X}
w {X} :: (painted|washed|repaired|sold|replaced|cleaned|thrown away|moved|repainted)
w {X} :: to (sing|dance|fly|talk|laugh|jump|cook dinner|tell a joke)
t (paint|wash|sell|repair|replace) {X}
s can {X} (sing|dance|fly|talk|swim|cook|walk)
s {X} should (sing|dance|fly|talk|jump|apologize)
"""

UNSUPPORTED: Final = """
v 2*(change|switch) the channel (on|of) {tv}
v (change|switch|turn) {tv} to channel {num_}
v (change|switch|put) {tv} (channel|to Netflix|to HDMI 2|to YouTube|to the sports channel|to another channel)
v (rewind|record|fast forward|skip) (the movie|the show|this episode|the game) on {tv}
v (open|start|play|watch) (Netflix|YouTube|Disney Plus|Spotify) on {tv}
v (blink|flash|strobe) {light}
v make {light} (blink|flash|flicker|strobe|pulse|go disco)
v (rotate|tilt|turn around|oscillate|reverse|swing) {fan}
v make {fan} (oscillate|turn left|blow hot air|spin backwards|quieter|play music)
v (change the code of|change the combination of|pick|oil|grease|reprogram) {smartlock}
v (empty|mop with|wash the floor with|clean out|unclog) {vacuum}
v (make|have) {vacuum} (mop the floor|wash the dishes|climb the stairs|fold the laundry)
v (make|have) {vacuum} (empty itself|take out the trash|wash the windows|cook)
v (bake a cake|cook a chicken|roast a turkey|make a pizza|cook dinner|bake bread|bake cookies) in {oven}
v (broil|grill|clean|open|defrost|self-clean) {oven}
v set {oven} to (grill|broil|defrost|self-clean|convection mode)
v (descale|clean|refill|fill|empty|rinse|wash) {coffee}
v make (tea|hot chocolate|soup|a smoothie|lemonade|an omelette|juice) (with|in) {coffee}
v have {coffee} make (tea|hot chocolate|soup|toast|a sandwich|lemonade)
v (wash|iron|sew|change|hang|embroider|dye|take down|fold) {blinds}
v (set|turn) {blinds} to (jazz|22 degrees|high speed|mute)
v (call the police|take a photo|record a video|play music|sing a song) with {alarm}
v (change the code of|test the battery of|snooze|change the password of) {alarm}
v (wash the car|fill the pool|wash the dog|make snow) with {sprinkler}
v (rewind|shuffle|skip|repeat|download|delete) (the song on|this track on|the album on|everything on) {player}
v (set|turn) {player} to (blue|22 degrees|low speed|200 degrees)
v (record|film) (a song|my voice|a message|a video) (on|with) {player}
v (set|turn) {light} to (22 degrees|200 degrees|jazz|high speed|volume 30|low speed)
v (preheat|boil|charge) {light}
v set {thermo} to (blue|red|jazz|green|high speed)
v (humidify|dry) the air with {climate}
v make {climate} (play music|smell nice|make ice|sing)
v (order|bake|cook) (a pizza|dinner|some cookies) with {X2}
v (set a timer|send an email|check the weather|browse the internet|call grandma|translate this) (on|with) {X2}
"""
