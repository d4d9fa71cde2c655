"""What is read of a model, a row a prompt: its answers, and what it says after its own
tokens, after the reference's, and after tokens that were replaced."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from selfgen.core.hashing import unit
from selfgen.core.spec import Sampling
from selfgen.data.checked import Checker, errors, spans, steps_of
from selfgen.data.examples import Example
from selfgen.data.prompts import answer_text
from selfgen.evaluation.exposure import aligned, check_shared, divergence, read_logits
from selfgen.evaluation.steps import after, forced_steps
from selfgen.generation import ends, free
from selfgen.generation.decoding import Prompt
from selfgen.measures import planted, planted_steps, variants
from selfgen.measures.spec import CONTINUED, MeasureSpec

if TYPE_CHECKING:
    import torch

Answers = Mapping[str, list[int]]
"""Token ids by prompt id."""


@dataclass(frozen=True)
class Reading:
    """One answer as a model reads it; lists are [answer length].

    ``nll`` of its tokens, in nats; of the distribution that generation draws from,
    ``entropy`` in nats, ``choice``, the likeliest token, its probability ``confidence``, and
    ``rival``, the likeliest other than the answer's that ends nothing; ``loudest``: the
    likeliest of all tokens, also of those that generation never draws. With an oracle:
    ``kl``, KL(oracle || model) in nats, ``oracle_nll`` of the answer's tokens, and
    ``oracle_right``, the probability that it gives to the choice.
    """

    nll: list[float]
    entropy: list[float]
    choice: list[int]
    confidence: list[float]
    rival: list[int]
    loudest: list[int]
    kl: list[float]
    oracle_nll: list[float]
    oracle_right: list[float]


@dataclass(frozen=True)
class Instrument:
    """A model with what it is read by. ``oracle`` and ``checker``: None where there is none;
    ``tokens``: the ids that model and oracle share; ``every``: all prompts that are read,
    also where they are read in parts."""

    model: Any
    tokenizer: Any
    spec: MeasureSpec
    every: Sequence[Example]
    oracle: Any = None
    tokens: Sequence[int] = ()
    checker: Checker | None = None
    batch_size: int = 64

    @cached_property
    def pool(self) -> list[int]:
        """The tokens of all references that end nothing."""
        stops = ends.stops(self.model, self.tokenizer)
        return [i for e in self.every for i in e.answer_ids if i not in stops]

    @cached_property
    def longest_step(self) -> int:
        """Tokens of the longest step of all references that a checker judges; 1 without."""
        if self.checker is None:
            return 1
        marks = self.checker.delimiters
        parts = (spans(self.tokenizer, list(e.answer_ids), marks) for e in self.every)
        return max((end - start for part in parts for start, end in part), default=1)

    def read(self, rows: Sequence[Example]) -> list[Reading]:
        """Answers in the contexts that they stand in."""
        stops = ends.stops(self.model, self.tokenizer)
        banned = ends.banned(self.model, self.tokenizer, but=stops)
        if self.oracle is not None:
            check_shared(rows, self.tokens)
        models = [self.model] if self.oracle is None else [self.model, self.oracle]
        columns = _columns(banned, stops, self.tokens)
        read = read_logits(models, rows, columns, None)
        return [
            Reading(*([list(x) for x in zip(*row, strict=True)] or [[]] * 9))
            for row in read
        ]

    def complete(
        self,
        examples: Sequence[Example],
        before: Answers,
        sampling: Sampling,
        limit: int,
        *,
        epoch: int = 0,
        ends_turns: bool = True,
    ) -> dict[str, list[int]]:
        """What the model goes on with after each prompt and the tokens ``before``."""
        prompts = [
            Prompt(e.id, epoch, [*e.prompt_ids, *before.get(e.id, [])])
            for e in examples
        ]
        made = free.complete(
            self.model,
            self.tokenizer,
            prompts,
            sampling,
            seed=self.spec.seed,
            max_new_tokens=limit,
            ends_turns=ends_turns,
            batch_size=self.batch_size,
        )
        return {prompt.id: ids for prompt, ids in made}


def _columns(
    banned: Sequence[int], stops: Collection[int], tokens: Sequence[int]
) -> Callable[..., list[tuple[Any, ...]]]:
    """The fields of ``Reading`` for answer tokens [n], from logits [n, vocabulary]."""
    import torch

    kept = torch.as_tensor(tokens, dtype=torch.long)
    never = torch.isin(kept, torch.as_tensor(banned, dtype=torch.long))

    def columns(
        labels: torch.Tensor, own: torch.Tensor, oracle: torch.Tensor | None = None
    ) -> list[tuple[Any, ...]]:
        whole = own.log_softmax(-1)
        nll = -whole.gather(1, labels[:, None])[:, 0]
        shut, ending = ([i for i in x if i < own.shape[-1]] for x in (banned, stops))
        drawn = own.clone()
        drawn[:, shut] = -torch.inf
        drawn = drawn.log_softmax(-1)
        entropy = torch.special.entr(drawn.exp()).sum(-1)
        confidence, choice = drawn.max(-1)
        open_to = drawn.index_fill(
            1, torch.tensor(ending, device=own.device), -torch.inf
        )
        rival = open_to.scatter(1, labels[:, None], -torch.inf).argmax(-1)
        found = [nll, entropy, choice, confidence.exp(), rival, whole.argmax(-1)]
        if oracle is None:
            nothing = torch.full_like(nll, torch.nan)
            found += [nothing] * 3
        else:
            ids = kept.to(own.device)
            other = oracle[:, ids].log_softmax(-1)
            # What generation never draws is no choice of either.
            chosen_from = oracle[:, ids].masked_fill(never.to(own.device), -torch.inf)
            place = torch.searchsorted(ids, choice).clamp_max(len(ids) - 1)
            chosen = chosen_from.softmax(-1).gather(1, place[:, None])[:, 0]
            right = chosen * (ids[place] == choice)
            there = torch.searchsorted(ids, labels).clamp_max(len(ids) - 1)
            found += [
                divergence(own[:, ids].log_softmax(-1), other),
                -other.gather(1, there[:, None])[:, 0],
                right,
            ]
        return list(zip(*(column.tolist() for column in found), strict=True))

    return columns


def chosen(records: Sequence[dict[str, Any]], prompts: int) -> list[dict[str, Any]]:
    """So many records, those with the lowest hash of their id, so nobody picked them; one of
    those that ask the same, since their answers would count twice in every interval."""
    order = sorted(records, key=lambda r: (unit(r["id"], "measure"), r["id"]))
    asked: dict[str, dict[str, Any]] = {}
    for record in order:
        text = json.dumps([record["prompt"], list(record.get("history") or [])])
        asked.setdefault(text, record)
    return list(asked.values())[:prompts]


def read_prompts(
    own: Instrument, examples: Sequence[Example], records: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A row for each example; docs/measure.md has the columns.

    ``records``: those of the examples, in their order. Raises UserError: as generation and
    ``exposure.read_logits``.
    """
    drawn, greedy = Sampling(temperature=1.0), Sampling()
    limit = own.spec.prompt.max_answer_tokens
    stops = ends.stops(own.model, own.tokenizer)
    answers = own.complete(examples, {}, greedy, limit)
    samples = own.complete(examples, {}, drawn, limit)
    gold = own.read(examples)
    sampled = own.read(_with(examples, samples))
    rows: list[dict[str, Any]] = []
    for e, record, forced, read in zip(examples, records, gold, sampled, strict=True):
        answer, sample = answers[e.id], samples[e.id]
        compared = aligned(answer, forced.choice, e.answer_ids, {})
        closed = e.answer_ids[-1] in stops
        rows.append(
            {
                "id": e.id,
                "prompt": record["prompt"],
                "reference": record["reference"],
                # As far as it was read
                "reference_text": answer_text(own.tokenizer, list(e.answer_ids)),
                "answer": answer_text(own.tokenizer, answer),
                "sample": answer_text(own.tokenizer, sample),
                "answer_ids": answer,
                "sample_ids": sample,
                "reference_ids": list(e.answer_ids),
                "answer_ended": answer[-1] in stops,
                "sample_ended": sample[-1] in stops,
                "reference_ended": closed,
                "forced_wrong": compared.forced_wrong,
                "free_wrong": compared.free_wrong,
                "nll": forced.nll,
                "entropy": forced.entropy,
                "confidence": forced.confidence,
                "own_entropy": read.entropy,
                "own_confidence": read.confidence,
                "end_probability": math.exp(-forced.nll[-1]) if closed else None,
                "end_choice": forced.loudest[-1] if closed else None,
            }
            | _of_oracle(forced, read, own)
        )
    made: Mapping[str, Mapping[str, Any]]
    for made in (
        _run_on(own, examples),
        _continued(own, examples, samples),
        planted.effects(own, examples, gold),
        planted_steps.effects(own, examples),
        _steps(own, examples, records, rows),
        variants.read(own, examples, records),
    ):
        for row in rows:
            row.update(made[row["id"]])
    return rows


def _with(examples: Sequence[Example], answers: Answers) -> list[Example]:
    return [replace(e, answer_ids=answers[e.id]) for e in examples]


def _of_oracle(gold: Reading, sampled: Reading, own: Instrument) -> dict[str, Any]:
    if own.oracle is None:
        nothing = ("gold_kl", "free_kl", "gold_right", "free_right")
        return dict.fromkeys(nothing)
    return {
        "gold_kl": gold.kl,
        "free_kl": sampled.kl,
        "gold_right": gold.oracle_right,
        "free_right": sampled.oracle_right,
    }


def _run_on(own: Instrument, examples: Sequence[Example]) -> dict[str, dict[str, Any]]:
    """Errors against the oracle of answers of a fixed length, which no token ends."""
    if own.oracle is None:
        return {e.id: {"fixed_kl": None} for e in examples}
    drawn = Sampling(temperature=1.0)
    length = own.spec.length
    made = own.complete(examples, {}, drawn, length, ends_turns=False)
    read = own.read(_with(examples, made))
    return {e.id: {"fixed_kl": r.kl} for e, r in zip(examples, read, strict=True)}


def _continued(
    own: Instrument, examples: Sequence[Example], samples: Answers
) -> dict[str, dict[str, Any]]:
    """Continuations after half of the reference and after as many own tokens (He et al.
    2021, EB-M): what a token of them costs the oracle, in nats, and how much of the
    reference's rest they have."""
    from sacrebleu.metrics.chrf import CHRF

    chrf = CHRF()
    stops = ends.stops(own.model, own.tokenizer)
    # No end is drawn, so where the shorter text ends a continuation would cost what no
    # answer costs.
    shorter = {
        e.id: min(_before_end(ids, stops) for ids in (e.answer_ids, samples[e.id]))
        for e in examples
    }
    half = {i: n // 2 for i, n in shorter.items()}
    left = {i: min(CONTINUED, n - half[i]) for i, n in shorter.items()}
    chosen = [e for e in examples if half[e.id]]
    found: dict[str, dict[str, Any]] = {e.id: {} for e in examples}
    for epoch, (side, texts) in enumerate(
        {
            "reference": {e.id: list(e.answer_ids) for e in chosen},
            "own": samples,
        }.items(),
        start=1,
    ):
        before = {e.id: list(texts[e.id][: half[e.id]]) for e in chosen}
        made = own.complete(
            chosen,
            before,
            Sampling(temperature=1.0),
            CONTINUED,
            epoch=epoch,
            ends_turns=False,
        )
        asked = [
            replace(e, prompt_ids=[*e.prompt_ids, *before[e.id]], answer_ids=made[e.id])
            for e in chosen
        ]
        read = own.read(asked) if own.oracle is not None else []
        nll = {
            e.id: math.fsum(r.oracle_nll[: left[e.id]]) / left[e.id]
            for e, r in zip(chosen, read, strict=False)
        }
        for e in examples:
            rest = e.answer_ids[half[e.id] :][: left[e.id]]
            found_ids = list(made.get(e.id, []))[: left[e.id]]
            found[e.id] |= {
                f"continued_{side}": answer_text(own.tokenizer, found_ids)
                if e.id in made
                else None,
                f"oracle_nll_{side}": nll.get(e.id),
                f"chrf_{side}": chrf.sentence_score(
                    answer_text(own.tokenizer, found_ids),
                    [answer_text(own.tokenizer, list(rest))],
                ).score
                / 100
                if e.id in made
                else None,
            }
    return found


def _before_end(ids: Sequence[int], stops: Collection[int]) -> int:
    """How many tokens stand before the one that ends an answer, if one does."""
    return len(ids) - (ids[-1] in stops)


def _steps(
    own: Instrument,
    examples: Sequence[Example],
    records: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Where a checker judges: how many steps are due, and what is wrong with own and with
    forced ones."""
    if own.checker is None:
        nothing = ("steps_due", "steps_free", "steps_forced")
        return {e.id: dict.fromkeys(nothing) for e in examples}
    marks = own.checker.delimiters
    forced, _ = forced_steps(
        own.model, own.tokenizer, examples, marks, own.batch_size, own.longest_step
    )
    found = {}
    for e, record, row, steps in zip(examples, records, rows, forced, strict=True):
        due = steps_of(record["reference"], marks)
        written = steps_of(row["answer"], marks, row["answer_ended"])
        found[e.id] = {
            "steps_due": len(due),
            "steps_free": errors(own.checker, record["prompt"], written),
            "steps_forced": after(own.checker, record["prompt"], due, steps),
        }
    return found
