"""A judge on loopback: an OpenAI-compatible endpoint whose replies and faults a test says.

It sees nothing but HTTP requests.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from selfgen.judge.spec import EndpointSpec, Limits

KEY = "sk-secret-of-the-test"
SPEC = EndpointSpec("judge-1", "TEST_JUDGE")
LIMITS = Limits(4, 0, 2.0, 2, 1.0, 2.0, 100.0)

Answer = Callable[[dict[str, Any]], "str | dict[str, Any]"]
"""From the body of a request to the text of the reply, or to a whole choice."""


class JudgeServer(ThreadingHTTPServer):
    """``seen``: bodies of requests, with the time of each; ``faults``: what happens to the
    next requests instead of a reply, one each, or to every one (``always``).

    A fault is a status code (``429``, ``429:2`` with retry-after), or ``drop`` (the
    connection is closed), ``cut`` (closed half way through the body), ``hang:SECONDS``,
    ``drip:SECONDS`` (the body comes in so many pieces, one each tenth of a second),
    ``text`` (a body that is no JSON), ``raw`` (the body ``raw``), ``nothing`` (no choice),
    ``empty`` (no text). ``more``: fields of every reply beside the choice; None: left out.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.seen: list[tuple[float, dict[str, Any]]] = []
        self.keys: set[str] = set()
        self.faults: list[str] = []
        self.always = ""
        self.raw = b""
        self.more: dict[str, Any] = {}
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: JudgeServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.seen.append((time.monotonic(), body))
            server.keys.add(self.headers["Authorization"])
            fault = server.faults.pop(0) if server.faults else server.always
        kind, _, value = fault.partition(":")
        if self.path != "/v1/chat/completions":
            return self._send(404, {"error": {"message": "not found"}})
        if kind == "drop":
            return self._close()
        if kind == "hang":
            time.sleep(float(value))
            return self._close()
        if kind.isdigit():
            key = self.headers["Authorization"]
            error = {"error": {"message": f"fault for {key}", "code": kind}}
            return self._send(int(kind), error, {"retry-after": value} if value else {})
        if kind == "text":
            return self._send(200, b"<html>busy</html>")
        if kind == "raw":
            return self._send(200, server.raw)
        choice = server.answer(body)
        if isinstance(choice, str):
            message = {"role": "assistant", "content": choice}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
        if kind == "empty":
            message = {"role": "assistant", "content": ""}
            choice = {"index": 0, "message": message, "finish_reason": "length"}
        words = sum(len(m["content"].split()) for m in body["messages"])
        reply = {
            "id": "x",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [] if kind == "nothing" else [choice],
            "usage": {"prompt_tokens": words, "completion_tokens": 1},
        }
        reply |= server.more
        reply = {key: part for key, part in reply.items() if part is not None}
        if kind == "drip":
            text = json.dumps(reply).encode()
            self._head(200, len(text), {})
            size = -(-len(text) // round(10 * float(value)))
            for start in range(0, len(text), size):
                time.sleep(0.1)
                try:
                    self.wfile.write(text[start : start + size])
                except OSError:  # who asked did not wait
                    return self._close()
            return None
        if kind == "cut":
            text = json.dumps(reply).encode()
            self._head(200, len(text), {})
            self.wfile.write(text[: len(text) // 2])
            return self._close()
        return self._send(200, reply)

    def _close(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(
        self, status: int, body: Any, headers: dict[str, str] | None = None
    ) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._head(status, len(text), headers or {})
        self.wfile.write(text)


@contextmanager
def serve(answer: Answer) -> Iterator[JudgeServer]:
    """A server on a free port of loopback, for as long as the block lasts."""
    server = JudgeServer(answer)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def ask_of(text: str) -> dict[str, Any]:
    """A request."""
    return {
        "messages": [{"role": "user", "content": text}],
        "temperature": 0.0,
        "max_tokens": 8,
    }


@contextmanager
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    """The server of ``SPEC``, which repeats what it is asked in capitals; who asks again
    waits a tenth as long."""
    monkeypatch.setattr("selfgen.judge.client.FIRST_WAIT", 0.05)
    with serve(lambda body: body["messages"][-1]["content"].upper()) as found:
        monkeypatch.setenv("TEST_JUDGE_BASE_URL", found.url)
        monkeypatch.setenv("TEST_JUDGE_API_KEY", KEY)
        yield found
