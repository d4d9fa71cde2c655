"""Common words by kind, for data sets that are made by rule. No word is of two kinds."""

from __future__ import annotations

_ANIMALS = (
    "ant bear bee camel cat cow deer dog duck eagle fox frog goat goose horse lion monkey"
    " mouse owl pig rabbit seal shark sheep snake spider tiger turtle whale wolf"
)
_COUNTRIES = (
    "Austria Brazil Canada Chile China Cuba Egypt France Ghana Greece Haiti India Iran Iraq"
    " Ireland Italy Japan Kenya Malta Mexico Nepal Norway Peru Poland Qatar Russia Spain"
    " Sweden Syria Turkey"
)
_FOODS = (
    "apple bacon bread butter cake carrot cheese cherry coffee egg garlic grape honey lemon"
    " mango milk onion peach pear pepper pizza plum potato rice salad salt soup sugar tea"
    " tomato"
)
_THINGS = (
    "basket blanket bottle bridge button candle castle chair circle cloud corner desert"
    " engine family flower forest garden guitar hammer harbor hotel iron island jacket"
    " kitchen ladder lamp letter market metal mirror moment mountain needle ocean palace"
    " paper pencil pocket queen river rocket school shadow silver stone summer table ticket"
    " tunnel umbrella uncle valley village violin window winter"
)

ANIMALS = _ANIMALS.split()
COUNTRIES = _COUNTRIES.split()
FOODS = _FOODS.split()
THINGS = _THINGS.split()

KINDS = {"animals": ANIMALS, "countries": COUNTRIES, "foods": FOODS}
"""By the name of the kind."""
