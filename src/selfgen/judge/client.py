"""Asking a judge: in parallel, within a budget, and never twice."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.benchmarks.base import Reply, Request
from selfgen.core.errors import UserError
from selfgen.core.spec import from_json
from selfgen.judge.endpoint import FREE, Endpoint, Failure, Tokens, most
from selfgen.judge.replies import Replies, key_of
from selfgen.judge.spec import EndpointSpec, Limits

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

log = logging.getLogger(__name__)

CHARACTERS_A_TOKEN = 4
"""For estimates before the first call, when no tokenizer of the judge is at hand."""

FIRST_WAIT, LAST_WAIT = 0.5, 8.0
"""Seconds before a request is tried again, doubled each time, if the endpoint names none."""


@dataclass(frozen=True)
class Estimate:
    """What asking will cost: ``asked`` requests of ``total``, the others are kept;
    ``dollars`` if every completion is as long as it may be; ``spent`` dollars before."""

    total: int
    asked: int
    dollars: float
    spent: float


Progress = Callable[[int, int], None] | None


class Judge:
    """A judge model, the replies that it gave before, and what it may cost."""

    def __init__(self, spec: EndpointSpec, limits: Limits, folder: Path) -> None:
        """``folder``: where replies are kept, for all judges and runs."""
        self.spec, self.limits, self.replies = spec, limits, Replies(folder)

    def ask(
        self,
        requests: Sequence[Request],
        progress: Progress = None,
    ) -> list[Reply]:
        """The replies to ``requests``, in their order; equal requests are asked once.

        ``progress``: called with (replies, requests).

        Raises UserError, one line: no key, an endpoint that is down or refuses, the budget
        is reached, requests without a usable reply. Replies that came are kept, so that the
        same call goes on where it stopped.
        """
        asked = self._keyed(requests)
        replies = self._kept(asked)
        if len(replies) < len(asked):
            said = self.estimate(requests)
            log.info(
                "judge %s: %d requests, %d of them kept; the others cost about $%.4f at"
                " most; $%.4f of a budget of $%g are spent",
                *(self.spec.model, said.total, said.total - said.asked),
                *(said.dollars, said.spent, self.limits.budget),
            )
            with self.replies.alone():
                # Another process may have asked for the same in the meantime.
                replies = self._kept(asked)
                missing = {k: r for k, r in asked.items() if k not in replies}
                replies |= self._ask(missing, len(asked), progress)
        if named := others(replies.values(), self.spec):
            log.warning(
                "judge %s: %d of %d replies are by another model: %s",
                *(self.spec.model, sum(named.values()), len(replies), ", ".join(named)),
            )
        return [replies[key_of(self.spec.model, r)] for r in requests]

    def estimate(self, requests: Iterable[Request]) -> Estimate:
        """About what ``ask`` will cost, by the length of the prompts in characters, if every
        completion is as long as it may be."""
        asked = self._keyed(requests)
        kept = self._kept(asked)
        missing = [request for key, request in asked.items() if key not in kept]
        dollars = sum(self._about(request) for request in missing)
        return Estimate(len(asked), len(missing), dollars, self.spent())

    def spent(self) -> float:
        """Dollars that were spent on the model until now."""
        return self._price(*self.replies.paid(self.spec.model))

    def _keyed(self, requests: Iterable[Request]) -> dict[str, Request]:
        return {key_of(self.spec.model, request): request for request in requests}

    def _kept(self, keys: Iterable[str]) -> dict[str, Reply]:
        kept = ((key, self.replies.get(key)) for key in keys)
        return {key: reply for key, reply in kept if reply is not None}

    def _price(self, prompt_tokens: float, completion_tokens: float) -> float:
        limits = self.limits
        dollars = prompt_tokens * limits.input_price
        return (dollars + completion_tokens * limits.output_price) / 1e6

    def _about(self, request: Request) -> float:
        text = sum(len(str(message["content"])) for message in request["messages"])
        return self._price(text / CHARACTERS_A_TOKEN, request["max_tokens"])

    def _ask(
        self,
        missing: dict[str, Request],
        total: int,
        progress: Progress,
    ) -> dict[str, Reply]:
        if not missing:
            return {}
        run = _Run(self, total - len(missing), total, progress)
        _complete(run.all(missing))
        run.check()
        return run.found


class _Run:
    """One go at the requests that have no reply yet."""

    def __init__(
        self,
        judge: Judge,
        before: int,
        total: int,
        progress: Progress,
    ) -> None:
        self.judge, self.spec, self.limits = judge, judge.spec, judge.limits
        self.replies = judge.replies
        self.before, self.total, self.progress = before, total, progress
        self.endpoint = Endpoint(judge.spec, judge.limits)
        self.rate = RateLimiter(judge.limits.requests_per_minute)
        self.found: dict[str, Reply] = {}
        self.refused: list[str] = []
        self.stop = ""
        self.spent, self.reserved = judge.spent(), 0.0

    async def all(self, missing: dict[str, Request]) -> None:
        """Ask for every reply, as many at a time as the limits allow."""
        todo = iter(missing.items())
        async with self.endpoint.client:
            await asyncio.gather(
                *(self._work(todo) for _ in range(self.limits.concurrency))
            )

    async def _work(self, todo: Iterator[tuple[str, Request]]) -> None:
        for key, request in todo:
            await self.one(key, request)

    async def one(self, key: str, request: Request) -> None:
        """Ask for one reply and keep it, after as many tries as ``retries`` allows, unless
        the run has to stop. Another try costs as much again."""
        for attempt in range(self.limits.retries + 1):
            try:
                reply = await self._once(request)
            except Failure as failure:
                if failure.again and attempt < self.limits.retries:
                    log.info("asking again: %s", self._clean(failure.after(0)))
                    await asyncio.sleep(failure.wait or _pause(attempt))
                    continue
                if failure.ends:
                    self.stop = self.stop or failure.after(attempt)
                else:
                    self.refused.append(failure.after(0))
                return
            if reply is not None:
                self.replies.put(key, reply)
                self.found[key] = reply
                if self.progress:
                    self.progress(self.before + len(self.found), self.total)
            return

    def check(self) -> None:
        """Raises UserError where a request has no reply."""
        have = self.before + len(self.found)
        if have == self.total:
            return
        why = self.stop or f"{len(self.refused)} unusable: {self.refused[0]}"
        raise UserError(
            f"judge {self.spec.model}: {have} of {self.total} replies, which are kept;"
            f" {self._clean(why)}"
        )

    async def _once(self, request: Request) -> Reply | None:
        """One try, which is paid for; None where the run has to stop. Raises Failure."""
        at_most = most(request)
        dollars = self.judge._price(*at_most)
        if not self._reserve(dollars):
            return None
        used = FREE
        try:
            await self.rate.wait()
            used = at_most  # also of a request that is interrupted
            reply = await self.endpoint.ask(request)
            used = reply.prompt_tokens, reply.completion_tokens
            return reply
        except Failure as failure:
            used = failure.used
            raise
        finally:
            self.reserved -= dollars
            self._pay(used)

    def _reserve(self, dollars: float) -> bool:
        """Whether a request may still be sent: nothing failed, and even if all that are
        under way cost the most, the budget holds."""
        if self.stop:
            return False
        if self.spent + self.reserved + dollars > self.limits.budget:
            self.stop = (
                f"the next request might exceed the budget of"
                f" ${self.limits.budget:g}, of which ${self.spent:.4f} are spent"
            )
            return False
        self.reserved += dollars
        return True

    def _pay(self, tokens: Tokens) -> None:
        if any(tokens):
            self.replies.pay(self.spec.model, *tokens)
            self.spent += self.judge._price(*tokens)

    def _clean(self, text: str) -> str:
        """One line without the key, which an endpoint may repeat in its messages."""
        return " ".join(text.replace(self.endpoint.key, "***").split())[:300]


class RateLimiter:
    """Spaces calls evenly, to at most ``per_minute``; 0: no limit."""

    def __init__(self, per_minute: float) -> None:
        self.gap = 60 / per_minute if per_minute else 0.0
        self.next = time.monotonic()

    async def wait(self) -> None:
        """Returns when it is the caller's turn."""
        turn = max(self.next, time.monotonic())
        self.next = turn + self.gap
        await asyncio.sleep(max(0.0, turn - time.monotonic()))


def others(replies: Iterable[Reply], spec: EndpointSpec) -> dict[str, int]:
    """The models that replied and are not the one that was asked, by their own names, and
    how many replies each gave."""
    names = (reply.model for reply in replies)
    return dict(Counter(name for name in names if name not in ("", spec.model)))


def _pause(attempt: int) -> float:
    return min(FIRST_WAIT * 2.0**attempt, LAST_WAIT) * random.uniform(0.75, 1)


def _complete(work: Coroutine[Any, Any, None]) -> None:
    """Runs what is asynchronous to its end, also in a notebook, which has a loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
    else:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, work).result()


def judge_of(spec: EndpointSpec, job: Job) -> Judge:
    """The judge of a job; raises UserError where it does not say how to ask."""
    if not job.limits or job.replies is None:
        raise UserError("step: needed are --set limits=JSON and --set replies=FOLDER")
    return Judge(spec, from_json(Limits, job.limits), job.replies)
