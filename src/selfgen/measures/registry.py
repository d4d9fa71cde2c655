"""All measures in the order that people read them, and the lines of figures."""

from __future__ import annotations

from selfgen.measures import (
    agreement,
    confidence,
    degeneration,
    distribution,
    oracle,
    planted,
    planted_steps,
    steps,
)
from selfgen.measures.base import Line, Measure
from selfgen.measures.spec import LENGTH


def measures(length: int) -> tuple[Measure, ...]:
    """All of them; errors against an oracle are summed up to step ``length``. Not all apply
    to every model: ``base.interval`` gives None where no prompt has a part."""
    return (
        *steps.MEASURES,
        *agreement.MEASURES,
        *oracle.accumulated(length),
        *oracle.MEASURES,
        *planted.MEASURES,
        *planted_steps.MEASURES,
        *confidence.MEASURES,
        *degeneration.MEASURES,
        *distribution.MEASURES,
    )


MEASURES = measures(LENGTH)


def _planted_kl(kind: str, what: str) -> Line:
    return Line(what, lambda row: row.get(f"planted_kl_{kind}"))


PLACES: dict[str, tuple[str, str, tuple[Line, ...]]] = {
    "steps": ("Wrong steps, by place in the answer", "share", steps.LINES),
    "agreement": ("Not the reference's token, by position", "share", agreement.LINES),
    "oracle": ("KL(oracle || model), by position", "nats", oracle.LINES),
    "planted": ("Cost that planted errors add, by lag", "nats", planted.LINES),
    "planted-oracle": (
        "Error against the oracle that planted errors add, by lag",
        "nats",
        tuple(_planted_kl(kind, what) for kind, what in planted.KINDS.items()),
    ),
    "planted-steps": ("Wrong steps after a planted one", "share", planted_steps.LINES),
    "entropy": ("Entropy of the next token, by position", "nats", confidence.LINES),
}
"""Figures: what they show, the unit, and their lines."""
