"""Whole steps over more and more rows: how their time grows, and their memory."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch

from selfgen.bench.harness import Apart, Timing, compare, resident_mb, table
from selfgen.core.rows import write_rows
from selfgen.core.spec import Device, Sampling
from selfgen.data.prompts import PromptSpec
from selfgen.data.records import read
from selfgen.generation.answers import Generated, run_answers
from selfgen.generation.passes import run_pass
from selfgen.generation.spec import AnswersSpec, PassSpec


@dataclass(frozen=True)
class Case:
    """Steps with the model in ``weights`` on ``records``, which stand as often as it takes to
    have so many, each time under another id."""

    weights: Path
    records: Sequence[dict[str, Any]]
    prompt: PromptSpec
    beta: float
    where: Device

    def rows(self, count: int) -> Iterator[dict[str, Any]]:
        for number, record in enumerate(islice(cycle(self.records), count)):
            yield record | {"id": f"{record['id']}/{number}", "split": "train"}


def run(case: Case, count: int) -> list[Timing]:
    """Each step over ``count`` rows, once, in a process of its own."""
    device = torch.device(case.where.device)
    contenders = [
        (name, Apart(step, case, name, count, device=device, keep=True))
        for name in STEPS
    ]
    return compare(contenders, {"rows": count}, 0, 1, device)


def step(case: Case, name: str, count: int) -> dict[str, Any]:
    """What a job of the workflow does, from a file of records to a file of rows."""
    with tempfile.TemporaryDirectory() as folder:
        records, out = Path(folder, "records.parquet"), Path(folder, "rows.parquet")
        write_rows(records, case.rows(count))
        started = time.perf_counter()
        made = STEPS[name](case, records)
        write_rows(out, made.rows)
        seconds = time.perf_counter() - started
    # Rows stand in the memory of the process, whatever the device.
    facts = {"tokens": made.facts["generated_tokens"], "memory_mb": resident_mb()}
    return {"seconds": seconds, **facts}


def _pass(case: Case, records: Path) -> Generated:
    rows = read(records, ["train"])
    spec = PassSpec(
        kind="forced",
        beta=case.beta,
        sampling=Sampling(1.0),
        seed=0,
        rows=(0, len(rows)),
        epochs=1,
        prompt=case.prompt,
        device=case.where,
    )
    return run_pass(rows, case.weights, spec)


def _answers(case: Case, records: Path) -> Generated:
    spec = AnswersSpec("direct", ("train",), case.prompt, Sampling(), 0, case.where)
    return run_answers(read(records, ["train"]), [], case.weights, spec)


STEPS: dict[str, Callable[[Case, Path], Generated]] = {
    "forced pass": _pass,
    "greedy answers": _answers,
}


def page(timings: Sequence[Timing]) -> str:
    """Milliseconds and tokens a row, and what memory a row more than the fewest takes."""
    header = ("", "rows", "s", "ms a row", "tokens a row", "peak MB", "KB a row more")
    fewest: dict[str, Timing] = {}
    lines = []
    for timing in timings:
        first = fewest.setdefault(timing.name, timing)
        count, memory = timing.case["rows"], timing.memory_mb or 0.0
        more = count - first.case["rows"]
        grown = (memory - (first.memory_mb or 0.0)) * 2**10
        lines.append(
            (
                timing.name,
                f"{count:,}",
                f"{timing.median:.1f}",
                f"{timing.median / count * 1e3:.2f}",
                f"{timing.notes['tokens'] / count:.1f}",
                f"{memory:.0f}" if memory else "",
                f"{grown / more:.2f}" if memory and more else "",
            )
        )
    return table(header, lines)
