"""Benchmarks with shots, by lm-evaluation-harness.

Prompts, shots, stop texts, limits, batching and the readings of an answer are those of the
package's own task. The problems come from pinned files instead of a hub, and a benchmark may
read answers itself.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.benchmarks import FEW_SHOT
from selfgen.benchmarks.base import Files, Graded, Rows
from selfgen.core.errors import UserError
from selfgen.core.rows import write_rows
from selfgen.core.spec import Device
from selfgen.data.prompts import load_tokenizer
from selfgen.evaluation.metrics import latex
from selfgen.models.loading import load_for_generation

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


@dataclass(frozen=True)
class FewShotSpec:
    """The first ``items`` problems of a ``benchmark``; None: all."""

    benchmark: str
    items: int | None
    device: Device


Progress = Callable[[int, int], None] | None


def evaluate(
    files: Files,
    weights: Path,
    spec: FewShotSpec,
    progress: Progress = None,
    batch_size: int = 64,
) -> tuple[Rows, dict[str, Any]]:
    """Rows ``{id, strict, flexible, reply}`` of the problems in order, grades 0 or 1, and
    facts. ``files``: of the benchmark, by the keys that name them.

    Raises UserError: the package cannot be imported, or a file is no such file.
    """
    try:
        from lm_eval import __version__
        from lm_eval.models.huggingface import HFLM
    except ImportError as error:
        raise UserError(
            f"few-shot: cannot import {error.name}; pip install selfgen[math]"
        ) from None
    train, test = FEW_SHOT[spec.benchmark].problems(files)
    test = test[: spec.items]
    tokenizer = load_tokenizer(weights)
    model, device, precision = load_for_generation(weights, spec.device)
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
    lm.set_cache_hook(_Ticks(progress, len(test)))
    facts = {"device": device, "precision": precision, "lm_eval": __version__}
    return ask(lm, spec.benchmark, train, test), facts


def ask(lm: Any, benchmark: str, train: Rows, test: Rows) -> Rows:
    """``evaluate`` with any model of the package (``lm_eval.api.model.LM``)."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as scratch:
        task = _task(benchmark, Path(scratch), train, test)
        evaluated = lm_eval.simple_evaluate(
            model=lm,
            tasks=[task],
            task_manager=TaskManager(include_defaults=False),
            bootstrap_iters=0,
            log_samples=True,
        )
    return _rows(evaluated["samples"][benchmark], FEW_SHOT[benchmark].filters)


class _Ticks:
    """What the package tells of each finished answer, as progress."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add_partial(self, *_: Any) -> None:
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)


def _task(name: str, folder: Path, train: Rows, test: Rows) -> dict[str, Any]:
    """The package's own task, with problems of ours, which are written to ``folder``."""
    import lm_eval
    from lm_eval.tasks._yaml_loader import load_yaml

    benchmark = FEW_SHOT[name]
    path = Path(lm_eval.__file__).parent / "tasks" / benchmark.task_file
    try:
        task: dict[str, Any] = load_yaml(path)
    except (ImportError, AssertionError) as error:
        raise UserError(f"few-shot: {error}") from None
    data_files = {}
    for split, rows in (("train", train), ("test", test)):
        if rows:
            written = folder / f"{split}.jsonl"
            written.write_text("".join(json.dumps(row) + "\n" for row in rows))
            data_files[split] = str(written)
    kwargs = {"data_files": data_files, "cache_dir": str(folder / "cache")}
    task |= {"task": name, "dataset_path": "json", "dataset_name": None}
    task["dataset_kwargs"] = kwargs
    del task["tag"]
    if not train:
        del task["training_split"]
    if issubclass(benchmark, Graded):
        task |= {
            "process_results": partial(_grade, benchmark),
            "metric_list": [
                {"metric": name, "aggregation": "mean", "higher_is_better": True}
                for name in ("strict", "flexible")
            ],
        }
    return task


def _grade(
    benchmark: type[Graded], problem: dict[str, Any], replies: Sequence[str]
) -> dict[str, float]:
    (reply,) = replies
    return {
        "strict": float(benchmark.strict(problem, reply)),
        "flexible": float(latex.flexible(reply, benchmark.gold(problem))),
    }


def _rows(samples: Iterable[dict[str, Any]], filters: Mapping[str, str]) -> Rows:
    rows: dict[int, dict[str, Any]] = {}
    for sample in samples:
        row = rows.setdefault(
            sample["doc_id"], {"id": sample["doc_hash"], "reply": sample["resps"][0][0]}
        )
        if filters:
            row[filters[sample["filter"]]] = float(sample["exact_match"])
        else:
            row |= {name: float(sample[name]) for name in ("strict", "flexible")}
    keys = ("id", "strict", "flexible", "reply")
    return [{key: rows[i][key] for key in keys} for i in sorted(rows)]


def step(spec: FewShotSpec, job: Job) -> dict[str, Any]:
    """Answers to problems after some solved ones, and their grades."""
    job.claim(spec.device.device)
    weights, progress = job.input("weights"), job.progress("problems")
    rows, facts = evaluate(job.files(), weights, spec, progress, job.batch_size)
    write_rows(job.output("grades"), rows)
    return facts
