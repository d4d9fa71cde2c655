"""A request that fails in passing is made again."""

from __future__ import annotations

import logging

import tenacity

ATTEMPTS = 5
"""Of a request. One second is waited after the first, two after the second, then four, ..."""


def retrying(log: logging.Logger) -> tenacity.Retrying:
    """Calls a function until it returns; raises its last error."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_passing),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(),
        before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
        reraise=True,
    )


def _is_passing(error: BaseException) -> bool:
    """Whether the connection failed, or the server says that it is busy or broken."""
    import httpx2

    status = getattr(getattr(error, "response", None), "status_code", 500)
    passing = status >= 500 or status in (408, 429)
    return passing and isinstance(error, httpx2.HTTPError)


def one_line(error: Exception) -> str:
    """What an error says, as one line that is not too long."""
    return " ".join(str(error).split())[:200]
