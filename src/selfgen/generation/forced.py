"""The scheduled-sampling pass: self-generated tokens aligned with a reference.

At every answer position t the context token is the model's own with probability ``beta``,
else the reference's: s_t = y_t, or s_t ~ p(. | x, s_<t) drawn left to right on the context
already mixed. ``onepass`` is the cheap relative with another distribution: it draws from
p(. | x, y_<t), so a drawn token never sees an earlier one.

Source: our reading A of Algorithm 1 (BASH) of arXiv 2410.14655, docs/method.md; the mixing
rule is that of scheduled sampling (Bengio et al. 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from selfgen.core.errors import UserError
from selfgen.core.rng import row_key, uniform
from selfgen.core.spec import at_least, instance
from selfgen.generation import engines
from selfgen.generation.decoding import Prompt, Request, of_shard, token_ids
from selfgen.generation.onepass import OnePass
from selfgen.generation.sampling import Sampler
from selfgen.generation.spec import Drawing, PassSpec
from selfgen.models import probe

MARKED = 1024
"""Rows whose positions are marked at once: it takes a hundred bytes a token."""


@dataclass(frozen=True)
class Reference(Prompt):
    """One reference answer to mix: token ids of the prompt and of the closed answer.

    ``rates``: the mixing probability of each answer position, where it is not the same
    ``beta`` at all of them.
    """

    answer_ids: Sequence[int]
    rates: Sequence[float] | None = None

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.answer_ids)


def mixing_mask(seed: int, row: Reference, beta: float, span: int = 1) -> list[bool]:
    """Which answer positions take the model's token: [answer length].

    Marks come in runs of ``span``; whatever the span, every position is marked with its
    rate. The last position is never mixed: it is the EOS (or the cut), which is no context.
    """
    return mixing_masks(seed, [row], beta, span)[0]


def mixing_masks(
    seed: int, rows: Sequence[Reference], beta: float, span: int = 1
) -> list[list[bool]]:
    """``mixing_mask`` of several rows at once.

    Raises UserError: a rate outside 0 to 1, or not one for each token.
    """
    at_least("span", span, 1)
    if not rows:
        return []  # a shard may be empty
    rates = [_rates(row, beta) for row in rows]
    lengths = torch.tensor([len(own) for own in rates])
    keys = torch.tensor([row_key(seed, "mix", row.epoch, row.id) for row in rows])
    ends = lengths.cumsum(0)
    places = torch.arange(int(lengths.sum())) - (ends - lengths).repeat_interleave(
        lengths
    )
    flat = torch.tensor([r for own in rates for r in own], dtype=torch.float64)
    # A run starts with this probability outside of one; for single tokens it is the rate.
    starts = flat / (flat + span * (1 - flat))
    drawn = uniform(keys.repeat_interleave(lengths), places) < starts
    masks = [part.tolist() for part in drawn.split(lengths.tolist())]
    if span > 1:
        before = uniform(keys, torch.tensor(-1)).tolist()
        masks = [
            _runs(mask, span, _left(u, own[0], span))
            for mask, u, own in zip(masks, before, rates, strict=True)
        ]
    return [[*mask[:-1], False] for mask in masks]


def _rates(row: Reference, beta: float) -> Sequence[float]:
    rates = [beta] * len(row.answer_ids) if row.rates is None else row.rates
    if len(rates) != len(row.answer_ids):
        raise UserError(
            f"rates: found {len(rates)} for the {len(row.answer_ids)} tokens of {row.id}"
        )
    if not all(0 <= rate <= 1 for rate in rates):
        raise UserError(f"beta: found {max(rates, key=abs)}, allowed is 0 to 1")
    return rates


def _left(u: float, rate: float, span: int) -> int:
    """How many tokens a run that began before the first position still has, 0 to span - 1:
    an answer begins anywhere in a long sequence of runs and gaps."""
    return next((n for n in range(1, span) if u < n * rate / span), 0)


def _runs(starts: list[bool], span: int, left: int) -> list[bool]:
    marked = []
    for start in starts:
        if not left and start:
            left = span
        marked.append(left > 0)
        left = max(0, left - 1)
    return marked


def run(
    model: Any,
    rows: Sequence[Reference],
    spec: PassSpec,
    banned: Sequence[int],
    stops: Collection[int],
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """``mixed`` as a pass of the workflow says it; ``options`` as there."""
    instance("spec", spec, PassSpec)
    yield from mixed(model, rows, spec, spec.seed, banned, stops, **options)


def mixed(
    model: Any,
    rows: Sequence[Reference],
    drawing: Drawing,
    seed: int,
    banned: Sequence[int],
    stops: Collection[int],
    *,
    batch_size: int = 64,
    shard: int = 0,
    shards: int = 1,
    engine: str = "auto",
    facts: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yields ``{id, epoch, tokens, drawn}`` for the rows of a shard, in the plan's order.

    ``tokens``: the mixed answer s, as long as the reference; ``drawn``: where it is the
    model's choice (which may equal the reference).

    Args:
        banned: ids that are never drawn, such as control tokens (``ends.banned``).
        stops: those of them that end an answer (``ends.stops``); they are drawn early with
            ``eos: keep``.
        engine: ``auto``, ``sequential`` or ``speculative``; in fp32 the tokens are the same.
            Ignored for ``kind: onepass``.
        batch_size: rows that are filled together, at most.
        shard: which of ``shards`` parts of the plan. Neither changes a token in fp32.
        facts: receives what the engine did, after the last row.
        progress: called with (rows finished, rows in all). Rows are yielded in order, so
            more may be finished than yielded.

    Raises:
        UserError: a rate outside 0 to 1, ids that are not unique, an unknown engine, a
            drawing of another kind, tokens that the model does not have.
    """
    if drawing.kind == "free":
        raise UserError("PassSpec.kind: found 'free', allowed: 'forced', 'onepass'")
    kept = set(stops) if drawing.eos == "keep" else set()
    sampler = Sampler(drawing.sampling, sorted(set(banned) - kept))
    chosen = of_shard(rows, batch_size, shard, shards)
    for row in chosen:
        instance("generation: a row", row, Reference)
    parts = (chosen[i : i + MARKED] for i in range(0, len(chosen), MARKED))
    masks = [
        mask
        for part in parts
        for mask in mixing_masks(seed, part, drawing.beta, drawing.span)
    ]
    work = [
        Request(
            row_key(seed, "token", row.epoch, row.id),
            token_ids(row.id, row.prompt_ids),
            len(row.answer_ids),
            token_ids(row.id, row.answer_ids),
            [t for t, drawn in enumerate(mask) if drawn],
            name=str(row.id),
            group=row.group,
        )
        for row, mask in zip(chosen, masks, strict=True)
    ]
    if drawing.kind == "onepass":
        filler: engines.Engine = OnePass(probe.reader(model), sampler)
    else:
        filler = engines.make(engine, model, sampler, work, batch_size)
    filled = engines.in_order(engines.fill(filler, work, batch_size, progress))
    for index, tokens in filled:
        named = {"id": chosen[index].id, "epoch": chosen[index].epoch}
        yield named | {"tokens": tokens, "drawn": masks[index]}
    if facts is not None:
        facts |= engines.facts(filler)
