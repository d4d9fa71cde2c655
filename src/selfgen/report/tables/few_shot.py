"""Problems after some solved ones: strict and flexible accuracy."""

from __future__ import annotations

from collections.abc import Sequence

from selfgen.report.grid import Entry, bracketed, numbers
from selfgen.report.registry import Drawn, Rows, Table, by_method, rows
from selfgen.report.spec import TableSpec
from selfgen.report.tables._benchmarks import drawn, interval

FEW_SHOT = {
    "gsm8k": (
        "GSM8K, 5 shots.",
        "Strict: the number after '####'. Flexible: the last number.",
    ),
    "minerva-math": (
        "MATH, 4 shots.",
        "Strict: what follows 'Final Answer: The final answer is'. Flexible: the last box,"
        " formula or number.",
    ),
}
"""Titles and readings of an answer, by the name of the table."""


def draw(grades: Sequence[Rows], spec: TableSpec[None]) -> Drawn:
    """Accuracy on problems that are asked after some solved ones.

    From rows ``{id, strict, flexible}`` of each cell."""
    shown, lines = {}, []
    for key, by_seed in by_method(spec, grades).items():
        n = len(next(iter(by_seed.values())))
        found = [interval(by_seed, x, spec, key) for x in ("strict", "flexible")]
        lines.append([n, len(by_seed), *(x for part in found for x in numbers(part))])
        shown[key] = [
            *(bracketed(part, 2) for part in found),
            *map(Entry, (str(n), str(len(by_seed)))),
        ]
    title, readings = FEW_SHOT[spec.name]
    return drawn(
        spec,
        title,
        ("Strict, %", "Flexible, %", "n", "Seeds"),
        shown,
        f"{readings} Few-shot prompts of lm-evaluation-harness.",
        (
            *("n", "seeds", "strict", "strict_low", "strict_high"),
            *("flexible", "flexible_low", "flexible_high"),
        ),
        lines,
    )


TABLE = Table(draw, {"grades": rows})
