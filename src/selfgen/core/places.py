"""Where the workflow lies, in a checkout and in an installed package."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

INSTALLED = "_run"
"""The copy that an installed package has; pyproject.toml says what it holds."""

RESOURCES = "SELFGEN_RESOURCES"
"""Variable that names another folder of downloads."""


def root() -> Path:
    """The folder of Snakefile, ``workflow``, ``profiles`` and ``config``: the checkout, or
    the copy that travels in the package."""
    checkout = PACKAGE.parents[1]
    return checkout if (checkout / "Snakefile").is_file() else PACKAGE / INSTALLED


def own_code(root: Path) -> Path:
    """Where functions of the user's own are looked for: in the checkout, or in the folder of
    the run, where there is none."""
    return Path() if root.name == INSTALLED else root


def resources(root: Path) -> str:
    """The folder of downloads: in the checkout, or the user's cache; relative, so that a
    moved checkout reruns nothing."""
    if given := os.environ.get(RESOURCES):
        return os.path.relpath(given)
    if root.name == INSTALLED:
        import platformdirs

        return os.path.relpath(platformdirs.user_cache_path("selfgen"))
    return os.path.relpath(root / "resources")
