"""What a table says of the judge whose replies it shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from selfgen.report.grid import Entry

UNPARSABLE_LIMIT = 0.05
"""Share of a judge's replies; where more say nothing, the cell says so."""

LIMIT_NOTE = (
    f"Where more than {100 * UNPARSABLE_LIMIT:g} % are unparsable, the cell says so and bears"
    " no mark."
)


def doubted(entry: Entry, unparsable: float) -> Entry:
    """A number from a judge's replies, of which the share ``unparsable`` says nothing: above
    the limit the cell says so, and bears no mark."""
    if unparsable <= UNPARSABLE_LIMIT:
        return entry
    said = f"{100 * unparsable:.1f} % unparsable"
    below = f"{entry.below}; {said}" if entry.below else said
    return replace(entry, mark="", below=below)


def other_models(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """A note that names the models that replied and are not the one that was asked, as
    rows say with ``by``; none where there are none."""
    names = dict.fromkeys(name for row in rows if (name := row.get("by")))
    if not names:
        return []
    return [f"Replies are by {', '.join(names)}, and not by the model that was asked."]
