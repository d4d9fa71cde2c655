"""Results beside numbers that others measured: met, not met, or why that cannot be said.

Met: nearer than what chance alone explains, which is our interval and the other's sampling
error (its standard deviation over seeds, and of a share that of its items) taken together.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from selfgen.core.provenance import spec_digest
from selfgen.report import grid
from selfgen.report.grid import NOT_RUN, Entry, Grid

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

CSV = (
    *("what", "kind", "value", "measured", "low", "high", "tolerance", "verdict"),
    *("why", "source", "caveat"),
)
MET, NOT_MET = "met", "not met"
NOT_COMPARABLE, NO_RUN, STALE = "not comparable", "not run", "stale"

NATS = ("held-out-loss",)
"""Tables of losses; what else is held against a known number is a share."""


@dataclass(frozen=True)
class Known:
    """A number of ``config/paper_values.yaml``. ``manifests``: of ours, by path, the digest
    of the spec that each has if it is of today's configuration."""

    what: str
    kind: str
    value: float
    sd: float
    seeds: int
    n: int | None
    table: str | None
    columns: tuple[str, ...]
    row: dict[str, str]
    scale: str
    judge: str | None
    source: str
    caveat: str
    manifests: dict[str, str]


@dataclass(frozen=True)
class VerifySpec:
    """``judges``: who decided what stands in a table, by its name."""

    known: tuple[Known, ...]
    scale: str
    judges: dict[str, str]
    confidence: float


@dataclass(frozen=True)
class Held:
    """A known number, ours as ``(value, low, high)``, and what is said of both."""

    known: Known
    measured: tuple[float, float, float] | None
    tolerance: float | None
    verdict: str
    why: str = ""


def verify(spec: VerifySpec, tables: Path, stale: Sequence[str]) -> dict[str, str]:
    """The page as Markdown, LaTeX and CSV.

    ``tables``: the folder of our tables as CSV; ``stale``: manifests that are not of
    today's configuration.
    """
    found = [hold(known, spec, tables, stale) for known in spec.known]
    made = _grid(found, spec)
    return {
        "verify.md": grid.to_markdown(made),
        "verify.tex": grid.to_latex(made),
        "verify.csv": grid.to_csv(CSV, [_line(held) for held in found]),
    }


def hold(
    known: Known, spec: VerifySpec, tables: Path, stale: Sequence[str] = ()
) -> Held:
    """One number held against ours."""
    measured = _measured(known, tables)
    if known.table is None:
        return Held(known, None, None, NOT_COMPARABLE, "no table has it")
    if measured is None:
        return Held(known, None, None, NO_RUN, f"not in {known.table}.csv")
    if spec.scale != known.scale:
        why = f"scale {spec.scale}, not {known.scale}"
        return Held(known, measured, None, NOT_COMPARABLE, why)
    judge = spec.judges.get(known.table)
    if known.judge and judge != known.judge:
        why = f"judge {judge}, not {known.judge}"
        return Held(known, measured, None, NOT_COMPARABLE, why)
    if old := [path for path in known.manifests if path in stale]:
        return Held(known, measured, None, STALE, f"{old[0]} is of another spec")
    value, low, high = measured
    share = known.value * (1 - known.value) / known.n if known.n else 0.0
    z = NormalDist().inv_cdf((1 + spec.confidence) / 2)
    theirs = z * math.sqrt(known.sd**2 / known.seeds + share)
    tolerance = math.hypot((high - low) / 2, theirs)
    met = abs(value - known.value) <= tolerance
    return Held(known, measured, tolerance, MET if met else NOT_MET)


def _measured(known: Known, tables: Path) -> tuple[float, float, float] | None:
    """Ours; None where nothing was run that would have it."""
    path = tables / f"{known.table}.csv"
    if not known.table or not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if all(row.get(name) == text for name, text in known.row.items()):
                texts = [row.get(name) or "" for name in known.columns]
                return tuple(map(float, texts)) if all(texts) else None
    return None


def _line(held: Held) -> list[str | float | None]:
    known = held.known
    return [
        *(known.what, known.kind, known.value),
        *(held.measured or (None,) * 3),
        *(held.tolerance, held.verdict, held.why, known.source, known.caveat),
    ]


def _grid(found: Sequence[Held], spec: VerifySpec) -> Grid:
    caveats = list(dict.fromkeys(held.known.caveat for held in found))
    numbers = {text: i for i, text in enumerate(filter(None, caveats), 1)}
    rows = [
        [
            Entry(held.known.what),
            Entry(held.known.kind),
            _verdict(held, numbers),
            Entry(_shown(held.known, held.known.value)),
            _ours(held),
            Entry(_shown(held.known, held.tolerance)),
        ]
        for held in found
    ]
    losses = any(known.table in NATS for known in spec.known)
    sources = dict.fromkeys(f"{held.known.source}" for held in found)
    return Grid(
        name="verify",
        title=f"Results beside known numbers, in percent (scale: {spec.scale}).",
        header=[
            Entry(text)
            for text in ("What", "Kind", "Verdict", "Known", "Ours", "Tolerance")
        ],
        rows=rows,
        notes=[
            f"Met: nearer than the tolerance, which is our {100 * spec.confidence:g}%"
            " interval and the known number's sampling error together.",
            *(["Losses are in nats."] if losses else []),
            *(f"({i}) {text}" for text, i in numbers.items()),
            f"Sources: {'; '.join(sources)}.",
        ],
        left=3,
    )


def _verdict(held: Held, numbers: Mapping[str, int]) -> Entry:
    """A number that nobody could look up is never met without what must be said of it."""
    number = numbers.get(held.known.caveat)
    return Entry(held.verdict + (f" ({number})" if number else ""), below=held.why)


def _ours(held: Held) -> Entry:
    if held.measured is None:
        return Entry(NOT_RUN)
    value, low, high = (_shown(held.known, x) for x in held.measured)
    return Entry(value, below=f"[{low}, {high}]")


def _shown(known: Known, value: float | None) -> str:
    if value is None:
        return NOT_RUN
    return f"{value:.4f}" if known.table in NATS else f"{100 * value:.2f}"


def step(spec: VerifySpec, job: Job) -> dict[str, Any]:
    """Results beside known numbers; the tables lie where this one is to."""
    stale = [
        path
        for known in spec.known
        for path, digest in known.manifests.items()
        if not _is_of(Path(path), digest)
    ]
    job.write(verify(spec, job.output("verify.md").parent, stale))
    return {}


def _is_of(path: Path, digest: str) -> bool:
    """Whether a manifest has the spec of today's configuration."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["spec"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return spec_digest(text) == digest
