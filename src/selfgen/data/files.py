"""Pinned files by URL: fetched, verified, read as data."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic, sha256
from selfgen.data.pins import FileSpec
from selfgen.data.retries import one_line, retrying
from selfgen.data.wheels import is_there

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

_log = logging.getLogger(__name__)

TIMEOUT = 60
"""Seconds without a byte until a download has failed."""


def fetch(spec: FileSpec, path: Path) -> None:
    """The verified file of ``spec`` as ``path``, downloaded unless it is there already.

    Raises UserError: the download failed, or what came has another hash.
    """
    import httpx2

    if is_there(path, spec.sha256):
        return
    try:
        with atomic(path) as partial:
            retrying(_log)(_download, spec.url, partial)
            if (found := sha256(partial)) != spec.sha256:
                raise UserError(
                    f"{spec.url}: expected sha256 {spec.sha256}, found {found}"
                )
    except (OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UserError(f"{spec.url}: download failed: {one_line(error)}") from None


def _download(url: str, path: Path) -> None:
    import httpx2

    with (
        httpx2.stream("GET", url, timeout=TIMEOUT, follow_redirects=True) as response,
        path.open("wb") as file,
    ):
        response.raise_for_status()
        for part in response.iter_bytes():
            file.write(part)


def step(spec: FileSpec, job: Job) -> dict[str, Any]:
    """The file, verified."""
    fetch(spec, job.output("file"))
    return {}
