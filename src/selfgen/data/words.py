"""Common words by kind, for data sets that are made by rule. No word is of two kinds."""

from __future__ import annotations

_ANIMALS = (
    "ant bear bee camel cat cow deer dog duck eagle fox frog goat goose horse lion monkey"
    " mouse owl pig rabbit seal shark sheep snake spider tiger turtle whale wolf"
)
_FOODS = (
    "apple bacon bread butter cake carrot cheese cherry coffee egg garlic grape honey lemon"
    " mango milk onion peach pear pepper pizza plum potato rice salad salt soup sugar tea"
    " tomato"
)
_THINGS = (
    "bag ball band bank basket bath bean bed bell belt blanket boat bone book boot"
    " bottle bowl box branch brick bridge brush bucket bus button cage camera can candle"
    " cap card carpet cart castle chain chair chalk circle clock cloud coat coin comb"
    " cord corner cup curtain machine magnet map marble market mask medal metal mill"
    " mint mirror moment mountain mud museum palace pan paper park path pen pencil piano"
    " picture pin pipe plane plate pocket pool post pot saddle sail sand saw school"
    " screen shadow shelf ship shirt shoe silver sink sky soap sock spoon star stick"
    " stone stove summer sun table tail tank tape tent thread ticket tin tire toe tool"
    " tooth towel tower toy track train tree truck tunnel"
)

ANIMALS = _ANIMALS.split()
FOODS = _FOODS.split()
THINGS = _THINGS.split()
