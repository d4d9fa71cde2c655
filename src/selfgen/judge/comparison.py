"""The answers of a model compared with an opponent's, pair by pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.rows import read_rows, write_rows
from selfgen.data.listing import singles
from selfgen.data.records import asked_text, read
from selfgen.judge import pairs
from selfgen.judge.client import Judge, Progress, judge_of, others
from selfgen.judge.pairs import Pair
from selfgen.judge.spec import ComparisonSpec, LikelihoodSpec, SimilaritySpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

Rows = list[dict[str, Any]]


def matched(
    records: Rows, answers: Rows, opponents: Rows | None, split: str
) -> list[Pair]:
    """The answer to each record of a split and its opponent: that of another model, or the
    reference.

    Raises UserError: no record, a record without an answer, or an answer without an opponent.
    """
    chosen = {r["id"]: r for r in records if r["split"] == split}
    if not chosen:
        raise UserError(f"records: found none of {split} to compare answers to")
    texts = {a["id"]: a["text"] for a in answers if a["id"] in chosen}
    if len(texts) < len(chosen):
        raise UserError(
            f"answers: found {len(texts)} to the {len(chosen)} prompts of {split}"
        )
    others = {i: r["reference"] for i, r in chosen.items()}
    if opponents is not None:
        others = {a["id"]: a["text"] for a in opponents}
    if missing := [i for i in texts if i not in others]:
        raise UserError(
            f"pairs: {len(missing)} answers without an opponent: {', '.join(missing[:3])}"
        )
    return [
        Pair(
            i,
            asked_text(chosen[i]),
            text,
            others[i],
            reference=chosen[i]["reference"],
        )
        for i, text in texts.items()
    ]


def by_judge(
    matched_pairs: list[Pair],
    spec: ComparisonSpec,
    judge: Judge,
    template: str,
    progress: Progress = None,
) -> tuple[Rows, dict[str, Any]]:
    """Rows as ``pairs.judged`` makes them, each also with ``by``, the model that replied
    where that is not the one that was asked; and facts.

    Raises UserError: as ``Judge.ask``, or no reply names a winner.
    """
    asked = pairs.ordered(matched_pairs, spec)
    requests = [pairs.request_of(pair, template, spec) for pair in asked]
    spent = judge.spent()
    replies = judge.ask(requests, progress)
    rows = pairs.judged(asked, [reply.text for reply in replies], spec)
    unparsable = sum(not row["judgment"] for row in rows)
    if unparsable == len(rows):
        raise UserError(
            f"judge {judge.spec.model}: none of {len(rows)} replies names a winner, as"
            f" {replies[0].text[:80]!r}; needed is a line such as 'Preferred: A'"
        )
    for row, reply in zip(rows, replies, strict=True):
        row["by"] = reply.model if others([reply], judge.spec) else ""
    facts = {
        "pairs": len(rows),
        "unparsable": unparsable,
        "dollars": round(judge.spent() - spent, 6),
        "other_models": others(replies, judge.spec),
    }
    return rows, facts


def step(
    spec: ComparisonSpec | SimilaritySpec | LikelihoodSpec, job: Job
) -> dict[str, Any]:
    """Which of two answers is better, by a judge or by a proxy."""
    if not isinstance(spec, ComparisonSpec):
        job.claim(spec.device.device)
    matched_pairs = matched(
        read(job.input("records"), [spec.split]),
        read_rows(*job.paths("answers")),
        read_rows(*job.paths("opponents")) if job.paths("opponents") else None,
        spec.split,
    )
    if isinstance(spec, ComparisonSpec):
        template = spec.template
        if not template:
            text = singles(job.files())["prompt"].read_text(encoding="utf-8")
            template = pairs.template_of(text, spec.constant or None)
        judge, progress = judge_of(spec.endpoint, job), job.progress("pairs")
        rows, facts = by_judge(matched_pairs, spec, judge, template, progress)
    else:
        from selfgen.judge import proxy

        rows = proxy.compare(matched_pairs, spec, job.input("scorer"))
        facts = {"pairs": len(rows)}
    write_rows(job.output("judgments"), rows)
    return facts
