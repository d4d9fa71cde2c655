"""Asking a judge: in parallel, within a budget, and never twice.

The HTTP client is ``openai``'s, which waits and tries again on 408, 409, 429, 5xx, dropped
connections and timeouts, and honours ``retry-after``. What it lets through is caught here:
replies that are no JSON, that have no choice or no text.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.benchmarks.base import Reply, Request
from selfgen.core.errors import UserError
from selfgen.core.spec import from_json
from selfgen.judge.replies import Replies, key_of
from selfgen.judge.spec import EndpointSpec, Limits

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

log = logging.getLogger(__name__)

DEFAULT_URL = "https://api.openai.com/v1"
"""Where the environment names no address."""

CHARACTERS_A_TOKEN = 4
"""For estimates before the first call, when no tokenizer of the judge is at hand."""

TOKENS_A_MESSAGE = 8
"""More than what chat formats put around a message; for the budget."""


class Unusable(Exception):
    """A reply that came and says nothing: asked again, and an error in the end."""


class Refused(Unusable):
    """A request that the endpoint does not take, and would not take again."""


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

    def _most(self, request: Request) -> float:
        # No token is shorter than a byte, so the budget is a limit in any language.
        tokens = sum(
            len(str(message["content"]).encode()) + TOKENS_A_MESSAGE
            for message in request["messages"]
        )
        return self._price(tokens, request["max_tokens"])

    def _ask(
        self,
        missing: dict[str, Request],
        total: int,
        progress: Progress,
    ) -> dict[str, Reply]:
        if not missing:
            return {}
        run = _Run(self, total - len(missing), total, progress)
        with run.client, ThreadPoolExecutor(self.limits.concurrency) as pool:
            try:
                list(pool.map(run.one, missing, missing.values()))
            except BaseException:
                run.stop = "interrupted"  # those that wait in the pool return at once
                raise
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
        self.client, self.key = _client(judge.spec, judge.limits)
        self.rate = RateLimiter(judge.limits.requests_per_minute)
        self.found: dict[str, Reply] = {}
        self.refused: list[str] = []
        self.stop = ""
        self.spent, self.reserved = judge.spent(), 0.0
        self.lock = threading.Lock()

    def one(self, key: str, request: Request) -> None:
        """Ask for one reply and keep it, after as many tries as ``retries`` allows, unless
        the run has to stop. Another try costs as much again."""
        most = self.judge._most(request)
        for left in reversed(range(self.limits.retries + 1)):
            if not self._reserve(most):
                return
            self.rate.wait()
            try:
                reply = self._once(request)
                break
            except UserError as error:
                self.stop = self.stop or str(error)
                return
            except Unusable as error:
                if not left or isinstance(error, Refused):
                    with self.lock:
                        self.refused.append(str(error))
                    return
                log.info("asking again: %s", error)
            finally:
                with self.lock:
                    self.reserved -= most
        self.replies.put(key, reply)
        with self.lock:
            self.found[key] = reply
            if self.progress:
                self.progress(self.before + len(self.found), self.total)

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

    def _reserve(self, most: float) -> bool:
        """Whether a request may still be sent: nothing failed, and even if all that are
        under way cost the most, the budget holds."""
        with self.lock:
            if self.stop:
                return False
            if self.spent + self.reserved + most > self.limits.budget:
                self.stop = (
                    f"the next request might exceed the budget of"
                    f" ${self.limits.budget:g}, of which ${self.spent:.4f} are spent"
                )
                return False
            self.reserved += most
            return True

    def _once(self, request: Request) -> Reply:
        import openai

        variable = f"{self.spec.environment}_BASE_URL"
        try:
            raw = self.client.chat.completions.with_raw_response.create(
                model=self.spec.model, **request
            )
            return self._read(raw.http_response.text)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            raise Refused(f"refused ({error.status_code}): {_said(error)}") from None
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise UserError(
                f"the endpoint refuses the key of {self.spec.environment}_API_KEY"
                f" ({error.status_code})"
            ) from None
        except openai.NotFoundError:
            raise UserError(
                f"the endpoint has no such model, or {variable} is wrong (404)"
            ) from None
        except openai.APITimeoutError:
            raise UserError(
                f"no reply within {self.limits.timeout:g} s, after"
                f" {self.limits.retries} retries"
            ) from None
        except openai.APIConnectionError as error:
            cause = type(error.__cause__ or error).__name__
            raise UserError(
                f"cannot reach the endpoint of {variable} ({cause}), after"
                f" {self.limits.retries} retries"
            ) from None
        except openai.APIStatusError as error:
            raise UserError(
                f"the endpoint fails ({error.status_code}), after"
                f" {self.limits.retries} retries: {_said(error)}"
            ) from None

    def _read(self, body: str) -> Reply:
        try:
            reply = json.loads(body)
            usage = reply.get("usage") or {}
            asked, written = (
                int(usage.get(f"{side}_tokens") or 0)
                for side in ("prompt", "completion")
            )
        except (ValueError, AttributeError, TypeError):
            raise Unusable("a reply that is no JSON of a completion") from None
        self._pay(asked, written)
        try:
            choice = reply["choices"][0]
            text = choice["message"]["content"]
        except (KeyError, IndexError, TypeError):
            raise Unusable("a reply without a choice") from None
        reason, logprobs = str(choice.get("finish_reason")), choice.get("logprobs")
        # A judge of one token may choose a blank and say all that counts by probabilities.
        if not (isinstance(text, str) and text.strip()) and not logprobs:
            raise Unusable(f"an empty completion (finish_reason {reason})")
        return Reply(text or "", reason, asked, written, logprobs)

    def _pay(self, *tokens: int) -> None:
        self.replies.pay(self.spec.model, *tokens)
        with self.lock:
            self.spent += self.judge._price(*tokens)

    def _clean(self, text: str) -> str:
        """One line without the key, which an endpoint may repeat in its messages."""
        return " ".join(text.replace(self.key, "***").split())[:300]


class RateLimiter:
    """Spaces calls evenly, to at most ``per_minute``; 0: no limit."""

    def __init__(self, per_minute: float) -> None:
        self.gap = 60 / per_minute if per_minute else 0.0
        self.next = time.monotonic()
        self.lock = threading.Lock()

    def wait(self) -> None:
        """Returns when it is the caller's turn."""
        with self.lock:
            turn = max(self.next, time.monotonic())
            self.next = turn + self.gap
        time.sleep(max(0.0, turn - time.monotonic()))


def _said(error: Any) -> str:
    """What the endpoint says of an error, without what the client adds to it."""
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message", error.message))


def _client(spec: EndpointSpec, limits: Limits) -> tuple[Any, str]:
    """The HTTP client, and the key."""
    import openai

    # These write the endpoint's address into the log.
    for name in ("httpcore", "httpcore2", "httpx", "httpx2", "openai"):
        logging.getLogger(name).setLevel(logging.WARNING)
    variable = f"{spec.environment}_API_KEY"
    key = os.environ.get(variable, "")
    if not key:
        raise UserError(
            f"judge {spec.model}: found no {variable} in the environment (an endpoint"
            " without keys takes any text)"
        )
    client = openai.OpenAI(
        api_key=key,
        base_url=os.environ.get(f"{spec.environment}_BASE_URL") or DEFAULT_URL,
        timeout=limits.timeout,
        max_retries=limits.retries,
    )
    return client, key


def judge_of(spec: EndpointSpec, job: Job) -> Judge:
    """The judge of a job; raises UserError where it does not say how to ask."""
    if not job.limits or job.replies is None:
        raise UserError("step: needed are --set limits=JSON and --set replies=FOLDER")
    return Judge(spec, from_json(Limits, job.limits), job.replies)
