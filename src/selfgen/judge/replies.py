"""Replies of judges on disk: what was answered is kept at once and never asked again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfgen.benchmarks.base import Reply
from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.provenance import spec_digest

log = logging.getLogger(__name__)


def key_of(model: str, request: Mapping[str, Any]) -> str:
    """The address of a request: a hash of the model and of all that it is asked."""
    text = json.dumps([model, request], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Replies:
    """A folder of replies, a file each, and of what was spent, a line a paid request.

    A file is complete or absent. Many processes may read; ``alone`` lets one ask.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = folder / "spent.jsonl"
        self._lock = threading.Lock()

    def get(self, key: str) -> Reply | None:
        """The reply of an address, if it was answered before.

        Raises UserError: its file was changed, or is damaged.
        """
        path = self._path(key)
        if not path.is_file():
            return None
        with contextlib.suppress(ValueError, TypeError):
            # One of an earlier version has no digest, and was paid for as well.
            return Reply(**json.loads(path.read_bytes()))
        return Reply(**manifests.read(path, "delete it, and it is asked for anew"))

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{key}.{os.getpid()}.partial")
        kept = manifests.signed(asdict(reply))
        partial.write_text(json.dumps(kept), encoding="utf-8")
        partial.replace(path)

    def pay(self, model: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Note a request that was charged, whether or not its reply can be used."""
        # A line break on both sides: a line that was cut off spoils no other.
        charged = [model, prompt_tokens, completion_tokens]
        line = json.dumps([*charged, spec_digest(json.dumps(charged))])
        with self._lock, self.ledger.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")

    def paid(self, model: str) -> tuple[int, int]:
        """Tokens of prompts and of completions that were charged, over all requests.

        Raises UserError: a line is damaged, so that a budget might not hold.
        """
        if not self.ledger.is_file():
            return 0, 0
        totals = [0, 0]
        lines = self.ledger.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            # A line is cut off where a process was ended while it wrote.
            if not line.endswith("]"):
                continue
            try:
                name, prompt, completion, *said = json.loads(line)
                charged = int(prompt), int(completion)
                # A line of an earlier version has no digest.
                if said not in ([], [spec_digest(json.dumps([name, *charged]))]):
                    raise ValueError
            except (ValueError, TypeError):
                raise UserError(
                    f"{self.ledger}: line {number}: found {line!r:.80}, allowed: the name of"
                    " a model, two numbers of tokens and their digest; mend it, or delete"
                    " it and lower the budget by what it says"
                ) from None
            if name == model:
                totals = [a + b for a, b in zip(totals, charged, strict=True)]
        return totals[0], totals[1]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until no other process asks: two would pay for one reply twice, and each
        would have a budget of its own."""
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("waiting: another process asks a judge")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
