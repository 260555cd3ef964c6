"""Sentences to run a sentence encoder on, and pairs of them in four grades of likeness.

Written for this project. Each row is a sentence, then four others: the same in other words; the
same but for details; and two that merely share its field. Pairing a sentence with one of another
row gives a fourth grade, nothing in common.
"""

from __future__ import annotations

__all__ = ["PAIRS", "SENTENCES", "Pair"]

Pair = tuple[str, str, int]
"""Two sentences and how alike they are, from 0 (nothing in common) to 3 (the same)."""

_ROWS = (
    (
        "A man is repairing a bicycle in his garage.",
        "In his garage, a man fixes a bike.",
        "A woman is repairing a bicycle in her garage.",
        "Someone is changing the oil of a car outside.",
        "The bicycle shop closes at six on Saturdays.",
    ),
    (
        "The river flooded the village after three days of rain.",
        "Three days of rainfall caused the river to flood the village.",
        "The river flooded two fields after a night of rain.",
        "A storm damaged several roofs near the coast.",
        "The weather office measures rainfall every hour.",
    ),
    (
        "She plays the violin in the city orchestra.",
        "She is a violinist in the orchestra of the city.",
        "She plays the cello in a school orchestra.",
        "He teaches piano to children on weekends.",
        "Tickets for the concert were sold out within a day.",
    ),
    (
        "The chef sliced the onions and fried them in butter.",
        "Onions were cut into slices by the chef and fried in butter.",
        "The chef chopped the carrots and boiled them in water.",
        "A cook is kneading dough for the bread.",
        "The restaurant received a second star this year.",
    ),
    (
        "Two dogs are running through the snow.",
        "A pair of dogs runs across the snow.",
        "Two dogs are sleeping in the snow.",
        "A cat is chasing a ball on the carpet.",
        "The shelter is looking for homes for twelve puppies.",
    ),
    (
        "The central bank raised interest rates by half a point.",
        "Interest rates were increased half a percentage point by the central bank.",
        "The central bank lowered interest rates by a quarter point.",
        "Share prices fell for the third day in a row.",
        "Many families have trouble saving money.",
    ),
    (
        "Astronomers discovered a planet that orbits two suns.",
        "A planet circling two stars has been found by astronomers.",
        "Astronomers discovered a comet that passes near the sun.",
        "A new telescope was carried into orbit last week.",
        "The children painted the solar system on the wall.",
    ),
    (
        "The train to the capital leaves at half past seven.",
        "At 7:30 the train departs for the capital.",
        "The bus to the capital leaves at half past nine.",
        "Our flight was delayed because of fog.",
        "Building the new railway will take ten years.",
    ),
    (
        "The doctor told him to drink more water and sleep longer.",
        "His physician advised him to get more sleep and to drink more water.",
        "The doctor told him to eat less salt and walk more.",
        "A nurse measured the patient's blood pressure.",
        "The hospital has opened a new wing.",
    ),
    (
        "Our team won the final with a goal in the last minute.",
        "A last-minute goal gave our team victory in the final.",
        "Our team lost the final by a goal in the first minute.",
        "The goalkeeper was injured during training.",
        "The stadium holds forty thousand people.",
    ),
    (
        "He forgot his umbrella on the train and got wet.",
        "Having left his umbrella in the train, he got soaked.",
        "He forgot his gloves on the bus and got cold hands.",
        "She lost her keys somewhere in the park.",
        "Umbrellas are sold next to the station.",
    ),
    (
        "The museum shows paintings from the seventeenth century.",
        "Seventeenth-century paintings are on display in the museum.",
        "The museum shows photographs from the twentieth century.",
        "An artist is drawing portraits in the square.",
        "The museum's roof needs to be repaired.",
    ),
    (
        "The program crashes when the input file is empty.",
        "An empty input file makes the program crash.",
        "The program hangs when the input file is very large.",
        "A bug in the driver causes the screen to flicker.",
        "The company hired four software developers.",
    ),
    (
        "Plant the tomatoes in a sunny place and water them daily.",
        "Tomatoes should be planted in the sun and watered every day.",
        "Plant the lettuce in a shady place and water it weekly.",
        "She is cutting back the roses before winter.",
        "Tomatoes were unusually expensive this summer.",
    ),
    (
        "The children built a castle of sand on the beach.",
        "On the beach, a sandcastle was built by the children.",
        "The children built a house of snow in the garden.",
        "A girl is collecting shells by the water.",
        "The beach will be closed for cleaning tomorrow.",
    ),
    (
        "Parliament passed a law that bans plastic bags.",
        "A law against plastic bags was approved by parliament.",
        "Parliament rejected a law that taxes plastic bottles.",
        "The mayor promised cleaner streets before the election.",
        "Plastic is made from oil.",
    ),
    (
        "She is reading a long novel about the sea.",
        "She reads a lengthy novel that is about the ocean.",
        "She is writing a short story about the mountains.",
        "He borrowed five books from the library.",
        "The publisher printed the book in three colours.",
    ),
    (
        "The bridge was closed to trucks because of cracks.",
        "Because cracks were found, trucks may not use the bridge.",
        "The tunnel was closed to cars because of smoke.",
        "Workers are paving the road to the harbour.",
        "Bridges of steel must be painted regularly.",
    ),
    (
        "He cannot come to the meeting on Monday.",
        "On Monday he is unable to attend the meeting.",
        "He cannot come to the party on Friday.",
        "The meeting was moved to a larger room.",
        "She wrote down what had been decided.",
    ),
    (
        "A young woman is dancing on the stage in a red dress.",
        "In a red dress, a young woman dances on stage.",
        "A young woman is singing on the stage in a blue coat.",
        "Several people are clapping at the end of the play.",
        "The theatre was founded by two brothers.",
    ),
    (
        "The new phone has a better camera and a larger battery.",
        "A bigger battery and an improved camera come with the new phone.",
        "The new phone has a brighter screen and less memory.",
        "My laptop needs four hours to charge.",
        "Most of the phones are assembled by hand.",
    ),
    (
        "The thief broke a window and stole a painting.",
        "After smashing a window, the thief took a painting.",
        "The thief picked a lock and stole a necklace.",
        "Police stopped a driver who had no licence.",
        "The court will hear the case in spring.",
    ),
    (
        "Bees need flowers from early spring to late autumn.",
        "From the beginning of spring until late in autumn, bees need flowers.",
        "Butterflies need flowers on warm days in summer.",
        "Swallows build their nests under the roof.",
        "Honey is sold at the market on Thursdays.",
    ),
    (
        "The teacher explained how volcanoes are formed.",
        "How volcanoes come into being was explained by the teacher.",
        "The teacher explained how glaciers move.",
        "The pupils wrote a test in mathematics.",
        "Ash from the volcano stopped all air traffic.",
    ),
    (
        "My grandmother grew up on a farm with forty cows.",
        "The farm on which my grandmother was raised had forty cows.",
        "My grandfather grew up on a farm with ten horses.",
        "Her parents moved to the city when she was small.",
        "Milk is delivered to the shop before dawn.",
    ),
    (
        "Please send me the signed contract by Friday.",
        "I need the signed contract from you no later than Friday.",
        "Please send me the unpaid bill by Tuesday.",
        "The lawyer found a mistake in the agreement.",
        "The office is on the second floor.",
    ),
    (
        "The climbers reached the summit shortly before sunset.",
        "Just before the sun went down, the climbers were on the summit.",
        "The climbers turned back shortly before the summit.",
        "A hiker lost his way in the forest.",
        "The mountain is covered with snow all year.",
    ),
    (
        "There is no evidence that the medicine helps against colds.",
        "That the medicine is effective against colds has not been shown.",
        "There is strong evidence that the vaccine helps against measles.",
        "Researchers tested the treatment on mice.",
        "The pharmacy opens at eight.",
    ),
    (
        "The price of coffee has doubled within a year.",
        "Within one year, coffee has become twice as expensive.",
        "The price of sugar has fallen within a month.",
        "Farmers complain about the cost of fertiliser.",
        "He drinks his coffee without milk.",
    ),
    (
        "A ship loaded with containers ran aground in the canal.",
        "In the canal, a container ship got stuck on the ground.",
        "A ferry loaded with passengers lost power in the harbour.",
        "Fishermen mend their nets on the pier.",
        "The canal was dug more than a century ago.",
    ),
)

_GRADES = (3, 2, 1, 1)  # of the sentences behind the first in a row

SENTENCES: tuple[str, ...] = tuple(sentence for row in _ROWS for sentence in row)
"""All sentences, each once."""

PAIRS: tuple[Pair, ...] = tuple(
    (row[0], other, grade)
    for i, row in enumerate(_ROWS)
    for other, grade in zip((*row[1:], _ROWS[(i + 7) % len(_ROWS)][2]), (*_GRADES, 0), strict=True)
)
"""Pairs with their grades: a row's first sentence with its others, and with one of another row."""
