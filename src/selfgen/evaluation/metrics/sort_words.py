"""Is every step of an answer to ``sort-words`` right?"""

from __future__ import annotations

from selfgen.evaluation.checked import whole
from selfgen.tasks.sort_words import CHECKER

METRIC = whole(CHECKER)
