"""Results beside numbers that others measured: met, not met, or why that cannot be said.

Met: nearer than what chance alone explains, which is our interval and the other's sampling
error (its standard deviation over seeds, and of a share that of its items) taken together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

from selfgen.config.values import Value
from selfgen.core.provenance import spec_digest
from selfgen.report.grid import NOT_RUN, Box, Entry, Grid
from selfgen.report.judges import UNPARSABLE_LIMIT
from selfgen.report.registry import Drawn, Rows, Table, csv_rows
from selfgen.report.spec import TableSpec

CSV = (
    *("what", "kind", "value", "measured", "low", "high", "tolerance", "outcome"),
    *("why", "source", "caveat"),
)
MET, NOT_MET = "met", "not met"
NOT_COMPARABLE, NO_RUN, STALE = "not comparable", "not run", "stale"

NATS = ("held-out-loss",)
"""Tables of losses; what else is held against a known number is a share."""


@dataclass(frozen=True)
class Known:
    """A number that others measured. ``manifests``: of ours, by path, the digest of the spec
    that each has if it is of today's configuration."""

    number: Value
    manifests: dict[str, str]


@dataclass(frozen=True)
class KnownNumbers:
    """``tables``: names of the tables that are read, in the order of the files; ``judges``:
    who decided what stands in a table, by its name."""

    known: tuple[Known, ...]
    tables: tuple[str, ...]
    judges: dict[str, str]


@dataclass(frozen=True)
class Held:
    """A number of others, ours as ``(value, low, high)``, and what is said of both."""

    number: Value
    measured: tuple[float, float, float] | None
    tolerance: float | None
    outcome: str
    why: str = ""


def draw(
    tables: Sequence[Rows], specs: Mapping[str, str], spec: TableSpec[KnownNumbers]
) -> Drawn:
    """Numbers that others measured beside ours.

    From the rows of our tables, and the digest of the spec in each manifest."""
    named = dict(zip(spec.own.tables, tables, strict=True))
    results = [hold(known, spec, named, specs) for known in spec.own.known]
    lines = [
        [
            *(held.number.what, held.number.kind, held.number.value),
            *(held.measured or (None,) * 3),
            *(held.tolerance, held.outcome, held.why),
            *(held.number.source, held.number.caveat),
        ]
        for held in results
    ]
    return Drawn([_grid(results, spec)], CSV, lines)


def spec_digests(paths: Sequence[Path]) -> dict[str, str]:
    """The digest of the spec in each manifest, by its path."""
    return {path.as_posix(): _digest(path) for path in paths}


def _digest(path: Path) -> str:
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))["spec"]
    except (OSError, ValueError, KeyError, TypeError):
        return "none"
    return spec_digest(json.dumps(spec, sort_keys=True, separators=(",", ":")))


def hold(
    known: Known,
    spec: TableSpec[KnownNumbers],
    tables: Mapping[str, Rows],
    specs: Mapping[str, str],
) -> Held:
    """One number held against ours."""
    number = known.number
    if number.table is None:
        return Held(number, None, None, NOT_COMPARABLE, "no table has it")
    measured = _measured(number, tables.get(number.table, ()))
    if measured is None:
        return Held(number, None, None, NO_RUN, f"not in {number.table}.csv")
    if spec.scale != number.scale:
        why = f"scale {spec.scale}, not {number.scale}"
        return Held(number, measured, None, NOT_COMPARABLE, why)
    judge = spec.own.judges.get(number.table)
    if number.judge and judge != number.judge:
        why = f"judge {judge}, not {number.judge}"
        return Held(number, measured, None, NOT_COMPARABLE, why)
    for path, digest in known.manifests.items():
        if specs.get(path) != digest:
            return Held(number, measured, None, STALE, f"{path} is of another spec")
    if why := _doubt(number, tables[number.table]):
        return Held(number, measured, None, NOT_COMPARABLE, why)
    value, low, high = measured
    share = number.value * (1 - number.value) / number.n if number.n else 0.0
    z = NormalDist().inv_cdf((1 + spec.confidence) / 2)
    theirs = z * math.sqrt(number.sd**2 / number.seeds + share)
    tolerance = math.hypot((high - low) / 2, theirs)
    met = abs(value - number.value) <= tolerance
    return Held(number, measured, tolerance, MET if met else NOT_MET)


def _row(number: Value, rows: Rows) -> Mapping[str, str] | None:
    """Ours; None where nothing was run that would have it."""
    named = number.row.items()
    found = (row for row in rows if all(row.get(name) == text for name, text in named))
    return next(found, None)


def _measured(number: Value, rows: Rows) -> tuple[float, float, float] | None:
    """Ours, with its interval; None where there is none."""
    row = _row(number, rows) or {}
    value, low, high = (row.get(name) or "" for name in number.columns)
    whole = all((value, low, high))
    return (float(value), float(low), float(high)) if whole else None


def _doubt(number: Value, rows: Rows) -> str:
    """Why a judge's replies say too little, where they do."""
    row = _row(number, rows) or {}
    unparsable = float(row.get("unparsable") or 0)
    if "comparison" not in row and unparsable:
        # A benchmark's table counts replies, a comparison's has their share.
        unparsable /= int(row["n"]) * int(row["seeds"])
    if unparsable <= UNPARSABLE_LIMIT:
        return ""
    return f"{100 * unparsable:.1f} % of the replies are unparsable"


def _grid(results: Sequence[Held], spec: TableSpec[KnownNumbers]) -> Grid:
    caveats = list(dict.fromkeys(held.number.caveat for held in results))
    numbers = {text: i for i, text in enumerate(filter(None, caveats), 1)}
    rows = [
        [
            held.number.what,
            held.number.kind,
            _outcome(held, numbers),
            _shown(held.number, held.number.value),
            _ours(held),
            _shown(held.number, held.tolerance),
        ]
        for held in results
    ]
    losses = any(held.number.table in NATS for held in results)
    sources = dict.fromkeys(held.number.source for held in results)
    return Grid(
        name=spec.name,
        title=f"Results beside known numbers, in percent (scale: {spec.scale}).",
        header=("What", "Kind", "Outcome", "Known", "Ours", "Tolerance"),
        rows=rows,
        notes=[
            f"Met: nearer than the tolerance, which is our {spec.percent}"
            " interval and the known number's sampling error together.",
            *(["Losses are in nats."] if losses else []),
            *(f"({i}) {text}" for text, i in numbers.items()),
            f"Sources: {'; '.join(sources)}.",
        ],
        left=3,
    )


def _outcome(held: Held, numbers: Mapping[str, int]) -> Entry:
    """Unverifiable numbers always show their caveat."""
    number = numbers.get(held.number.caveat)
    return Entry(held.outcome + (f" ({number})" if number else ""), below=held.why)


def _ours(held: Held) -> Box:
    if held.measured is None:
        return NOT_RUN
    value, low, high = (_shown(held.number, x) for x in held.measured)
    return Entry(value, below=f"[{low}, {high}]")


def _shown(number: Value, value: float | None) -> str:
    if value is None:
        return NOT_RUN
    return f"{value:.4f}" if number.table in NATS else f"{100 * value:.2f}"


TABLE = Table(draw, {"tables": csv_rows, "manifests": spec_digests}, KnownNumbers)
