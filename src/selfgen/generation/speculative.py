"""The windowed engine: only drawn positions cost a pass, and each row goes at its own pace.

A row's answer is known up to its next drawn position, so one pass reads everything up to
there: passes are counted in drawn tokens, not in tokens, and no token is read twice. Where
a pass is far from filling the machine, it also reads on over drawn positions as if their
guess (the reference, or what an earlier pass drew there) were right. The draws at those
positions are then checked from left to right: up to the first that differs from its guess
they are what left-to-right decoding draws, since they were made on the same context with
the same noise; what was read behind it is read again. Why this is exact: docs/method.md.

Rows that are finished make room for the next ones, so the batch stays full.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from selfgen.generation.decoding import Counts, Filled, Row, Sampler
from selfgen.generation.kv_cache import Slots
from selfgen.models.attention import forward_flat
from selfgen.models.loading import decoder

STEP_TOKENS = {"cpu": 1024, "mps": 4096, "cuda": 16384}
"""New tokens of one pass at most; a longer prompt is read in parts."""

MIN_PREFIX = 8
"""A shorter common beginning of all prompts is not worth reading on its own."""


@dataclass
class Acceptance:
    """How often a guess was right: a running share that starts at a half."""

    right: float = 1.0
    seen: float = 2.0

    def add(self, right: bool) -> None:
        self.right += right
        self.seen += 1

    @property
    def rate(self) -> float:
        return self.right / self.seen


@dataclass
class Work:
    """A row in its slot. Positions count from the start of the prompt.

    ``marks[front]`` is the next position to draw; ``cached``: tokens before it are final
    and read; ``guessed``: positions whose guess is a draw of an earlier pass.
    """

    index: int
    row: Row
    tokens: np.ndarray
    marks: list[int]
    cached: int
    front: int = 0
    guessed: set[int] = field(default_factory=set)

    @classmethod
    def start(cls, index: int, row: Row, cached: int) -> Work:
        prompt = len(row.prompt_ids)
        tokens = np.zeros(len(row), dtype=np.int64)
        tokens[:prompt] = row.prompt_ids
        tokens[prompt : prompt + len(row.given)] = row.given
        return cls(index, row, tokens, [prompt + t for t in row.positions], cached)

    @property
    def behind(self) -> int:
        """Tokens to read before the next draw."""
        return self.marks[self.front] - self.cached

    @property
    def answer(self) -> list[int]:
        end = len(self.tokens) if self.row.given else self.marks[self.front - 1] + 1
        return self.tokens[len(self.row.prompt_ids) : end].tolist()


@dataclass(frozen=True)
class Span:
    """What a pass reads of a row: positions up to ``end``, and the draws it checks."""

    slot: int
    work: Work
    end: int
    checks: int

    def __len__(self) -> int:
        return self.end - self.work.cached


@dataclass(frozen=True)
class Cost:
    """What things take, in the time that one more token takes in a pass: ``overhead`` of a
    pass, and ``draw`` of a draw (vocabulary projection and noise)."""

    overhead: float
    draw: float


class Windowed:
    """Fills rows, reading on over guesses as far as that pays at the given ``cost``.

    A pass of n tokens takes as long as overhead + n tokens. With R rows in the batch, a
    pass less for one row is therefore worth overhead / R tokens.
    """

    def __init__(self, model: Any, sampler: Sampler, cost: Cost) -> None:
        self.model, self.sampler, self.cost = model, sampler, cost
        self.body, self.head = decoder(model), model.get_output_embeddings()
        self.reference, self.guess = Acceptance(), Acceptance()
        self.counts = Counts()

    @torch.inference_mode()
    def __call__(self, rows: Sequence[Row], batch_size: int) -> Filled:
        """Fill ``rows`` in the given order, at most ``batch_size`` at a time."""
        size = min(batch_size, len(rows))
        slots = Slots(size, max(map(len, rows), default=0), self.model.device)
        prefix = self._read_prefix(rows, slots)
        waiting = iter(enumerate(rows))
        empty = list(range(size))
        active: dict[int, Work] = {}
        while True:
            while empty and (entry := next(waiting, None)):
                index, row = entry
                if row.positions:
                    active[empty.pop()] = Work.start(index, row, prefix)
                else:
                    yield index, list(row.given)
            if not active:
                return
            if len(active) <= slots.rows // 2:  # nothing is waiting
                kept = sorted(active)
                slots.keep(kept)
                active = {new: active[old] for new, old in enumerate(kept)}
                empty = []
            for slot in self._step(active, slots):
                work = active.pop(slot)
                empty.append(slot)
                yield work.index, work.answer

    def _read_prefix(self, rows: Sequence[Row], slots: Slots) -> int:
        """Read the common beginning of all prompts once, for all slots; its length."""
        if len(rows) < 2:
            return 0
        prompts = [list(row.prompt_ids) for row in rows]
        # What the first and the last in sorted order share, all share.
        ends = zip(min(prompts), max(prompts), strict=False)
        shared = [
            a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], ends)
        ]
        length = min(len(shared), min(map(len, prompts)) - 1)
        if length < MIN_PREFIX:
            return 0
        size = STEP_TOKENS[slots.device.type]
        for start in range(0, length, size):
            end = min(length, start + size)
            self._forward(slots, [0], [start], [end], np.array(shared[start:end]))
        slots.copy_prefix(length)
        return length

    def _forward(
        self,
        slots: Slots,
        which: list[int],
        starts: list[int],
        ends: list[int],
        tokens: np.ndarray,
    ) -> torch.Tensor:
        self.counts.passes += 1
        self.counts.forwarded += len(tokens)
        positions = slots.step(np.array(which), np.array(starts), np.array(ends))
        ids = torch.from_numpy(tokens).to(slots.device, non_blocking=True)
        return forward_flat(self.body, ids, positions, slots)

    def _step(self, active: dict[int, Work], slots: Slots) -> list[int]:
        """One pass over all rows; returns the slots whose rows are finished."""
        spans = self._spans(active, STEP_TOKENS[slots.device.type])
        states = self._forward(
            slots,
            [span.slot for span in spans],
            [span.work.cached for span in spans],
            [span.end for span in spans],
            np.concatenate([s.work.tokens[s.work.cached : s.end] for s in spans]),
        )
        before, keys, positions = [], [], []
        first = 0
        for span in spans:
            work = span.work
            for mark in work.marks[work.front : work.front + span.checks]:
                before.append(first + mark - 1 - work.cached)
                keys.append(work.row.key)
                positions.append(mark - len(work.row.prompt_ids))
            first += len(span)
        draws: list[int] = []
        if before:
            self.counts.projected += len(before)
            where, keys_, at = torch.tensor(
                [before, keys, positions], dtype=torch.int64
            ).to(slots.device)
            draws = self.sampler(self.head, states[where], keys_, at).tolist()
        finished, used = [], 0
        for span in spans:
            if self._settle(span, draws[used : used + span.checks]):
                finished.append(span.slot)
            used += span.checks
        return finished

    def _spans(self, active: dict[int, Work], room: int) -> list[Span]:
        """What to read of each row: at least to its next draw, as far as there is room.

        Rows with little to read come first, so that a long prompt cannot hold them up.
        """
        worth = self.cost.overhead / len(active)
        spans = []
        for slot in sorted(active, key=lambda slot: active[slot].behind):
            work = active[slot]
            if room == 0:
                break
            if work.behind > room:
                spans.append(Span(slot, work, work.cached + room, 0))
                room = 0
            else:
                spans.append(Span(slot, work, work.marks[work.front], 1))
                room -= work.behind
        for i, span in enumerate(spans):
            if span.checks:
                spans[i] = self._read_on(span, worth, room)
                room -= len(spans[i]) - len(span)
        return sorted(spans, key=lambda span: span.slot)

    def _read_on(self, span: Span, worth: float, room: int) -> Span:
        """Read on over guesses while the gain is above the cost, in tokens.

        Reading up to a mark costs the tokens on the way, if a guess before it is wrong,
        and its draw. It saves a pass if all are right; and it makes a guess at that mark,
        if there is none but the reference, which saves a pass later if that is right.
        """
        work, checks, right = span.work, 1, 1.0
        marks = work.marks
        while work.row.given and work.front + checks < len(marks):
            over, mark = marks[work.front + checks - 1], marks[work.front + checks]
            known = self.guess if over in work.guessed else self.reference
            right *= known.rate
            gain = right if mark in work.guessed else max(right, self.guess.rate)
            wasted = (1 - right) * (mark - over + self.cost.draw)
            if gain * worth <= wasted or mark - work.cached > len(span) + room:
                break
            checks += 1
        return Span(span.slot, work, marks[work.front + checks - 1], checks)

    def _settle(self, span: Span, draws: list[int]) -> bool:
        """Take over the draws up to the first wrong guess; is the row finished?"""
        work = span.work
        if not draws:
            work.cached = span.end
            return False
        for number, token in enumerate(draws):
            mark = work.marks[work.front]
            right = bool(work.tokens[mark] == token)
            if work.row.given:
                known = self.guess if mark in work.guessed else self.reference
                known.add(right)
            work.tokens[mark] = token
            work.front += 1
            work.cached = mark
            if token == work.row.stop:
                return True
            if not right:
                for later, guess in enumerate(draws[number + 1 :], work.front):
                    work.tokens[work.marks[later]] = guess
                    work.guessed.add(work.marks[later])
                break
        return work.front == len(work.marks)
