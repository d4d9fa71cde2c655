"""Is every step of an answer to ``group-words`` right?"""

from __future__ import annotations

from selfgen.evaluation.checked import whole
from selfgen.tasks.group_words import CHECKER

METRIC = whole(CHECKER)
