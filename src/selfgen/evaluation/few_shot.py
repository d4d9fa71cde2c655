"""The few-shot protocols of lm-evaluation-harness for GSM8K and MATH.

``gsm8k`` (version 3.0, 5 shots of the training problems) and ``minerva-math`` (version 3.1,
the 4 shots of Lewkowycz et al. 2022): prompts, shots, stop texts, limits, batching and the
readings of the answer are the package's own. Two things are ours: the problems come from
pinned files and not from a hub, and an answer of MATH is read flexibly by ``latex``, since
the package's own second reading (``math_verify``) evaluates what the model wrote.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.rows import write_rows
from selfgen.core.spec import Device
from selfgen.data.final_answers import boxed
from selfgen.data.prompts import load_tokenizer
from selfgen.evaluation.metrics import latex
from selfgen.models.loading import load_for_generation
from selfgen.tasks import gsm8k, hendrycks_math

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


@dataclass(frozen=True)
class FewShotSpec:
    """A few-shot ``protocol`` of lm-evaluation-harness, on the first ``items`` problems."""

    protocol: str
    items: int | None
    device: Device
    batch_size: int


Rows = list[dict[str, Any]]
Progress = Callable[[int, int], None] | None

CONFIGURATIONS = {
    "gsm8k": "gsm8k/gsm8k.yaml",
    "minerva-math": "minerva_math/minerva_math_algebra.yaml",
}
"""Protocols, and the package's file of each. MATH's subjects have one protocol."""

FILTERS = {"strict-match": "strict", "flexible-extract": "flexible"}
"""The package's readings of an answer to GSM8K."""


def evaluate(
    files: Sequence[Path], weights: Path, spec: FewShotSpec, progress: Progress = None
) -> tuple[Rows, dict[str, Any]]:
    """Rows ``{id, strict, flexible, reply}`` of the problems in order, grades 0 or 1, and
    facts. ``files``: those that the protocol's problems are read from.

    Raises UserError: the package cannot be imported, or a file is no such file.
    """
    try:
        from lm_eval import __version__
        from lm_eval.models.huggingface import HFLM
    except ImportError as error:
        raise UserError(
            f"few-shot: cannot import {error.name}; pip install selfgen[math]"
        ) from None
    train, test = problems(spec.protocol, files)
    test = test[: spec.items]
    tokenizer = load_tokenizer(weights)
    model, device, precision = load_for_generation(weights, spec.device)
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=spec.batch_size)
    lm.set_cache_hook(_Ticks(progress, len(test)))
    facts = {"device": device, "precision": precision, "lm_eval": __version__}
    return ask(lm, spec.protocol, train, test), facts


def problems(protocol: str, files: Sequence[Path]) -> tuple[Rows, Rows]:
    """The problems that shots are drawn from, and those that are asked, in their order.
    The shots of ``minerva-math`` are the package's own."""
    if protocol == "gsm8k":
        train, test = map(gsm8k.read, files)
        return train, test
    rows = hendrycks_math.read(files)
    return [], [row for row in rows if row["unique_id"].startswith("test/")]


def ask(lm: Any, protocol: str, train: Rows, test: Rows) -> Rows:
    """``evaluate`` with any model of the package (``lm_eval.api.model.LM``)."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as scratch:
        task = _task(protocol, Path(scratch), train, test)
        found = lm_eval.simple_evaluate(
            model=lm,
            tasks=[task],
            task_manager=TaskManager(include_defaults=False),
            bootstrap_iters=0,
            log_samples=True,
        )
    return _rows(found["samples"][protocol])


class _Ticks:
    """What the package tells of each finished answer, as progress."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add_partial(self, *_: Any) -> None:
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)


def _task(protocol: str, folder: Path, train: Rows, test: Rows) -> dict[str, Any]:
    """The package's own task, with problems of ours, which are written to ``folder``."""
    import lm_eval
    from lm_eval.tasks._yaml_loader import load_yaml

    path = Path(lm_eval.__file__).parent / "tasks" / CONFIGURATIONS[protocol]
    try:
        task = load_yaml(path)
    except (ImportError, AssertionError) as error:
        raise UserError(f"few-shot: {error}") from None
    data_files = {}
    for split, rows in (("train", train), ("test", test)):
        if rows:
            written = folder / f"{split}.jsonl"
            written.write_text("".join(json.dumps(row) + "\n" for row in rows))
            data_files[split] = str(written)
    task |= {
        "task": protocol,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {
            "data_files": data_files,
            "cache_dir": str(folder / "cache"),
        },
    }
    del task["tag"]
    if protocol == "minerva-math":
        del task["training_split"]
        task |= {
            "process_results": _grade_math,
            "metric_list": [
                {"metric": name, "aggregation": "mean", "higher_is_better": True}
                for name in ("strict", "flexible")
            ],
        }
    return task


def _grade_math(problem: dict[str, Any], replies: Sequence[str]) -> dict[str, float]:
    """Strict: the package's ``exact_match``, the words "Final Answer: ..." as in the
    shots, then sympy on LaTeX with a time limit. Flexible: ours."""
    from lm_eval.tasks.minerva_math import utils

    reply = replies[0]
    said = utils.normalize_final_answer(utils.get_unnormalized_answer(reply))
    return {
        "strict": float(utils.is_equiv(said, problem["answer"])),
        "flexible": float(latex.flexible(reply, boxed(problem["solution"]) or "")),
    }


def _rows(samples: Iterable[dict[str, Any]]) -> Rows:
    rows: dict[int, dict[str, Any]] = {}
    for sample in samples:
        row = rows.setdefault(
            sample["doc_id"], {"id": sample["doc_hash"], "reply": sample["resps"][0][0]}
        )
        if "strict" in sample:
            row |= {name: float(sample[name]) for name in ("strict", "flexible")}
        else:
            row[FILTERS[sample["filter"]]] = float(sample["exact_match"])
    keys = ("id", "strict", "flexible", "reply")
    return [{key: rows[i][key] for key in keys} for i in sorted(rows)]


def step(spec: FewShotSpec, job: Job) -> dict[str, Any]:
    """Answers to problems after some solved ones, and their grades."""
    job.claim(spec.device.device)
    rows, facts = evaluate(
        job.paths("problems"), job.input("weights"), spec, job.progress("problems")
    )
    write_rows(job.output("grades"), rows)
    return facts
