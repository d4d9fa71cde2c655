"""Pinned files by URL: fetched, verified, read as data."""

from __future__ import annotations

import logging
import os
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from selfgen.core.errors import UserError
from selfgen.data.wheels import sha256_file


@dataclass(frozen=True)
class FileSpec:
    """One file at an address: fetched, verified, read as data."""

    url: str
    sha256: str


@dataclass(frozen=True)
class LocalSpec:
    """One file of the user's own."""

    path: str


_log = logging.getLogger(__name__)

TIMEOUT = 60
"""Seconds without a byte until a download has failed."""


def fetch(spec: FileSpec, path: Path) -> None:
    """The verified file of ``spec`` as ``path``, downloaded unless it is there already.

    Raises UserError: the download failed, or what came has another hash.
    """
    if path.exists():
        found = sha256_file(path)
        if found == spec.sha256:
            return
        _log.warning(
            "%s: sha256 %s, expected %s; fetching it again", path, found, spec.sha256
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with (
            urllib.request.urlopen(spec.url, timeout=TIMEOUT) as response,
            partial.open("wb") as file,
        ):
            shutil.copyfileobj(response, file)
        if (found := sha256_file(partial)) != spec.sha256:
            raise UserError(f"{spec.url}: expected sha256 {spec.sha256}, found {found}")
        partial.replace(path)
    except (OSError, ValueError) as error:
        # HTTP errors, refused connections and cut transfers are all of OSError.
        reason = getattr(error, "reason", None) or error
        raise UserError(f"{spec.url}: download failed: {reason}") from None
    finally:
        partial.unlink(missing_ok=True)
