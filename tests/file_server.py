"""Files on loopback, named with their hashes as the configuration's ``files`` are."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve(folder: Path, handler: type[Quiet] = Quiet) -> Iterator[str]:
    """The address at which the files of a folder are served."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(handler, directory=str(folder))
    )
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serve_texts(
    folder: Path, texts: dict[str, str]
) -> Iterator[dict[str, dict[str, str]]]:
    """Texts by name as files, and what the configuration's ``files`` says of them."""
    folder.mkdir()
    with serve(folder) as url:
        found = {}
        for name, text in texts.items():
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            found[name] = {"url": f"{url}/{name}.jsonl", "sha256": digest}
        yield found
