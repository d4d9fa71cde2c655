"""A measurement as one page of HTML, which asks for no other file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from selfgen.core.hashing import unit
from selfgen.core.text import shown
from selfgen.data.checked import steps_of
from selfgen.measures.base import Row
from selfgen.report import style
from selfgen.report.grid import to_markdown
from selfgen.report.html import differences
from selfgen.report.html.page import rendered, source, table
from selfgen.report.measured import figures, tables, words
from selfgen.tasks import DATASETS

if TYPE_CHECKING:
    from selfgen.report.measured.found import Found

SHOWN = 12
"""Prompts that stand side by side."""

ABOUT = {
    "steps": "A checker judges each step after what really stands before it.",
    "agreement": "Where the model's choice is not the reference's token. Answers in other"
    " words count as wrong.",
    "oracle": "How far the model's next-token distribution is from the oracle's, where"
    " answer and reference both go as far.",
    "planted": "What the reference's next tokens cost more after some tokens before them were"
    " replaced: a model that recovers comes back to 0.",
    "planted-oracle": "How much farther from the oracle the model is then. Where that is 0"
    " and the cost is not, the oracle pays as much.",
    "planted-steps": "What a checker finds wrong when the model goes on by itself, after a"
    " wrong step of the reference's and after the right one.",
    "entropy": "How unsure the model is of its next token.",
    "accumulated": "The errors of the places up to one, summed: how fast they add up after"
    " own tokens (R), and after the reference's (G). Of answers as they end.",
    "differences": "The first model against each other: a measure's difference over half of"
    " its interval, to the right where the first one is better. Outside the grey band the"
    " interval excludes 0; grey dots there are of two seeds, which claim nothing; arrows lie"
    " farther out.",
}


@dataclass(frozen=True)
class Sample:
    """A prompt, its reference, and each model's greedy answer."""

    id: str
    prompt: str
    reference: str
    answers: tuple[tuple[str, Markup], ...]


def html(found: Found) -> str:
    """The whole page."""
    drawn = [
        (name, about, figure)
        for name, about in ABOUT.items()
        if (figure := figures.draw(found, name)) is not None
    ]
    measures = {n.measure.name: n.measure for n in found.numbers}.values()
    return rendered(
        Path(__file__).with_name("page.html.j2"),
        found=found,
        bugs=words.bugs(found),
        answers=words.answers(found),
        figures=[
            (name, source(style.render(figure, "svg")), about)
            for name, about, figure in drawn
        ],
        table=table(to_markdown(tables.grid(found))),
        measures=measures,
        samples=_samples(found),
    )


def _samples(found: Found) -> list[Sample]:
    """The prompts with the lowest hash of their id, so nobody picked them."""
    first = next(iter(found.rows[found.first].values()))
    ids = sorted(first, key=lambda i: (unit(i, "shown"), i))[:SHOWN]
    samples = []
    for i in ids:
        answers = []
        for name, rows in found.rows.items():
            row = next(iter(rows.values())).get(i)
            if row is not None:
                answers.append((name, _answer(row, found.about.get("task", ""))))
        row = first[i]
        samples.append(
            Sample(i, shown(row["prompt"]), shown(row["reference"]), tuple(answers))
        )
    return samples


def _answer(row: Row, task: str) -> Markup:
    wrong = row.get("steps_free")
    checker = DATASETS[task].checker if task in DATASETS else None
    if wrong is None or checker is None:
        return differences.against(row["answer"], row["reference"])
    steps = steps_of(row["answer"], checker.delimiters, row["answer_ended"])
    return differences.stepped([step.text for step in steps], wrong)
