"""``extraction``: the symbols of a list that are to be kept, made by rule."""

from __future__ import annotations

from selfgen.data.extraction import MEANINGS, extraction
from selfgen.data.procedural import by_rule, made_by_rule

load = by_rule(lambda stream, _: extraction(stream))

DATASET = made_by_rule(load, MEANINGS)
