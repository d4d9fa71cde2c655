"""What a run would take: tokens, operations, hours of a GPU, disk, and judges' prices."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selfgen.core.errors import UserError
from selfgen.report import grid
from selfgen.report.grid import Box, Entry, Grid

TRAINING, DRAWING, WRITING = "fine-tuning", "forced passes", "free generation"
"""Kinds of work, which run at different speeds."""

READING = "held-out loss"
"""Forward passes alone, which run as fast as training does."""

MEASURING = "measures"
"""Errors of steps and the other measures of exposure bias; written at the rate of answers."""

DIALOGUE_TOKENS = 1375
"""Of a dialogue of UltraChat, about: the model card of alignment-handbook/zephyr-7b-sft-full
has 1,090 steps, which are of 128 blocks of 2,048 tokens, for 207,865 dialogues."""

GPUS = {"a100": 312.0, "h100": 989.0, "h200": 989.0, "l40s": 362.0, "rtx4090": 165.0}
"""Dense bf16 TFLOP/s, of the makers' data sheets."""

HUB_BYTES = 2
"""Of a parameter, as hubs send models (half precision); their base is linked to it."""

TRAINED_BYTES = 4
"""Of a parameter, as trained weights are kept (fp32)."""

STATE_BYTES = 2 * 12
"""Of a parameter, of resumable state: weights and two moments, the new beside the old."""

ROW_BYTES = 4
"""Of a token in training rows, about: ids, labels and mask, compressed."""


@dataclass(frozen=True)
class Work:
    """Tokens of all jobs of one kind: ``trained`` ones go forward and backward, ``referred``
    ones forward before training, ``read`` and ``written`` ones are of generation."""

    step: str
    task: str
    model: str
    jobs: int = 0
    trained: int = 0
    referred: int = 0
    read: int = 0
    written: int = 0

    def __add__(self, other: Work) -> Work:
        counts = ("jobs", "trained", "referred", "read", "written")
        both = {name: getattr(self, name) + getattr(other, name) for name in counts}
        return replace(self, **both)


@dataclass(frozen=True)
class Asked:
    """Questions to a judge: how many, their tokens and those of the replies at most, what
    they are ``expected`` to cost in dollars and do at most, and what may be spent on that
    judge."""

    what: str
    judge: str
    requests: int
    prompt_tokens: int
    reply_tokens: int
    expected: float
    dollars: float
    budget: float


@dataclass(frozen=True)
class Disk:
    """Bytes: base models ``fetched`` and ``made``, fine-tuned ones ``kept`` and those of
    ``rounds`` and of learning rates that are tried, training ``rows``, and the ``state`` of
    the largest model while it trains."""

    fetched: int
    made: int
    kept: int
    rounds: int
    rows: int
    state: int

    @property
    def peak(self) -> int:
        """Of all side by side."""
        return sum(vars(self).values())


def disk(
    bases: Mapping[str, tuple[int, bool]],
    kept: Mapping[str, int],
    rounds: Mapping[str, int],
    works: Sequence[Work],
) -> Disk:
    """What lies on the disk at most.

    Args:
        bases: parameters of each base model, and whether a hub sends it.
        kept: fine-tuned models by their base.
        rounds: chains of several rounds by their base, of each of which one is on the way;
            learning rates that are tried.
    """
    size = {name: parameters for name, (parameters, _) in bases.items()}

    def trained(models: Mapping[str, int]) -> int:
        return sum(TRAINED_BYTES * size[name] * n for name, n in models.items())

    return Disk(
        fetched=sum(HUB_BYTES * n for n, sent in bases.values() if sent),
        made=sum(TRAINED_BYTES * n for n, sent in bases.values() if not sent),
        kept=trained(kept),
        rounds=trained(rounds),
        rows=sum(ROW_BYTES * work.trained for work in works),
        state=STATE_BYTES * max((size[name] for name in kept), default=0),
    )


@dataclass(frozen=True)
class Rates:
    """Shares of a GPU's peak that each kind of work reaches, and where they are from."""

    shares: Mapping[str, float]
    source: str


def rates(folder: Path) -> Rates:
    """As measured in the pages of ``selfgen bench`` in a folder (``train``, ``forced``).

    Raises UserError: a page is missing, or does not have the peak of its device.
    """
    try:
        train, forced = (
            json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            for name in ("train", "forced")
        )
        ours = next(t for t in train["timings"] if t["name"] == "selfgen")
        peak = float(ours["notes"]["peak"])
        parameters = 1e6 * float(forced["machine"]["model"].split()[-1][:-1])
        first = forced["timings"][0]["case"]
        speeds = {
            t["name"]: t["tokens"] / statistics.median_high(t["seconds"])
            for t in forced["timings"]
            if t["case"] == first
        }
        seconds = statistics.median_high(ours["seconds"])
        shares = {
            TRAINING: ours["tokens"] / seconds * ours["notes"]["flops"],
            DRAWING: 2 * parameters * speeds["speculative"],
            WRITING: 2 * parameters * speeds["sequential"],
        }
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise UserError(
            f"plan: {folder}: needed are train.json with --peak-tflops and forced.json of"
            f" selfgen bench: {error!r}"
        ) from None
    device = train["machine"]["device"]
    rates_of = {kind: flops / (1e12 * peak) for kind, flops in shares.items()}
    return Rates(rates_of, f"measured on {device} with {train['machine']['model']}")


def flops(work: Work, parameters: int) -> float:
    """Operations: six a parameter and trained token, two where nothing goes backward."""
    forward = work.referred + work.read + work.written
    return parameters * (6.0 * work.trained + 2.0 * forward)


def hours(work: Work, parameters: int, gpu: str, rates: Rates) -> float:
    """Hours of one GPU. The prompts of a generation run as fast as training does, and what
    is written at the rate of its kind."""
    peak = 1e12 * GPUS[gpu]
    written = 2.0 * parameters * work.written
    fast = flops(work, parameters) - written
    seconds = fast / (peak * rates.shares[TRAINING])
    if work.written:
        kind = WRITING if work.step == MEASURING else work.step
        seconds += written / (peak * rates.shares[kind])
    return seconds / 3600


def page(
    works: Sequence[Work],
    expected: Sequence[Work],
    parameters: Mapping[str, int],
    asked: Sequence[Asked],
    disk: Disk,
    gpu: str,
    rates: Rates,
) -> str:
    """The plan as Markdown; ``expected`` are ``works`` of texts of usual length.

    Raises UserError: an unknown GPU.
    """
    if gpu not in GPUS:
        raise UserError(f"plan: --gpu: found {gpu!r}, allowed: {', '.join(GPUS)}")
    parts = [_work(works, expected, parameters, gpu, rates), _disk(disk)]
    parts += [_asked(asked)] if asked else []
    return "\n".join(map(grid.to_markdown, parts))


def _work(
    works: Sequence[Work],
    expected: Sequence[Work],
    parameters: Mapping[str, int],
    gpu: str,
    rates: Rates,
) -> Grid:
    rows: list[list[Box]] = []
    total = [0, 0, 0, 0.0, 0.0, 0.0]
    for work, usual in zip(works, expected, strict=True):
        size = parameters[work.model]
        spent = [hours(w, size, gpu, rates) for w in (usual, work)]
        values = [work.jobs, work.trained, work.written, flops(work, size), *spent]
        total = [a + b for a, b in zip(total, values, strict=True)]
        rows.append([work.step, work.task, work.model, *_shown(values)])
    rows.append([Entry("all", bold=True), "", "", *_shown(total)])
    shares = ", ".join(f"{kind} {100 * x:.1f}%" for kind, x in rates.shares.items())
    return Grid(
        name="plan",
        title=f"Work of models (GPU: {gpu}).",
        header=[
            *("Work", "Task", "Model", "Jobs", "Tokens trained, M"),
            *("Tokens generated, M", "EFLOP", "GPU-hours, expected", "at most"),
        ],
        rows=rows,
        notes=[
            "At most, as all tokens here are counted: every prompt and answer is as long as"
            " the configuration allows. Expected: where a data set says how long its texts"
            " are, they are that. Tables, judges and data preparation need no GPU.",
            *(
                [
                    f"What a method draws while it trains is counted with {DRAWING}, without"
                    " a job."
                ]
                if any(work.step == DRAWING and not work.jobs for work in works)
                else []
            ),
            *(
                [
                    "Whole dialogues are counted at UltraChat's mean, about"
                    f" {DIALOGUE_TOKENS} tokens."
                ]
                if any(work.step == READING for work in works)
                else []
            ),
            f"Share of the peak ({GPUS[gpu]:g} TFLOP/s in bf16): {shares}; {rates.source}.",
        ],
        left=3,
    )


def _shown(values: Sequence[float]) -> list[str]:
    jobs, trained, generated, *others = values
    operations, usual, most = others
    tokens = (f"{trained / 1e6:.1f}", f"{generated / 1e6:.1f}")
    spent = (f"{usual:.3g}", f"{most:.3g}")
    return [f"{jobs}", *tokens, f"{operations / 1e18:.3g}", *spent]


def _disk(disk: Disk) -> Grid:
    sizes = {
        "Models that are fetched": disk.fetched,
        "Base models that are made": disk.made,
        "Fine-tuned models": disk.kept,
        "Weights of rounds and of rates that are tried": disk.rounds,
        "Training rows": disk.rows,
        "State of the largest model while it trains": disk.state,
        "All, at the peak": disk.peak,
    }
    return Grid(
        name="disk",
        title="Disk, at most.",
        header=["What", "GB"],
        rows=[[what, f"{n / 1e9:.1f}"] for what, n in sizes.items() if n],
        notes=[
            "Without data sets, answers and tables, which are small beside it. Each further"
            " training at the same time has a state of its own."
        ],
    )


def _asked(asked: Sequence[Asked]) -> Grid:
    rows = [
        [
            *(a.what, a.judge, str(a.requests)),
            *(f"{a.prompt_tokens / 1e6:.1f}", f"{a.reply_tokens / 1e6:.1f}"),
            *(f"{a.expected:.0f}", f"{a.dollars:.0f}", f"{a.budget:.0f}"),
        ]
        for a in asked
    ]
    return Grid(
        name="judges",
        title="Questions to judges; tokens at most.",
        header=[
            *("For", "Judge", "Requests", "Prompt tokens, M"),
            *("Reply tokens, M", "Dollars, expected", "at most", "Budget"),
        ],
        rows=rows,
        left=2,
    )
