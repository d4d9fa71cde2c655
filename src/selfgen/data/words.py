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
    "bag ball band bank basket bath bean bed bell belt blanket boat bone book boot bottle"
    " bowl box branch brick bridge brush bucket bus button cage camera can candle cap card"
    " carpet cart castle chain chair chalk circle clock cloud coat coin comb cord corner"
    " cup curtain desert desk diamond dish dock doll door dress drum dust engine family"
    " fan farm feather fence field finger fire flag floor flower forest fork frame garden"
    " gate gift glass globe glove gold grass ground guitar gum hair hall hammer hand"
    " harbor hat heart hill hole home hook hose hotel house iron island jacket kitchen"
    " ladder lake lamp leaf leather leg letter lid light line lock log machine magnet map"
    " marble market mask medal metal mill mint mirror moment mountain mud museum needle"
    " ocean palace pan paper park path pen pencil piano picture pin pipe plane plate"
    " pocket pool post pot queen radio rail rain ring river road robot rock rocket roof"
    " room root rope rug saddle sail sand saw school screen shadow shelf ship shirt shoe"
    " silver sink sky soap sock spoon star stick stone stove summer sun table tail tank"
    " tape tent thread ticket tin tire toe tool tooth towel tower toy track train tree"
    " truck tunnel umbrella uncle valley village violin wagon wall watch water wave wheel"
    " window wing winter wire wood wool"
)

ANIMALS = _ANIMALS.split()
FOODS = _FOODS.split()
THINGS = _THINGS.split()
