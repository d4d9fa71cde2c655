"""Steps that a checker judges after whatever stands before them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfgen.evaluation.statistics import divided
from selfgen.measures.base import Line, Measure, Row, Sums, quotient

GROUP = "checked steps"


def _side(row: Row, side: str) -> list[float] | None:
    """1 where a step is wrong, as far as the reference has steps."""
    found: Sequence[str] | None = row.get(f"steps_{side}")
    if found is None:
        return None
    return [float(bool(wrong)) for wrong in found[: row["steps_due"]]]


def _sums(row: Row) -> list[float] | None:
    """A prompt's shares of wrong steps, as in the table of steps of a run."""
    free, forced = _side(row, "free"), _side(row, "forced")
    if not free or not forced:
        return None
    return [sum(free) / len(free), sum(forced) / len(forced), 1.0]


def _excess(sums: Sums) -> np.ndarray:
    return divided(sums[:, 0] - sums[:, 1], sums[:, 2])


JUDGED = "It says nothing of errors that no rule can judge."


def _error(side: int, name: str, words: str, read: str) -> Measure:
    def adds(row: Row) -> list[float] | None:
        found = _sums(row)
        return None if found is None else [found[side], found[2]]

    return Measure(
        GROUP,
        f"steps_{name}",
        f"steps that are wrong, {words}",
        "%",
        "ours",
        JUDGED,
        adds,
        quotient,
        share=True,
        needs="checker",
        scale=100,
        digits=1,
        definition=f"Of a prompt the share of wrong steps among {read}, as far as the"
        " reference has steps; the mean over prompts.",
    )


MEASURES = (
    _error(
        0,
        "free",
        "after its own",
        "those of its greedy answer, each judged after what really stands before it",
    ),
    _error(
        1,
        "forced",
        "after the reference's",
        "those that the model writes, greedily, after the reference's steps before each",
    ),
    Measure(
        GROUP,
        "steps_excess",
        "excess: after its own minus after the reference's",
        "points",
        "ours",
        f"{JUDGED} A model that is wrong everywhere has none.",
        _sums,
        _excess,
        needs="checker",
        scale=100,
        digits=1,
        definition="The first share of wrong steps minus the second, on the same prompts.",
    ),
)

LINES = (
    Line("after its own", lambda row: _side(row, "free")),
    Line("after the reference's", lambda row: _side(row, "forced")),
)
"""Shares of steps that are wrong, by place."""
