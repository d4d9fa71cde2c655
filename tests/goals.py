"""What was asked of speed and memory, and what the shipped benchmarks found. Drawn by
``python -m tests.shipped``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from selfgen.bench import floor, forced, free, parts, plan, scale, start, training
from selfgen.bench.harness import Bench, Timing
from selfgen.bench.harness import table as markdown
from selfgen.report import took
from tests.shipped import REFERENCE

BENCH = REFERENCE / "bench"
PAGES: dict[str, Callable[[Sequence[Timing]], str]] = {
    "forced": forced.page,
    "free": free.page,
    "train": training.page,
    "dpo": training.page,
    "parts": parts.page,
    "floor": floor.page,
    "scale": scale.page,
    "start": start.page,
    "plan": plan.page,
}
"""By the name of a file: the table of its page."""

Timings = Sequence[Timing]


@dataclass(frozen=True)
class Goal:
    """``asked``: at most or, where ``more``, at least so much. ``found``: of the timings of a
    ``page`` below docs/reference/bench. ``unit``: how a number is shown. ``why`` it is
    not reached."""

    what: str
    asked: float
    page: str
    found: Callable[[Timings], float]
    unit: str = "{:.2f}x"
    more: bool = False
    why: str = ""


def median(timings: Timings, name: str, **case: object) -> float:
    """Of the one contender of that name whose case has these values."""
    (one,) = (
        t.median for t in timings if t.name == name and t.case.items() >= case.items()
    )
    return one


def over_floor(batch: int) -> Callable[[Timings], float]:
    def found(timings: Timings) -> float:
        case = {"batch": batch, "beta": 0.25, "T": 64}
        ours = median(timings, "speculative", **case)
        return ours / median(timings, forced.FLOOR, **case)

    return found


def over_generate(batch: int, name: str = "speculative") -> Callable[[Timings], float]:
    def found(timings: Timings) -> float:
        rates = {
            t.name: t.tokens_per_second for t in timings if t.case["batch"] == batch
        }
        return rates[name] / rates[free.GENERATE]

    return found


def of_floor(name: str) -> Callable[[Timings], float]:
    def found(timings: Timings) -> float:
        (one,) = (t for t in timings if t.name == name)
        return 100 * one.notes["least"] / one.median

    return found


def gpu_pass(timings: Timings) -> float:
    plain = median(timings, forced.GENERATE, beta=0.25)
    return plain / median(timings, "speculative", beta=0.25)


def of_peak(timings: Timings) -> float:
    (ours,) = (t for t in timings if t.name == "selfgen")
    rate = ours.tokens_per_second * ours.notes["flops"] / 1e12
    return 100 * float(rate / ours.notes["peak"])


def started(step: str) -> Callable[[Timings], float]:
    return lambda timings: median(timings, start.FORK, step=step)


def longer(timings: Timings) -> float:
    """Time of one more row among the most, over that among the fewest; of the worse step.
    So what a step takes for its start alone does not count."""
    ratios = []
    for name in {t.name for t in timings}:
        rows = sorted((t.case["rows"], t.median) for t in timings if t.name == name)
        assert len(rows) > 2, "one slope alone says nothing"
        more = [(b - a) / (m - n) for (n, a), (m, b) in pairwise(rows)]
        ratios.append(more[-1] / more[0])
    return max(ratios)


def planned(jobs: int, within: int = 0) -> Callable[[Timings], float]:
    """Seconds of the one plan of so many jobs, or of ``within`` more or less."""

    def found(timings: Timings) -> float:
        plans = [timing for timing in timings if "jobs" in timing.notes]
        (one,) = (t for t in plans if abs(t.notes["jobs"] - jobs) <= within)
        return one.median

    return found


NO_GPU = "not measured again: no GPU was at hand"
FEW_ROWS = "few rows"
XEON, AMD = "a Xeon with AMX", "an AMD EPYC"
AVX2 = "an AMD EPYC without AVX-512"


def exact(precision: str, batch: int, asked: float, machine: str, folder: str) -> Goal:
    what = f"Exact pass, {precision}, batch {batch}, on {machine}"
    return Goal(what, asked, f"{folder}/forced", over_floor(batch), why=FEW_ROWS)


def answers(machine: str, folder: str) -> list[Goal]:
    what, page = (
        f"Free answers, batch 16, on {machine}, over generate",
        f"{folder}/free",
    )
    near = over_generate(16, free.SIBLINGS)
    return [
        Goal(what, 2, page, over_generate(16), more=True, why=FEW_ROWS),
        Goal("The same, told a sibling", 2, page, near, more=True, why=FEW_ROWS),
    ]


def shortest(machine: str, folder: str) -> list[Goal]:
    what, page = f"Shortest step with a model, on {machine}", f"{folder}/start"
    slow = "all that it computes takes longer there"
    return [
        Goal(what, 2.5, page, started(start.ANSWERS), "{:.2f} s", why=slow),
        Goal("The same, without one", 0.5, page, started(start.SCORES), "{:.2f} s"),
    ]


GOALS = [
    exact("fp32", 16, 1.4, XEON, "amx-fp32"),
    exact("fp32", 64, 1.15, XEON, "amx-fp32"),
    exact("fp32", 16, 1.4, AMD, "amd-fp32"),
    exact("fp32", 16, 1.4, AVX2, "avx2-fp32"),
    exact("fp32", 64, 1.15, AVX2, "avx2-fp32"),
    exact("bf16", 16, 1.4, XEON, "amx-bf16"),
    exact("bf16", 64, 1.15, XEON, "amx-bf16"),
    exact("bf16", 16, 1.4, AMD, "amd-bf16"),
    exact("bf16", 64, 1.15, AMD, "amd-bf16"),
    Goal(
        "Exact pass on a GPU, over generate",
        6,
        "h200/forced",
        gpu_pass,
        more=True,
        why=NO_GPU,
    ),
    *answers(XEON, "amx-fp32"),
    *answers(AVX2, "avx2-fp32"),
    Goal(
        "Second turn of RAC, over generate",
        3,
        "avx2-corrections/free",
        over_generate(16),
        more=True,
        why="reading the prompts alone takes most of our time",
    ),
    Goal(
        "Training, of the rate of its products",
        85,
        "amx-fp32/floor",
        of_floor("finetune"),
        "{:.0f} %",
        more=True,
        why="scores of attention, norms, loss and optimiser wait for memory",
    ),
    Goal(
        "Training on a GPU, of its peak",
        45,
        "h200/train",
        of_peak,
        "{:.0f} %",
        more=True,
        why=NO_GPU,
    ),
    Goal(
        "Floor of the laptop run, of its time",
        80,
        "amx-fp32/floor",
        of_floor(floor.WHOLE),
        "{:.0f} %",
        more=True,
        why=FEW_ROWS,
    ),
    *shortest(XEON, "amx-fp32"),
    *shortest(AVX2, "avx2-fp32"),
    Goal(
        "One more row of 100,000, over one more of 10,000",
        1.1,
        "amx-fp32/scale",
        longer,
        why="of answers, in one run: the machine's hours differ by more",
    ),
    Goal(
        "A run with nothing to do",
        2,
        "avx2-fp32/plan",
        planned(0),
        "{:.2f} s",
        why="most is the start of Snakemake alone",
    ),
    Goal(
        "The plan of 3,000 jobs",
        8,
        "avx2-fp32/plan",
        planned(3000, within=100),
        "{:.2f} s",
        why="nearly all is Snakemake's; on the slowest machine",
    ),
]
SCALES = {
    "smoke": ("make smoke", 90, 1, "{:.0f} s", ""),
    "quick": ("A first table, make quick", 10, 60, "{:.1f} min", ""),
    "laptop": (
        "make reproduce",
        45,
        60,
        "{:.0f} min",
        "the floor of its arithmetic alone is nearly as long",
    ),
}
"""Of a scale's run: what it is, what was asked, in how many seconds, the unit, and why."""

NOTES = """\
- Of `make …`: wall time while jobs ran or started.
- Exact pass: its time over that of the teacher-forced pass, beta .25, T 64.
- Few rows: products of few rows reach a part of the rate of large ones; attention, draws and
  Python come on top, and bf16 does not speed them up."""


def table() -> str:
    """Each goal, what was found, and why it is not reached, as Markdown."""
    rows = []
    for goal in GOALS:
        found = goal.found(Bench.read(BENCH / f"{goal.page}.json").timings)
        link = f"[{goal.page}]({goal.page}.md)"
        rows.append(
            _row(goal.what, goal.asked, found, goal.unit, goal.more, link, goal.why)
        )
    for name, (what, asked, seconds, unit, why) in SCALES.items():
        found = took.read(REFERENCE / name).seconds / seconds
        link = f"[{name}](../{name}/run.json)"
        rows.append(_row(what, asked, found, unit, False, link, why))
    header = ("", "asked", "found", "reached", "page", "why not")
    return f"{markdown(header, rows)}\n\n{NOTES}"


def _row(
    what: str,
    asked: float,
    found: float,
    unit: str,
    more: bool,
    link: str,
    why: str,
) -> list[str]:
    reached = found >= asked if more else found <= asked
    assert reached or why, f"{what}: found {found}, and no word on why"
    limit = f"{'≥' if more else '≤'} {unit.replace('.2f', 'g').format(asked)}"
    if not reached and unit.format(found) == unit.format(asked):
        unit = unit.replace(".2f", ".3f")  # missed by less than is shown
    shown = [limit, unit.format(found), "yes" if reached else "no"]
    return [what, *shown, link, "" if reached else why]
