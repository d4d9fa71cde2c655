"""What a method's pass had to offer, and how the baseline itself fared: what a reader needs
before a mark of the main table means anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from selfgen.evaluation.statistics import Difference
from selfgen.report.grid import NOT_RUN, Entry

if TYPE_CHECKING:
    import pandas

LITTLE = 0.05
"""A method that changes a smaller share of the context is plain training."""

MARK = "¶"

SHARES = ("changed_share", "right_drafts_share")
HEADERS = ("Context changed, %", "Drafts as the reference, %")

Doses = Mapping[str, tuple[float | None, float | None]]
"""By task: shares of 1 of the ``SHARES``; None where a method's pass is of another kind."""


def doses(runs: pandas.DataFrame, model: str, method: str) -> Doses:
    """Of a method: the mean of its seeds."""
    own = runs[(runs["model"] == model) & (runs["method"] == method)]
    means = own.groupby("task")[list(SHARES)].mean()
    return {
        str(task): (_known(changed), _known(right))
        for task, changed, right in means.itertuples()
    }


def _known(share: float) -> float | None:
    return None if math.isnan(share) else float(share)


def given(every: Iterable[Doses], which: int) -> bool:
    """Whether any method has one of the shares."""
    return any(share[which] is not None for dose in every for share in dose.values())


def box(dose: Doses, which: int, tasks: Sequence[str]) -> str:
    """One of the shares in percent, task by task; ``MARK`` where it is little."""
    shares = [dose.get(task, (None, None))[which] for task in tasks]
    if all(share is None for share in shares):
        return NOT_RUN
    return " / ".join(_percent(share, which) for share in shares)


def header(which: int, tasks: Sequence[str]) -> Entry:
    return Entry(HEADERS[which], below=" / ".join(tasks))


def _percent(share: float | None, which: int) -> str:
    if share is None:
        return NOT_RUN
    little = which == 0 and share < LITTLE
    return f"{100 * share:.1f}" + MARK * little


def notes(
    lines: Iterable[tuple[str, Doses]], tasks: Sequence[str], baseline: str
) -> list[str]:
    """What the shares mean; ``lines``: doses by the label of a method."""
    all_lines = list(lines)
    found = []
    if given((dose for _, dose in all_lines), 0):
        found.append(
            "Context changed: share of the tokens of a method's pass that are not the"
            " reference's."
        )
        little = [
            f"{label} on {task}"
            for label, dose in all_lines
            for task in tasks
            if (share := dose.get(task, (None, None))[0]) is not None and share < LITTLE
        ]
        if little:
            found[-1] += (
                f" {MARK}: under {100 * LITTLE:g}%, so it is no more than {baseline}:"
                f" {'; '.join(little)}."
            )
    if given((dose for _, dose in all_lines), 1):
        found.append(
            "Drafts as the reference: share of the drafts in training that are the reference,"
            " or end in its final answer; where several answers are right, more drafts are"
            " right than that."
        )
    return found


def damage(baseline: str, parent: str, fell: Mapping[str, Difference]) -> list[str]:
    """Where the baseline lies below the method that it started from; ``fell``: by column."""
    where = "; ".join(
        f"{column} {100 * x.value:+.1f} [{100 * x.low:+.1f}, {100 * x.high:+.1f}]"
        for column, x in fell.items()
    )
    return [
        f"{baseline} fell below {parent}, from which it started: {where}. There a mark"
        f" against {baseline} says that damage was avoided, not that anything was gained."
    ]
