"""``group-words``: words of two kinds, made by rule, to be sorted by kind: first the animals,
then the foods, any order within a kind.
"""

from __future__ import annotations

import random

from selfgen.data.checked import by_rule
from selfgen.data.dataset import DataSet
from selfgen.data.sorting import Sorted
from selfgen.data.words import ANIMALS, FOODS

LEAST, MOST = 7, 10
"""Words of a kind in a prompt; each number is as frequent as the others."""


def make(stream: random.Random) -> tuple[str, str]:
    """One record. The reference has the words of a kind in random order."""
    kinds = [
        stream.sample(kind, stream.randint(LEAST, MOST)) for kind in (ANIMALS, FOODS)
    ]
    order = [word for kind in kinds for word in kind]
    return ", ".join(stream.sample(order, len(order))), ", ".join(order)


CHECKER = Sorted(lambda word: word in FOODS)

load = by_rule(make, version=1)

DATASET = DataSet(
    load,
    {},
    template="First the animals, then the foods: {prompt}",
    metrics=("group-words",),
    shared_templates=("validation", "test"),
    checker=CHECKER,
)
