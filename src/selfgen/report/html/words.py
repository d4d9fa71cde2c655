"""What was found, in the words of the verdicts: from the tables, by rule."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from selfgen.core.names import row_name
from selfgen.report.synthetic.tables import HIGHER_IS_BETTER, TITLES
from selfgen.report.tables.claims import EXCESS
from selfgen.report.tables.details import title

ORDER = (
    *("better", "worse", "better, items only", "worse, items only"),
    *("no difference shown", "no dose", "floor", "ceiling", "not run"),
)
"""Verdicts, those that say most first; what they mean: docs/statistics.md."""

LEAST_SEEDS = 3


@dataclass(frozen=True)
class Finding:
    """A comparison and its verdict, as a reader is told of it."""

    verdict: str
    what: str
    numbers: str


def findings(
    tables: Path, labels: Mapping[str, str], confidence: float
) -> list[Finding]:
    """Of the declared comparisons: of the table ``claims``, or else of ``main``."""
    claims = tables / "claims.csv"
    if claims.is_file():
        lines = [(line, line["verdict"]) for line in _read(claims)]
    else:
        asked = (line for line in _read(tables / "main.csv") if line["primary"] == "1")
        lines = [(line, _verdict(line, confidence)) for line in asked]
    found = [_finding(line, verdict, labels) for line, verdict in lines]
    return sorted(found, key=lambda finding: ORDER.index(finding.verdict))


def synthetic(
    tables: Path, titles: Mapping[str, str], confidence: float
) -> list[Finding]:
    """Of the declared comparisons of synthetic experiments; ``titles``: of these by name."""
    found = []
    for line in _read(tables / "ablations.csv"):
        if line["primary"] != "1":
            continue
        better = 1 if HIGHER_IS_BETTER.get(line["measure"], False) else -1
        measure = TITLES[line["measure"]].lower()
        name = row_name(line["label"], line["decoding"])
        what = f"{name} on {titles[line['experiment']].lower()}, {measure}"
        verdict = _verdict(line, confidence, better)
        found.append(Finding(verdict, what, _numbers(line)))
    return sorted(found, key=lambda finding: ORDER.index(finding.verdict))


def _read(path: Path) -> Iterable[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _verdict(line: Mapping[str, str], confidence: float, better: int = 1) -> str:
    """``better``: the sign of a good difference."""
    if not line["difference"]:
        return "not run"
    low, high = sorted(
        better * float(line[f"difference_{end}"]) for end in ("low", "high")
    )
    word = "better" if low > 0 else "worse" if high < 0 else ""
    if word and int(line["seeds"]) < LEAST_SEEDS:
        return f"{word}, items only"
    if word and line["holm"] and float(line["holm"]) < 1 - confidence:
        return word
    return "no difference shown"


def _finding(
    line: Mapping[str, str], verdict: str, labels: Mapping[str, str]
) -> Finding:
    name = row_name(labels.get(line["method"], line["method"]), line["decoding"])
    measure = line.get("measure") or line["metric"]
    measure = "excess error" if measure == EXCESS else _inside(title(measure))
    split = "" if line["split"] in ("test", "") else f" ({line['split']})"
    what = f"{name} on {line['task']}{split}, {measure}".replace("_", " ")
    return Finding(verdict, what, _numbers(line) if line["difference"] else "")


def _inside(title: str) -> str:
    """A title inside of a sentence: small, but for one such as ROUGE-L."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def _numbers(line: Mapping[str, str]) -> str:
    difference, low, high = (
        100 * float(line[f"difference{end}"]) for end in ("", "_low", "_high")
    )
    return f"{difference:+.1f} [{low:+.1f}, {high:+.1f}] points"
