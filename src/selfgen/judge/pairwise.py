"""One contest: the answers of a model against an opponent's, and who won."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.rows import read_rows, write_rows
from selfgen.data.records import read
from selfgen.judge import pairs as asking
from selfgen.judge.client import Judge, Request, announce
from selfgen.judge.pairs import Pair
from selfgen.judge.spec import PairsSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

Rows = list[dict[str, Any]]


def run(
    records: Rows,
    answers: Rows,
    opponents: Rows | None,
    spec: PairsSpec,
    *,
    replies: Path | None = None,
    scorer: Path | None = None,
    prompt: Path | None = None,
    before: Callable[[Judge, Sequence[Request]], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Rows, dict[str, Any]]:
    """Rows ``{id, first, verdict, won, words, opponent_words, reply}``, and facts.

    Args:
        records: of ``spec.split`` and others.
        opponents: answers of the other model; None: the references.
        replies: the folder where an endpoint's replies are kept.
        scorer: of a proxy: the encoder's wheel, or the base model's folder.
        prompt: the judge prompt, where ``spec.template`` is empty.
        before: called with the judge and all requests before the first is sent.

    Raises UserError: as ``pairs_of`` and ``Judge.ask``.
    """
    chosen = {r["id"]: r for r in records if r["split"] == spec.split}
    texts = {a["id"]: a["text"] for a in answers if a["id"] in chosen}
    if len(texts) < len(chosen):
        raise UserError(
            f"answers: found {len(texts)} to the {len(chosen)} prompts of {spec.split}"
        )
    others = (
        {i: r["reference"] for i, r in chosen.items()}
        if opponents is None
        else {a["id"]: a["text"] for a in opponents}
    )
    prompts = {i: r["prompt"] for i, r in chosen.items()}
    made = asking.pairs_of(prompts, texts, others, spec)
    if spec.proxy:
        return _by_proxy(made, chosen, spec, scorer), {"pairs": len(made)}
    judge = Judge(spec.endpoint, replies)
    template = spec.template or asking.template_of(
        prompt.read_text(encoding="utf-8"), spec.constant or None
    )
    requests = [asking.request_of(pair, template, spec) for pair in made]
    if before:
        before(judge, requests)
    spent = judge.spent()
    found = [reply.text for reply in judge.ask(requests, progress)]
    rows = asking.judged(made, found, spec)
    facts = {
        "pairs": len(made),
        "unparsable": sum(not row["verdict"] for row in rows),
        "dollars": round(judge.spent() - spent, 6),
    }
    return rows, facts


def _by_proxy(
    made: list[Pair], records: dict[str, Any], spec: PairsSpec, scorer: Path
) -> Rows:
    from selfgen.judge import proxy

    kind = spec.proxy.kind
    sides = ([pair.answer for pair in made], [pair.opponent for pair in made])
    if kind == "similarity":
        encoder = proxy.Encoder(scorer, spec.proxy.member, spec.proxy.device)
        near = [records[pair.id][spec.proxy.to] for pair in made]
        scores = [encoder.similarity(texts, near) for texts in sides]
    elif kind == "likelihood":
        asked = [pair.prompt for pair in made]
        scores = [
            proxy.log_likelihood(scorer, asked, texts, spec.prompt, spec.proxy.device)
            for texts in sides
        ]
    else:
        raise UserError(f"proxy: found {kind!r}, allowed: similarity, likelihood")
    return proxy.judged(made, *scores)


def step(spec: PairsSpec, job: Job) -> dict[str, Any]:
    """Who wins, pair by pair, by a judge or by a proxy."""
    if spec.proxy:
        job.claim(spec.proxy.device.device)
    opponents = job.paths("opponents")
    rows, facts = run(
        read(job.input("records"), [spec.split]),
        read_rows(*job.paths("answers")),
        read_rows(*opponents) if opponents else None,
        spec,
        replies=job.replies,
        scorer=next(iter(job.paths("scorer")), None),
        prompt=next(iter(job.paths("prompt")), None),
        before=announce,
        progress=job.progress("pairs"),
    )
    write_rows(job.output("verdicts"), rows)
    return facts
