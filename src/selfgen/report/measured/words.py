"""What a measurement found, in words that follow from the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from selfgen.evaluation.statistics import Interval
from selfgen.measures.base import Line, Measure, Row, fewest, interval, quotient
from selfgen.measures.planted import LAGS, WINDOW
from selfgen.measures.registry import PLACES
from selfgen.report.grid import NOT_RUN

if TYPE_CHECKING:
    from selfgen.report.measured.found import Found, Number

BIAS = ("steps_excess", "gap_free", "excess")
"""Measures of exposure bias, the most exact one first. Not of them: ``gap_fixed``, whose
answers go on where the model would have ended, which is no bias of the model."""

WORDING = "excess"
"""The one that cannot tell exposure bias from another wording that is as good."""

CURVES = {"steps_excess": "steps", "gap_free": "oracle", "excess": "agreement"}

IN_A_ROW = 3
"""Places that must differ, one after the other, for a beginning."""

PLACES_READ = 64

ROOM = 0.5
"""A share of wrong steps above which there is little room for more."""


def shown(value: Interval | None, measure: Measure, sign: bool = False) -> str:
    """A number with its interval, as people read it."""
    if value is None:
        return NOT_RUN
    form = f"{{:{'+' if sign else ''}.{measure.digits}f}}"
    number, low, high = (
        form.format(x * measure.scale) for x in (value.value, value.low, value.high)
    )
    if low == high or math.isnan(value.low):
        return number
    return f"{number} [{low}, {high}]"


def main(found: Found) -> Number | None:
    """The most exact number that was read of exposure bias."""
    return next(filter(None, (found.number(name) for name in BIAS)), None)


def lines(found: Found) -> list[str]:
    """Sentences: bugs, whether there is exposure bias, from where on, whether the model
    recovers, and the difference to each other model."""
    return [*bugs(found), *answers(found)]


def bugs(found: Found) -> list[str]:
    """What must be mended before any number is believed."""
    return [
        f"{name}: {check.found}"
        for name, checks in found.checks.items()
        for check in checks
        if not check.ok
    ]


def answers(found: Found) -> list[str]:
    """The four questions that the page answers."""
    said = []
    number = main(found)
    if number is not None:
        said.append(_bias(found, number))
        if number.value.sign > 0 and (start := _start(found, number.measure.name)):
            said.append(start)
    said += _recovery(found)
    said += _others(found)
    return said


def _bias(found: Found, number: Number) -> str:
    name, value, measure = found.first, number.value, number.measure
    numbers = f"{measure.title}: {shown(value, measure, sign=True)} {measure.unit}"
    if math.isnan(value.low):
        return f"{name}: one prompt says nothing about others ({numbers})"
    if measure.name == WORDING:
        return (
            f"{name}'s answers leave the reference ({numbers}): another wording and exposure"
            f" bias look alike here; {_cure(found)}"
        )
    verdict = {1: "has exposure bias", -1: "does better after its own tokens"}.get(
        value.sign, "is not shown to have exposure bias"
    )
    return f"{name} {verdict} ({numbers}{_unclaimed(value)})"


def _unclaimed(value: Interval) -> str:
    """Why an interval that excludes 0 shows nothing, behind the number."""
    if value.seeds == 2:
        return "; two seeds are too few for a claim"
    return "; all prompts have one value, so nothing is tested" if value.equal else ""


def _cure(found: Found) -> str:
    """What would tell exposure bias from another wording."""
    rows = found.rows[found.first].values()
    if not any(row.get("gold_kl") for by_id in rows for row in by_id.values()):
        return "a checked task (--task) or an oracle (--oracle) tells them apart"
    return (
        f"the oracle cannot tell them apart, since R and G sum {found.length} steps, and of"
        " fewer than a quarter of the prompts (and two) answer and reference have as many"
        " tokens: sum fewer (--length, or evaluation.oracle.lengths)"
    )


def _start(found: Found, measure: str) -> str:
    """The first of some places in a row where own contexts are worse than the reference's."""
    _, _, (own, reference) = PLACES[CURVES[measure]]
    rows = found.rows[found.first]
    worse: list[bool] = []
    for place in range(PLACES_READ):
        gap = interval(_gap(own, reference, place), rows, found.confidence)
        if gap is None or gap.n < fewest(rows):
            break
        # Also where all prompts are alike: the excess of all places was tested before.
        worse.append(gap.low > 0)
        if len(worse) >= IN_A_ROW and all(worse[-IN_A_ROW:]):
            kind = "step" if measure == "steps_excess" else "token"
            return (
                f"It begins at {kind} {place - IN_A_ROW + 2}, the first of {IN_A_ROW} in a"
                " row where own context is worse, by intervals that exclude 0"
            )
    return ""


def _gap(own: Line, reference: Line, place: int) -> Measure:
    """The difference of two lines at one place."""

    def adds(row: Row) -> Sequence[float] | None:
        a, b = own.values(row), reference.values(row)
        if a is None or b is None or place >= min(len(a), len(b)):
            return None
        return [float(a[place]) - float(b[place]), 1.0]

    return Measure("", "", "", "", "", "", adds, quotient)


def _recovery(found: Found) -> Iterator[str]:
    effect = found.number("planted_own")
    if effect is None:
        return
    value = effect.value
    more = shown(value, effect.measure)
    planted = "its own likeliest other tokens in the place of some of the reference's"
    if value.sign <= 0:
        yield (
            f"After {planted}, the next ones are not shown to cost it more ({more} nats each,"
            f" {value.n} prompts{_unclaimed(value)})"
        )
        return
    left = found.number("planted_own_recovered")
    half = found.number("planted_own_half_life")
    words = (
        f"After {planted}, the next {WINDOW} cost it {more} nats more each, on average"
        f" ({value.n} prompts)"
    )
    if left is not None:
        gone = shown(left.value, left.measure)
        words += (
            f"; where {LAGS} follow, {gone} % of it is gone at tokens {LAGS - WINDOW + 1} to"
            f" {LAGS} ({left.value.n} prompts)"
        )
    if half is not None and half.value.value > 0:  # else the line before says it
        words += f"; half-life {shown(half.value, half.measure)} tokens"
    yield words


def _no_room(found: Found, name: str) -> str:
    """Why the excess of two models does not compare: where one errs after most steps of the
    reference, no context is much worse."""
    if (own := main(found)) is None or own.measure.name != "steps_excess":
        return ""
    for one in (found.first, name):
        forced = found.number("steps_forced", one)
        if forced is not None and forced.value.value > ROOM:
            return (
                f"{found.first} and {name} do not compare in exposure bias: {one} errs after"
                f" the reference's steps in {shown(forced.value, forced.measure)} %, which"
                " leaves little room to be worse after its own"
            )
    return ""


def _others(found: Found) -> Iterator[str]:
    number = main(found)
    if number is not None and number.measure.name == WORDING:
        return
    for name in list(found.rows)[1:]:
        other = number and found.number(number.measure.name, name)
        if not other or other.difference is None:
            continue
        gap, measure = other.difference, other.measure
        if said := _no_room(found, name):
            yield said
            continue
        verdict = {1: "has more", -1: "has less"}.get(
            gap.sign, "is not shown to have more or less"
        )
        yield (
            f"{found.first} {verdict} exposure bias than {name}"
            f" ({shown(gap, measure, sign=True)} {measure.unit}{_unclaimed(gap)})"
        )
