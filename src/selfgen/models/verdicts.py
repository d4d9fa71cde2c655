"""What trials of models found, kept for this process and for later ones."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

from selfgen.core import manifests, provenance
from selfgen.core.errors import UserError

log = logging.getLogger(__name__)

FOLDER = "SELFGEN_CACHE"
"""Names the folder of the files; where it is empty, nothing is kept for later processes."""


class Verdicts:
    """Of the trials of one ``module``, by a text that is the same for models read alike.

    A later process takes a verdict over if its packages, the code of ``module`` and of what
    that imports, and the kind of its processor are the same, too. A file that cannot be
    read or written is as good as none.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.known: dict[str, Any] = {}

    def get(self, key: str) -> Any | None:
        """The verdict, as JSON gives it back, or None."""
        if key not in self.known and (path := self._path(key)):
            with contextlib.suppress(UserError):
                kept = manifests.read(path)
                if kept.get("key") == key:
                    self.known[key] = kept["verdict"]
        return self.known.get(key)

    def keep(self, key: str, verdict: Any) -> None:
        self.known[key] = verdict
        if path := self._path(key):
            try:
                kept = {"key": key, "verdict": verdict}
                provenance.write_json(path, manifests.signed(kept))
            except OSError as error:
                log.debug("a verdict is not kept: %s", error)

    def clear(self) -> None:
        """Forget what this process knows."""
        self.known.clear()

    def _path(self, key: str) -> Path | None:
        named = os.environ.get(FOLDER)
        if named == "":
            return None
        folder = Path(named) if named else user_cache_path("selfgen")
        name = hashlib.sha256(f"{_here(self.module)} {key}".encode()).hexdigest()
        return folder / "verdicts" / f"{name[:32]}.json"


@functools.cache
def _here(module: str) -> str:
    """What a verdict depends on besides the model."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    cpu = torch.backends.cpu.get_cpu_capability()
    code = provenance.code_digest(module)
    return repr((module, code, manifests.versions(), cpu, gpu))
