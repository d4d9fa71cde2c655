"""Of which columns of a user's own rows a record is made."""

from __future__ import annotations

import re
from dataclasses import dataclass

ASKED = re.compile(r"\{([^{}]+)\}")
"""A column in a template."""


@dataclass(frozen=True)
class Columns:
    """``prompt``, ``reference``: a column, or a template of columns in braces; one within
    another by a dotted path. ``messages``: the column of a dialogue, in their place. ``id``:
    the column of the id; a hash of the record without.
    """

    prompt: str = ""
    reference: str = ""
    messages: str = ""
    id: str = ""
