"""Measures as tables: a line each, a column a model, and differences to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfgen.measures.base import Measure
from selfgen.report.grid import NOT_RUN, Box, Entry, Grid, arrow, to_markdown
from selfgen.report.latex import to_latex
from selfgen.report.measured import words

if TYPE_CHECKING:
    from selfgen.report.measured.found import Found, Number


def grid(found: Found) -> Grid:
    """All measures that apply."""
    models = list(found.rows)
    by_key = {(n.measure.name, n.model): n for n in found.numbers}
    measures = {n.measure.name: n.measure for n in found.numbers}
    prompts = max((n.value.n for n in found.numbers), default=0)
    rows: list[list[Box]] = []
    rules = []
    group = ""
    for measure in measures.values():
        if measure.group != group:
            group = measure.group
            rules.append(len(rows))
        fewer = min(n.value.n for n in found.numbers if n.measure is measure)
        only = f" ({fewer} prompts)" if fewer < prompts else ""
        line: list[Box] = [measure.group, measure.title + only, measure.unit]
        line += [_value(by_key.get((measure.name, name))) for name in models]
        line += [_gap(by_key.get((measure.name, name))) for name in models[1:]]
        rows.append(line)
    header = ["Group", "Measure", "Unit", *models]
    header += [f"{models[0]} minus {name}" for name in models[1:]]
    seeds = max((n.value.seeds for n in found.numbers), default=0)
    notes = [
        f"{prompts} prompts, {seeds} {'seed' if seeds == 1 else 'seeds'}. Brackets:"
        f" {100 * found.confidence:.0f} % intervals over prompts"
        + (" and seeds." if seeds > 1 else ", of this one model."),
    ]
    if seeds == 2:
        notes.append("Two seeds are too few to say how much seeds differ: no mark.")
    if len(models) > 1:
        notes.append(
            "▲ (▼): better (worse) than the other model on the same prompts: the interval of"
            " the paired difference excludes 0; not corrected for the number of measures."
        )
    title = "What was measured"
    return Grid(
        "measure", title, header, rows, notes, left=3, rules=frozenset(rules[1:])
    )


def _value(number: Number | None) -> Box:
    if number is None:
        return NOT_RUN
    text, _, below = words.shown(number.value, number.measure).partition(" ")
    return Entry(text, below=below)


def _gap(number: Number | None) -> Box:
    if number is None or number.difference is None:
        return NOT_RUN
    gap, measure = number.difference, number.measure
    text, _, below = words.shown(gap, measure, sign=True).partition(" ")
    return Entry(text, _mark(number), below)


def _mark(number: Number) -> str:
    gap, better = number.difference, number.measure.better
    return "" if gap is None else arrow(better * gap.sign, False)


def markdown(found: Found, table: Grid) -> str:
    """The page as Markdown: what was found, checks, the table, what no number shows."""
    lines = ["# Exposure bias of " + ", ".join(found.rows), ""]
    lines += [f"- {text}" for text in words.answers(found)]
    if found.checks:
        lines += ["", "## Looked at first", ""]
    for name, checks in found.checks.items():
        for check in checks:
            verdict = "fine" if check.ok else "**wrong**"
            lines.append(f"- {name}: {check.name}: {verdict}: {check.found}")
    lines += ["", to_markdown(table), "## What they are, and cannot show", ""]
    lines += [f"- {m.title}: {m.definition} {m.cannot}" for m in _measures(found)]
    lines += ["", "## Read with", ""]
    lines += [f"- {name}: {value}" for name, value in found.about.items()]
    return "\n".join(lines) + "\n"


def latex(table: Grid) -> str:
    return to_latex(table)


def _measures(found: Found) -> list[Measure]:
    return list({n.measure.name: n.measure for n in found.numbers}.values())
