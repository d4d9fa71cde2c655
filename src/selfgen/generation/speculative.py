"""The speculative engine: only drawn positions cost a pass, at each request's own pace.

A request's answer is known up to its next drawn position, so one pass reads everything up to
there: passes are counted in drawn tokens, not in tokens, and no token is read twice. Where
a pass is far from filling the machine, it also reads on over drawn positions as if their
guess were right: the reference or what an earlier pass drew there, and in answers that are
drawn everywhere a copy of what they resemble (``lookup``). The draws at those
positions are then checked from left to right: up to the first that differs from its guess
they are what left-to-right decoding draws, since they were made on the same context with
the same noise; what was read behind it is read again. Why this is exact: docs/method.md.

Requests that are finished make room for the next ones, so the batch stays full. One of the
same group comes first: what it shares with the finished one stays read.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from selfgen.generation.decoding import Counts, Filled, Request
from selfgen.generation.kv_cache import SHORT, KVCache
from selfgen.generation.lookup import LONGEST, NOTHING, Lookup
from selfgen.generation.sampling import Sampler
from selfgen.models.attention import forward_flat
from selfgen.models.reader import Reader

STEP_TOKENS = {"cpu": 1024, "mps": 4096, "cuda": 16384}
"""Maximum number of new tokens in one pass; a longer prompt is read in parts."""

MIN_PREFIX = 8
"""A shorter common beginning of all prompts is not read on its own."""


@dataclass
class Acceptance:
    """How often a guess was right: a running share that starts at one half."""

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
    """A request in its slot. Positions count from the start of the prompt.

    ``marks[front]`` is the next position to draw; ``cached``: tokens before it are final
    and read; ``guessed``: positions whose guess is a draw of an earlier pass; ``lookup``:
    what is copied where no answer is given.
    """

    index: int
    request: Request
    tokens: np.ndarray
    marks: list[int]
    cached: int
    front: int = 0
    guessed: set[int] = field(default_factory=set)
    lookup: Lookup | None = None

    @classmethod
    def start(
        cls, index: int, request: Request, cached: int, lookup: Lookup | None = None
    ) -> Work:
        prompt = len(request.prompt_ids)
        tokens = np.zeros(len(request), dtype=np.int64)
        tokens[:prompt] = request.prompt_ids
        tokens[prompt : prompt + len(request.given)] = request.given
        marks = [prompt + t for t in request.positions]
        return cls(index, request, tokens, marks, cached, lookup=lookup)

    def shared(self, other: Request) -> int:
        """Tokens of another request's prompt, but its last, that are read here already."""
        most = min(self.cached, len(other.prompt_ids) - 1)
        same = self.tokens[:most] == np.array(other.prompt_ids[:most])
        return most if same.all() else int(same.argmin())

    @property
    def last(self) -> list[int]:
        """The last tokens of the answer so far, as far as a copy asks for them."""
        end = self.marks[self.front - 1] + 1
        first = max(len(self.request.prompt_ids), end - LONGEST)
        return self.tokens[first:end].tolist()

    @property
    def behind(self) -> int:
        """Tokens to read before the next draw."""
        return self.marks[self.front] - self.cached

    @property
    def answer(self) -> list[int]:
        end = len(self.tokens) if self.request.given else self.marks[self.front - 1] + 1
        return self.tokens[len(self.request.prompt_ids) : end].tolist()


class Waiting:
    """Requests that are not begun, in their order; those of a group can be asked for."""

    def __init__(self, requests: Sequence[Request]) -> None:
        # The next one last. Not deques, each of which takes 600 bytes.
        groups: OrderedDict[str, list[tuple[int, Request]]] = OrderedDict()
        for index, request in enumerate(requests):
            # A request without a group is one by itself.
            name = f"group {request.group}" if request.group else str(index)
            groups.setdefault(name, []).append((index, request))
        for group in groups.values():
            group.reverse()
        self.groups = groups

    def __bool__(self) -> bool:
        return bool(self.groups)

    def next(self, group: str) -> tuple[int, Request]:
        """The next of a group; where it has none, of the first group that is not begun, so
        that the requests of each come one after the other into one slot."""
        name = f"group {group}"
        if name not in self.groups:
            name = next(iter(self.groups))
        entry = self.groups[name].pop()
        self.groups.move_to_end(name)
        if not self.groups[name]:
            del self.groups[name]
        return entry


@dataclass(frozen=True)
class Span:
    """What a pass reads of a request: positions up to ``end``, and the draws it checks."""

    slot: int
    work: Work
    end: int
    checks: int

    def __len__(self) -> int:
        return self.end - self.work.cached


@dataclass(frozen=True)
class Cost:
    """Costs in units of one more token in a pass: ``overhead`` of a pass, and ``draw`` of a
    draw (vocabulary projection and noise)."""

    overhead: float
    draw: float


class Speculative:
    """Fills requests, reading on over guesses as far as that pays at the given ``cost``.

    A pass of n tokens takes as long as overhead + n tokens. With R requests in the batch, a
    pass less for one request is therefore worth overhead / R tokens.
    """

    def __init__(self, reader: Reader, sampler: Sampler, cost: Cost) -> None:
        self.reader, self.sampler, self.cost = reader, sampler, cost
        self.reference, self.guess = Acceptance(), Acceptance()
        self.copied = [Acceptance() for _ in range(LONGEST + 1)]
        self.banned = frozenset(sampler.banned)
        self.counts = Counts()

    @torch.inference_mode()
    def __call__(self, requests: Sequence[Request], batch_size: int) -> Filled:
        """Fill ``requests`` in the given order, at most ``batch_size`` at a time."""
        size = min(batch_size, len(requests))
        cache = KVCache(size, max(map(len, requests), default=0), self.reader.device)
        prefix = self._read_prefix(requests, cache)
        waiting = Waiting(requests)
        empty = list(range(size))
        active: dict[int, Work] = {}
        held: dict[int, Work] = {}
        while True:
            while empty and waiting:
                before = held.get(empty[-1])
                group = before.request.group if before else ""
                index, request = waiting.next(group)
                if request.positions:
                    known = prefix
                    if before and group and request.group == group:
                        known = max(prefix, before.shared(request))
                    lookup = self._lookup(request)
                    held.pop(empty[-1], None)
                    active[empty.pop()] = Work.start(index, request, known, lookup)
                else:
                    yield index, list(request.given)
            if not active:
                return
            if len(active) <= cache.rows // 2:  # nothing is waiting
                kept = sorted(active)
                cache.keep(kept)
                active = {new: active[old] for new, old in enumerate(kept)}
                empty = []
            for slot in self._step(active, cache):
                held[slot] = work = active.pop(slot)
                empty.append(slot)
                yield work.index, work.answer

    def _lookup(self, request: Request) -> Lookup | None:
        """What an answer that is drawn everywhere may copy: no token that is never drawn, and
        none that ends it, since no draw comes behind."""
        if request.given:
            return None
        never, size = self.banned | request.stops, self.reader.vocabulary
        return Lookup(
            *(
                [t if 0 <= t < size and t not in never else NOTHING for t in ids]
                for ids in (request.sibling, request.prompt_ids)
            )
        )

    def _read_prefix(self, requests: Sequence[Request], cache: KVCache) -> int:
        """Read the common beginning of all prompts once, for all slots; its length."""
        if len(requests) < 2:
            return 0
        prompts = [list(request.prompt_ids) for request in requests]
        # What the first and the last in sorted order share, all share.
        ends = zip(min(prompts), max(prompts), strict=False)
        shared = [
            a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], ends)
        ]
        length = min(len(shared), min(map(len, prompts)) - 1)
        if length < MIN_PREFIX:
            return 0
        size = STEP_TOKENS[cache.device.type]
        for start in range(0, length, size):
            end = min(length, start + size)
            self._forward(cache, [0], [start], [end], np.array(shared[start:end]))
        cache.copy_prefix(length)
        return length

    def _forward(
        self,
        cache: KVCache,
        which: list[int],
        starts: list[int],
        ends: list[int],
        tokens: np.ndarray,
    ) -> torch.Tensor:
        self.counts.passes += 1
        self.counts.forwarded += len(tokens)
        positions = cache.step(np.array(which), np.array(starts), np.array(ends))
        ids = torch.from_numpy(tokens).to(cache.device, non_blocking=True)
        return forward_flat(self.reader.decoder, ids, positions, cache)

    def _step(self, active: dict[int, Work], cache: KVCache) -> list[int]:
        """One pass over all requests; returns the slots whose requests are finished."""
        spans = self._spans(active, STEP_TOKENS[cache.device.type])
        before, keys, positions = [], [], []
        first = 0
        for span in spans:
            work = span.work
            for mark in work.marks[work.front : work.front + span.checks]:
                before.append(first + mark - 1 - work.cached)
                keys.append(work.request.key)
                positions.append(mark - len(work.request.prompt_ids))
            first += len(span)
        # Before the pass: behind it the host would wait.
        asked = torch.tensor([before, keys, positions], dtype=torch.int64)
        where, keys_, at = asked.to(cache.device, non_blocking=True)
        states = self._forward(
            cache,
            [span.slot for span in spans],
            [span.work.cached for span in spans],
            [span.end for span in spans],
            np.concatenate([s.work.tokens[s.work.cached : s.end] for s in spans]),
        )
        draws: list[int] = []
        if before:
            self.counts.projected += len(before)
            draws = self.sampler(self.reader, states[where], keys_, at).tolist()
        finished, used = [], 0
        for span in spans:
            if self._settle(span, draws[used : used + span.checks]):
                finished.append(span.slot)
            used += span.checks
        return finished

    def _spans(self, active: dict[int, Work], room: int) -> list[Span]:
        """What to read of each request: at least to its next draw, as far as there is room.

        Requests with little to read come first, so that a long prompt cannot hold them up.
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
                lookup = span.work.lookup
                spans[i] = (
                    self._read_on(span, worth, room)
                    if lookup is None
                    else self._copy_on(span, lookup, worth, room)
                )
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
        while work.front + checks < len(marks):
            over, mark = marks[work.front + checks - 1], marks[work.front + checks]
            known = self.guess if over in work.guessed else self.reference
            right *= known.rate
            gain = right if mark in work.guessed else max(right, self.guess.rate)
            wasted = (1 - right) * (mark - over + self.cost.draw)
            if gain * worth <= wasted or mark - work.cached > len(span) + room:
                break
            checks += 1
        return Span(span.slot, work, marks[work.front + checks - 1], checks)

    def _copy_on(self, span: Span, lookup: Lookup, worth: float, room: int) -> Span:
        """Read on over copies, which are put in their places, while the gain is above the
        cost. How likely one is right depends on how many tokens before it are the text's.
        Not over so many that the span would be attended as long ones are."""
        work, right, copied = span.work, 1.0, 0
        most = min(room, len(work.marks) - work.front - 1, SHORT - 1)
        for token in itertools.islice(lookup.ahead(), most):
            right *= self.copied[min(lookup.run + copied, LONGEST)].rate
            if right * worth <= (1 - right) * (1 + self.cost.draw):
                break
            work.tokens[work.marks[work.front + copied]] = token
            copied += 1
        return Span(span.slot, work, work.marks[work.front + copied], 1 + copied)

    def _settle(self, span: Span, draws: list[int]) -> bool:
        """Take over the draws up to the first wrong guess; is the request finished?"""
        work = span.work
        if not draws:
            work.cached = span.end
            return False
        for number, token in enumerate(draws):
            mark = work.marks[work.front]
            right = bool(work.tokens[mark] == token)
            self._count(work, mark, token)
            work.tokens[mark] = token
            work.front += 1
            work.cached = mark
            if token in work.request.stops:
                return True
            if work.lookup is not None:
                work.lookup.follow(work.last)
            if not right:
                if work.lookup is None:
                    self._guess(work, draws[number + 1 :])
                break
        return work.front == len(work.marks)

    def _count(self, work: Work, mark: int, token: int) -> None:
        """Whether the guess at a position was right, were it read or, of a copy, not."""
        lookup = work.lookup
        if lookup is None:
            known = self.guess if mark in work.guessed else self.reference
            known.add(bool(work.tokens[mark] == token))
        elif lookup.guess != NOTHING:
            self.copied[lookup.run].add(lookup.guess == token)

    def _guess(self, work: Work, draws: list[int]) -> None:
        """Draws behind a wrong guess are the guesses of the next passes."""
        for later, guess in enumerate(draws, work.front):
            work.tokens[work.marks[later]] = guess
            work.guessed.add(work.marks[later])
