"""The page: tables that are sorted by a click, figures, samples, and where all is from."""

from __future__ import annotations

import base64
import importlib.resources
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt

from selfgen.report.html.samples import BEST, BETTER, WORSE, Sample
from selfgen.report.html.words import Finding


@dataclass(frozen=True)
class Section:
    """A part of the page, and the names of the tables and figures in it."""

    id: str
    title: str
    tables: Sequence[str]
    figures: Sequence[str] = ()


SECTIONS = (
    Section("scores", "Scores", ["main"], ["main"]),
    Section("declared", "Declared comparisons", ["claims"]),
    Section(
        "exposure-bias",
        "Exposure bias",
        ["steps", "lengths", "exposure"],
        ["step-errors"],
    ),
    Section(
        "ablations",
        "Ablations and training",
        ["controls", "online", "corrections", "preference", "tuning"],
        ["curves"],
    ),
    Section("costs", "Costs", ["cost"]),
)
"""In the order of the page; samples follow the first, all other tables the last."""

TITLES = {
    "main": "Scores",
    "claims": "Declared comparisons",
    "steps": "Errors of checked steps",
    "lengths": "Checked answers by their length",
    "exposure": "Exposure bias against an oracle",
    "tuning": "Learning rates, chosen on validation",
    "controls": "Methods that differ in one thing",
    "corrections": "Corrections",
    "online": "Drawn before or while training",
    "preference": "Preference stage",
    "details": "All measures",
    "cost": "Time, speed and memory",
    "verify": "Held against known numbers",
}

WORDS = (
    "BASH, Batch-Scheduled Sampling: some tokens of the context are the model's own, and"
    " the labels stay the reference's. RAC, Reference-Answer-based Correction: the model"
    " learns to turn its own draft into the reference. Excess: errors after own steps minus"
    " errors after the reference's, which is exposure bias. Items only: one seed or two, so"
    " the interval covers other items and no other trainings. Floor, ceiling: all methods"
    " are below 10 % or above 90 %, so nothing is ranked."
)
"""What a reader has to know of the findings' words."""

STANDINGS = {
    BEST: "Best",
    BETTER: "Better than the baseline",
    WORSE: "Worse than the baseline",
}
"""What samples are chosen by, beside the task."""

_HEAD = re.compile(r"<table>(.*?</thead>)", re.DOTALL)
_TITLE = re.compile(r"<th[^>]*>(.*?)</th>")
_CELL = re.compile(r"<td([^>]*)>((?:<strong>)?)([−-]?\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Page:
    """What the page shows. ``tables``: Markdown by name; ``figures``: SVG by name, each with
    what it shows; ``made``: lines about commands, digests, versions, data and licences."""

    scale: str
    question: str
    findings: Sequence[Finding]
    tables: Mapping[str, str]
    figures: Mapping[str, tuple[bytes, str]]
    samples: Mapping[str, Sequence[Sample]]
    made: Sequence[tuple[str, Sequence[str]]]

    def html(self) -> str:
        """One file, which asks for no other."""
        placed = [name for section in SECTIONS for name in section.tables]
        drawn = [name for section in SECTIONS for name in section.figures]
        rest = Section(
            "tables",
            "More tables",
            [name for name in self.tables if name not in placed],
            [name for name in self.figures if name not in drawn],
        )
        sections = [
            (section, self._tables(section.tables), self._figures(section.figures))
            for section in (*SECTIONS, rest)
        ]
        shown = [one for part in self.samples.values() for one in part]
        names = dict.fromkeys(a.name for one in shown for a in one.answers)
        found = {standing for one in shown for standing in one.standings}
        choices = {
            title: [(value, n) for n in names if (value := f"{word} {n}") in found]
            for word, title in STANDINGS.items()
        }
        return rendered(
            Path(__file__).with_name("page.html.j2"),
            page=self,
            words=WORDS,
            sections=[(s, t, f) for s, t, f in sections if t or f],
            choices={title: named for title, named in choices.items() if named},
        )

    def _tables(self, names: Sequence[str]) -> list[tuple[str, str, str]]:
        """Name, title and HTML of those that the run has."""
        return [
            (name, TITLES.get(name, name), table(self.tables[name]))
            for name in names
            if name in self.tables
        ]

    def _figures(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Source and what is shown, of those that the run has."""
        found = [self.figures[name] for name in names if name in self.figures]
        return [(source(svg), about) for svg, about in found]


def rendered(template: Path, **values: Any) -> str:
    """A page of one file; ``template`` fills the blocks of ``base.html.j2``."""
    folders = [template.parent, Path(__file__).parent]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = _bundle("dt_bundle.js"), _bundle_text("dt_bundle.css")
    return environment.get_template(template.name).render(
        **values, script=script, style=style
    )


def table(markdown: str) -> str:
    """A table's page as HTML; numbers in cells are sorted by themselves, without their
    intervals and signs."""
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)

    def ordered(found: re.Match[str]) -> str:
        number = found[3].replace("−", "-")
        return f'<td{found[1]} data-order="{number}">{found[2]}{found[3]}'

    html = _CELL.sub(ordered, html)
    html = _HEAD.sub(_opened, html)
    return html.replace("</table>", "</table></div>")


def _opened(head: re.Match[str]) -> str:
    """The head of a table in a box that scrolls, in which the first column stays in sight
    and beside it the one that says what a row is of."""
    titles = _TITLE.findall(head[1])
    named = next((name for name in ("Method", "Measure") if name in titles[1:]), None)
    stays = f" stays-{titles.index(named) + 1}" if named else ""
    return f'<div class="wide{stays}"><table class="sorted">{head[1]}'


def source(svg: bytes) -> str:
    """A figure as the address of an image."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _bundle_text(name: str) -> str:
    """A part of itables' offline bundle of DataTables."""
    return (importlib.resources.files("itables") / "html" / name).read_text("utf-8")


def _bundle(name: str) -> str:
    return base64.b64encode(_bundle_text(name).encode()).decode()
