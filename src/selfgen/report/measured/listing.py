"""The table of all measures in the documentation, from their registry."""

from __future__ import annotations

from selfgen.core.errors import UserError
from selfgen.measures.registry import MEASURES
from selfgen.report.grid import NOT_RUN, Grid, to_markdown

START, END = "<!-- measures -->\n", "<!-- /measures -->\n"
"""What the table stands between."""


def listed(page: str) -> str:
    """A page with today's table.

    Raises UserError: it has no place for one.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise UserError(
            f"measures: found no {START.strip()} and {END.strip()} in the page"
        )
    return f"{before}{START}\n{_table()}\n{END}{after}"


def _table() -> str:
    header = ["Group", "Measure", "Unit", "Needs", "Source", "Definition", "Limits"]
    rows = [
        [
            measure.group,
            measure.title,
            measure.unit,
            measure.needs or NOT_RUN,
            measure.source or NOT_RUN,
            measure.definition,
            measure.cannot,
        ]
        for measure in MEASURES
    ]
    return to_markdown(Grid("measures", "All measures", header, rows, left=len(header)))
