"""One request to a judge over HTTP: its reply and what it cost, or what went wrong.

The connection is that of ``openai``, which is told to try once.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from selfgen.benchmarks.base import Reply, Request
from selfgen.core.errors import UserError
from selfgen.judge.spec import EndpointSpec, Limits

DEFAULT_URL = "https://api.openai.com/v1"
"""Where the environment names no address."""

TOKENS_A_MESSAGE = 8
"""More than what chat formats put around a message; for the budget."""

BYTES_A_TOKEN = 128
"""No text has fewer tokens than one for so many bytes; ``usage`` that says so is wrong."""

ABSURD = 10
"""``usage`` that says more than this many times the most is wrong."""

LONGEST_WAIT = 120.0
"""Seconds; an endpoint that asks to wait longer (Retry-After) is not asked again."""

PASSING = frozenset({408, 409, 425, 429})
"""Status codes below 500 that may be others a little later."""

OF_THE_REQUEST = frozenset({400, 413, 422})
"""Status codes that say nothing about other requests."""

Tokens = tuple[int, int]
"""Of the prompt and of the completion."""

FREE: Tokens = (0, 0)


@dataclass
class Failure(Exception):
    """A request without a reply.

    ``why``, and the endpoint's own words in ``said``. ``again``: it may be tried again, after
    ``wait`` seconds where the endpoint says so; ``ends``: others would fail as well;
    ``used``: what it is charged with.
    """

    why: str
    said: str = ""
    again: bool = False
    ends: bool = True
    wait: float = 0.0
    used: Tokens = FREE

    def after(self, retries: int) -> str:
        """What happened, and after how many retries, if any."""
        tried = f", after {retries} retries" if retries else ""
        return self.why + tried + (f": {self.said}" if self.said else "")


def most(request: Request) -> Tokens:
    """The most tokens that a request can use: none is shorter than a byte, so this is a limit
    in any language."""
    messages = request["messages"]
    return _bytes(request) + TOKENS_A_MESSAGE * len(messages), request["max_tokens"]


def used(usage: Any, request: Request, text: str) -> Tokens:
    """What ``usage`` says, each number where it is possible, and else the most."""
    usage = usage if isinstance(usage, Mapping) else {}
    sides = zip(("prompt", "completion"), most(request), strict=True)
    sizes = (_bytes(request), len(text.encode()))
    counts = []
    for (side, limit), size in zip(sides, sizes, strict=True):
        said = usage.get(f"{side}_tokens")
        least = -(-size // BYTES_A_TOKEN)
        possible = type(said) is int and least <= said <= ABSURD * limit
        counts.append(said if possible else limit)
    return counts[0], counts[1]


def _bytes(request: Request) -> int:
    return sum(len(str(message["content"]).encode()) for message in request["messages"])


class Endpoint:
    """A connection to a model, for as long as ``client`` is open."""

    def __init__(self, spec: EndpointSpec, limits: Limits) -> None:
        """Raises UserError: no key, or what is no key or no address."""
        import httpx2
        import openai

        # These write the endpoint's address into the log.
        for name in ("httpcore", "httpcore2", "httpx", "httpx2", "openai"):
            logging.getLogger(name).setLevel(logging.WARNING)
        variable = f"{spec.environment}_API_KEY"
        self.spec, self.limits = spec, limits
        self.key = os.environ.get(variable, "")
        if not self.key:
            raise UserError(
                f"judge {spec.model}: found no {variable} in the environment (an endpoint"
                " without keys takes any text)"
            )
        if not (self.key.isascii() and self.key.isprintable()):
            raise UserError(
                f"judge {spec.model}: {variable} holds characters that no key has, such as"
                " a line break"
            )
        address = f"{spec.environment}_BASE_URL"
        try:
            self.client = openai.AsyncOpenAI(
                api_key=self.key,
                base_url=os.environ.get(address) or DEFAULT_URL,
                timeout=None,  # ours is of the whole reply, and not of each read
                max_retries=0,
            )
        except (ValueError, httpx2.InvalidURL):
            raise UserError(f"judge {spec.model}: {address} is no address") from None

    async def ask(self, request: Request) -> Reply:
        """The reply to a request, with the tokens that are charged; raises Failure."""
        import openai

        variable = f"{self.spec.environment}_BASE_URL"
        try:
            async with asyncio.timeout(self.limits.timeout):
                raw = await self.client.chat.completions.with_raw_response.create(
                    model=self.spec.model, **request
                )
            reply = _read(raw.http_response.content, request)
            # It goes into manifests and tables, and the key into none.
            named = " ".join(reply.model.replace(self.key, "***").split())[:100]
            return replace(reply, model=named)
        except TimeoutError:
            why = f"no reply within {self.limits.timeout:g} s"
            raise Failure(why, again=True, used=most(request)) from None
        except openai.APIStatusError as error:
            raise self._failure(error) from None
        # The second: a port that no address has.
        except (openai.APIConnectionError, ExceptionGroup) as error:
            cause = type(error.__cause__ or error).__name__
            # It may have been answered, unless it was never sent.
            sent = not cause.startswith(("Connect", "Unsupported", "LocalProtocol"))
            raise Failure(
                f"cannot reach the endpoint of {variable} ({cause})",
                again=True,
                used=most(request) if sent else FREE,
            ) from None

    def _failure(self, error: Any) -> Failure:
        """What a status code means."""
        status, said = error.status_code, _said(error)
        name = self.spec.environment
        if status in OF_THE_REQUEST:
            too_long = " as too long" if status == 413 else ""
            return Failure(f"refused{too_long} ({status})", said, ends=False)
        if status in (401, 403):
            return Failure(f"the endpoint refuses the key of {name}_API_KEY ({status})")
        if status == 404:
            return Failure(
                f"the endpoint has no such model, or {name}_BASE_URL is wrong (404)"
            )
        if status == 402 or _code(error) == "insufficient_quota":
            return Failure(f"the account has no money or quota left ({status})", said)
        if status not in PASSING and status < 500:
            return Failure(f"the endpoint refuses the request ({status})", said)
        wait = _wait(error.response.headers)
        if wait > LONGEST_WAIT:
            return Failure(
                f"the endpoint asks to wait {wait:.0f} s ({status}), longer than the"
                f" {LONGEST_WAIT:g} s that we wait at most",
                said,
            )
        return Failure(f"the endpoint fails ({status})", said, again=True, wait=wait)


def _read(body: bytes, request: Request) -> Reply:
    """The reply in the body of a response; raises Failure where it holds none."""
    try:
        # Of bytes: also with a byte order mark.
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        why = "a reply that is no JSON of a completion"
        raise Failure(why, again=True, ends=False, used=most(request))
    choice, text = _choice(found)
    tokens = used(found.get("usage"), request, text)
    if choice is None:
        raise Failure("a reply without a choice", again=True, ends=False, used=tokens)
    reason, logprobs = str(choice.get("finish_reason")), choice.get("logprobs")
    # A judge of one token may choose a blank and say all that counts by probabilities.
    if not text.strip() and not logprobs:
        why = f"an empty completion (finish_reason {reason})"
        raise Failure(why, again=True, ends=False, used=tokens)
    model = found.get("model")
    return Reply(
        text, reason, *tokens, logprobs, model if isinstance(model, str) else ""
    )


def _choice(found: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The first choice, None where there is none, and its text."""
    try:
        choice = found["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return None, ""
    # JSON may hold half of a surrogate pair, which no file takes.
    text = text.encode("utf-8", "replace").decode() if isinstance(text, str) else ""
    return choice, text


def _said(error: Any) -> str:
    """What the endpoint says of an error, without what the client adds to it."""
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message", error.message))


def _code(error: Any) -> Any:
    return error.body.get("code") if isinstance(error.body, dict) else None


def _wait(headers: Mapping[str, str]) -> float:
    """Seconds that an endpoint asks to wait: a number or a date; 0 where it does not."""
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(said)
            seconds = date.timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, seconds) if seconds == seconds else 0.0
