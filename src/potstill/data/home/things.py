"""Things and tasks no device of the schema covers: the open side of the domain."""

from typing import Final


def _split(table: str) -> tuple[str, ...]:
    """Items parted by commas."""
    return tuple(item.strip() for item in " ".join(table.split()).split(","))


# Appliances, furniture and gadgets that can be switched, started or opened somewhere else, but not here.
THINGS: Final = _split("""
    washing machine, washer, dishwasher, dryer, tumble dryer, clothes dryer, laundry machine, fridge, refrigerator,
    freezer, microwave, microwave oven, toaster, toaster oven, kettle, electric kettle, tea kettle, blender, mixer,
    food processor, juicer, air fryer, rice cooker, slow cooker, pressure cooker, bread maker, bread machine,
    ice maker, waffle iron, waffle maker, deep fryer, sandwich maker, popcorn machine, popcorn maker, pasta machine,
    dishwashing machine, trash compactor, garbage disposal, extractor hood, range hood, cooker hood, grill, barbecue,
    smoker, printer, scanner, copier, computer, laptop, desktop, PC, monitor, tablet, iPad, phone,
    cell phone, smartphone, telephone, fax machine, router, modem, wifi, internet, server, keyboard, mouse, webcam,
    camera, security camera, doorbell, video doorbell, baby monitor, smoke detector, carbon monoxide
    detector, motion sensor, intercom, PlayStation, Xbox, Nintendo, game console, VR headset, projector, headphones,
    record player, turntable, DVD player, microphone, piano, guitar, drum machine, karaoke machine, 3D printer,
    drone, toy train, train set, toy car, robot arm, robot dog, robot mower, lawn mower, mower, lawnmower, leaf blower,
    hedge trimmer, chainsaw, pressure washer, snow blower, power drill, drill, table saw, hammer, sewing machine, iron,
    steam iron, hair dryer, hairdryer, curling iron, electric shaver, razor, electric toothbrush, toothbrush, scale,
    bathtub, tub, bath, shower, toilet, sink, faucet, tap, water heater, hot tub, jacuzzi, pool, swimming pool,
    pool pump, sauna, steam room, fountain, pond pump, aquarium, fish tank, terrarium, humidifier, dehumidifier,
    air purifier, diffuser, fireplace, fire pit, candle, electric blanket, heated blanket, heating pad, massage chair,
    recliner, sofa, couch, bed, chair, desk, table, standing desk, bookshelf, wardrobe, closet, drawer, cupboard,
    mirror, window, windows, skylight, mailbox, letterbox, safe, trash can, garbage bin, bin, dumbwaiter,
    elevator, lift, escalator, stairlift, treadmill, exercise bike, rowing machine, bike, bicycle, scooter, skateboard,
    motorcycle, car, truck, car engine, engine, tractor, boat, helicopter, spaceship, rocket, generator,
    solar panels, battery, charger, car charger, EV charger, power outlet, outlet, plug, socket, smart plug, fuse box,
    clock, wall clock, alarm clock, watch, smartwatch, calculator, telescope, microscope, metronome, typewriter,
    cash register, vending machine, slot machine, jukebox, bubble machine, fog machine, snow machine, disco ball,
    Christmas tree, cat feeder, pet feeder, dog door, cat flap, litter box, bird feeder, chicken coop, greenhouse,
    tent, trampoline, swing, water pump, well pump, wind turbine,
    ice cream machine, ice cream maker, soda machine, water dispenser,
    water cooler, water filter, wine cooler, beer fridge, cotton candy machine, egg cooker, stand mixer, hand mixer,
    can opener, knife sharpener, electric knife, nail gun, glue gun, soldering iron, label maker, laminator, shredder,
    paper shredder, whiteboard, e-reader, Kindle, USB stick, hard drive, satellite dish, antenna, walkie-talkie,
    time machine, teleporter, coffin, jacket, shoes, umbrella, suitcase, backpack, book, newspaper, bottle, jar
    """)

# Small free choices inside the tasks.
TASK_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "food_": _split(
        "a pizza, pizza, a burger, sushi, a sandwich, food, some food, tea, a cup of tea, a snack, dinner, "
        "a glass of water, ice cream, a beer, a glass of wine, breakfast, some toast, hot chocolate"
    ),
    "amount": _split(
        "20, 50 percent, 30 degrees, 22 degrees, 100, half, 40%, 75 percent, 10, level 5, 80, "
        "sixty percent, ten degrees, 60 degrees, 5, 180 degrees, full, maximum, low, high, 25%, 15"
    ),
    "pc": _split("20 percent, 50 percent, 40, 30%, half, 75 percent, 80%, sixty percent, 10, ten percent, 25, maximum"),
    "heat_": _split("20 degrees, 22 degrees, 25 degrees, 180 degrees, twenty degrees, 18 degrees, 30 C, 21°C"),
    "hot": _split("180 degrees, 200 degrees, 220, 150 degrees, two hundred degrees, 190, 200°C, 100 degrees"),
    "num_": _split("5, five, 3, seven, 12, twenty, 101, 8, two, 40"),
    "food": _split(
        "a pizza, some pizza, a burger, sushi, some sushi, a sandwich, some tacos, a salad, pasta, a cake, "
        "some cookies, groceries, some groceries, Chinese food, Thai food, dinner, lunch, breakfast, "
        "some ice cream, a steak, noodles, fries, some wine, a bottle of wine, beer, milk, bread, eggs, "
        "some fruit, a birthday cake, two pizzas, a large pepperoni pizza, Indian food, chicken wings, "
        "a hot dog, soup, pancakes, an omelette, a smoothie, tea, a cup of tea, hot chocolate, lemonade, "
        "orange juice, a glass of water, a beer, a cocktail, a snack, popcorn, some toast, bacon, rice"
    ),
    "goods": _split(
        "flowers, a new phone, toilet paper, new shoes, a book, a birthday present, a gift, diapers, "
        "dog food, cat food, batteries, paper towels, a new laptop, concert tickets, movie tickets, "
        "train tickets, a plane ticket, detergent, shampoo, a new sofa, a jacket, headphones, a bike, "
        "stamps, some roses, a toothbrush, a car"
    ),
    "person": _split(
        "mom, dad, my mom, my mother, my dad, my sister, my brother, grandma, my wife, my husband, John, "
        "Anna, my boss, the doctor, the dentist, the police, the fire department, an ambulance, Sarah, "
        "my friend, Tom, the neighbors, the plumber, the babysitter, my son, my daughter, Maria, Peter, "
        "the electrician, the school, my colleague, Alex, the landlord, uncle Bob, everyone, my team"
    ),
    "ride": _split("a taxi, a cab, an Uber, a car, a ride, a limo, a rental car, a bus, a Lyft"),
    "trip": _split(
        "a flight, a flight to Paris, a hotel, a hotel room, a table for two, a restaurant, a table, "
        "a train ticket, a trip to Rome, a vacation, a flight to London, an appointment, a massage, "
        "a doctor's appointment, a haircut, a meeting, tickets, a cruise, a tennis court, a flight home"
    ),
    "pet": _split(
        "the cat, the dog, my cat, my dog, the fish, the hamster, the rabbit, the bird, the parrot, "
        "the baby, the goldfish, the chickens, the puppy, the kids, the horse, the pets, "
        "the kitten, the turtle"
    ),
    "paper": _split(
        "an email, a text, a letter, a message, a text message, an SMS, a postcard, a WhatsApp, a fax, "
        "a report, an email"
    ),
    "event": _split(
        "a meeting, an appointment, my dentist appointment, a birthday party, an event, lunch with Anna, "
        "a reminder, a call, the meeting, a note"
    ),
    "when": _split(
        "tomorrow, at noon, at 5, for Monday, next week, at 3 pm, on Friday, at seven, in the morning, "
        "tomorrow morning, at 8 o'clock, in an hour"
    ),
    "topic": _split(
        "the weather, the capital of France, the meaning of life, the time, the stock market, the score, "
        "the exchange rate, my schedule, the date, my balance, the traffic, the population of China, "
        "the square root of nine, the forecast, the distance to the moon, the answer, the date today"
    ),
    "chore": _split(
        "the laundry, the dishes, the ironing, my homework, the homework, the shopping, my taxes, the bed, "
        "the gardening, the cooking, the paperwork, my work, the grocery shopping, the bills, my job, "
        "my hair, the washing, the washing up, my math homework"
    ),
    "mess": _split(
        "the car, the windows, the dishes, the clothes, the dog, the toilet, the bathtub, the sink, "
        "my shirt, the mirror, my shoes, the table, the fridge, the laundry, the pots, "
        "the barbecue, the gutters"
    ),
    "made": _split("a joke, a story, a bedtime story, a poem, a riddle, a fairy tale, a fun fact, a secret"),
    "place": _split(
        "the airport, the nearest gas station, work, the supermarket, the hospital, Berlin, the store, "
        "a good restaurant, the post office, school, the beach, the train station, the bank"
    ),
    "job": _split(
        "the roof, the sink, the leak, the fence, my car, my bike, the bed, the wall, the toilet, "
        "my computer, the wifi, the dripping tap, the stairs, the broken window, the chair, "
        "my phone, my glasses"
    ),
    "lang": _split("French, Spanish, German, Italian, Chinese, Japanese, Latin, Polish"),
    "span": _split(
        "10 minutes, five minutes, an hour, 30 seconds, two hours, 20 minutes, a minute, three minutes, "
        "half an hour, 45 minutes, 90 seconds, fifteen minutes"
    ),
}
