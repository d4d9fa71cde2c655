"""A Hugging Face hub on loopback: what its clients ask for to list, download and upload.

Folders ``models/ORG/NAME/`` and ``datasets/ORG/NAME/`` below a root are repositories of one
commit, which is named after their contents. Files over ``LARGE`` bytes are on another host,
as large files of the real hub are.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = 10_000


@dataclass
class Fault:
    """What happens to the next ``times`` GET requests whose path holds ``match``: a status
    code, or a body that is ``cut`` after so many bytes or has its byte ``at`` flipped."""

    match: str
    status: int = 0
    cut: int = -1
    flip: int = -1
    times: int = 1


class HubServer(ThreadingHTTPServer):
    """``seen``: method, path, range and authorization of every request. ``private``: name
    of a repository and the token that it needs, ``gated``: those who ask for it get 403.
    ``pins``: commits of repositories that bear the name of a real one's. ``aliases``:
    revisions that every repository has, too. ``renamed``: what listings call a file,
    ``sizes``: the bytes that they say it has. ``uploads``: the token of those who may write
    what is not there yet; ``sent``: large files by their hash."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str, str, str]] = []
        self.private: dict[str, str] = {}
        self.gated: set[str] = set()
        self.pins: dict[str, str] = {}
        self.aliases: set[str] = set()
        self.renamed: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self.ranges = True
        self.uploads = ""
        self.sent: dict[str, bytes] = {}
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self, kind: str, repo: str) -> dict[str, Path]:
        folder = self.root / f"{kind}s" / repo
        found = (p for p in sorted(folder.rglob("*")) if p.is_file())
        return {p.relative_to(folder).as_posix(): p for p in found}

    def commit(self, kind: str, repo: str) -> str:
        if repo in self.pins:
            return self.pins[repo]
        digest = hashlib.sha1(repo.encode())
        for name, path in self.files(kind, repo).items():
            seen = path.stat()
            digest.update(
                name.encode() + _hash(path, seen.st_mtime_ns, seen.st_size, seen.st_ino)
            )
        return digest.hexdigest()

    def fault(self, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.match in path:
                    fault.times -= 1
                    return fault
        return None

    def downloads(self, name: str) -> list[str]:
        """The ranges of the GET requests that had a body of a file."""
        paths = [f"/{name}"]
        return [
            asked
            for method, path, asked, _ in self.seen
            if method == "GET" and any(path.endswith(p) for p in paths)
        ]


@functools.cache
def _hash(path: Path, *seen: int) -> bytes:
    return hashlib.sha1(path.read_bytes()).digest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.route()

    def do_GET(self) -> None:
        self.route()

    def do_POST(self) -> None:
        self.upload()

    def do_PUT(self) -> None:
        self.upload()

    def upload(self) -> None:
        """A repository is made, told which files come how, given the large ones one by one
        and the others with the commit. Only with the token ``uploads``."""
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path.startswith("/lfs/"):
            self.server.sent[path.rpartition("/")[2]] = body
            self.reply(200, {})
            return
        if self.headers.get("Authorization") != f"Bearer {self.server.uploads}":
            self.refuse(401, "", "Invalid username or password.")
            return
        patterns = (
            (r"/api/repos/create", self.create),
            (r"/api/validate-yaml", self.validate),
            (r"/api/(model|dataset)s/([^/]+/[^/]+)/preupload/main", self.preupload),
            (r"/(?:(dataset)s/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.batch),
            (r"/api/(model|dataset)s/([^/]+/[^/]+)/commit/main", self.committed),
        )
        for pattern, answer in patterns:
            if found := re.fullmatch(pattern, path):
                answer(body, *found.groups())
                return
        self.refuse(404, "", "no such endpoint")

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = f"{asked['organization']}/{asked['name']}"
        kind = asked.get("type", "model")
        (self.server.root / f"{kind}s" / repo).mkdir(parents=True)
        self.reply(200, {"url": f"{self.server.url}/{repo}", "name": repo})

    def validate(self, body: bytes) -> None:
        assert json.loads(body)["content"].startswith("---\n")
        self.reply(200, {"errors": [], "warnings": []})

    def preupload(self, body: bytes, kind: str, repo: str) -> None:
        modes = {True: "lfs", False: "regular"}
        files = [
            {"path": file["path"], "uploadMode": modes[file["size"] > LARGE]}
            | {"shouldIgnore": False, "oid": None}
            for file in json.loads(body)["files"]
        ]
        self.reply(200, {"files": files})

    def batch(self, body: bytes, kind: str | None, repo: str) -> None:
        objects = [
            one
            | {"actions": {"upload": {"href": f"{self.server.url}/lfs/{one['oid']}"}}}
            for one in json.loads(body)["objects"]
        ]
        self.reply(200, {"transfer": "basic", "objects": objects})

    def committed(self, body: bytes, kind: str, repo: str) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                continue
            if line["key"] == "file":
                content = base64.b64decode(value["content"])
            else:
                content = self.server.sent[value["oid"]]
                assert hashlib.sha256(content).hexdigest() == value["oid"]
            path = self.server.root / f"{kind}s" / repo / value["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        oid = self.server.commit(kind, repo)
        url = f"{self.server.url}/{repo}/commit/{oid}"
        self.reply(200, {"success": True, "commitOid": oid, "commitUrl": url})

    def route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        with self.server.lock:
            headers = (self.headers.get("Range", ""), self.headers.get("Authorization"))
            self.server.seen.append((self.command, path, headers[0], headers[1] or ""))
        self.broken = self.server.fault(path) if self.command == "GET" else None
        if self.broken and self.broken.status:
            self.reply(self.broken.status, {"error": "asked for by the test"})
            return
        patterns = (
            (r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/revision/([^/]+))?", self.info),
            (r"/api/(model|dataset)s/([^/]+/[^/]+)/tree/([^/]+)", self.tree),
            (r"/(?:(dataset)s/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.file),
            (r"/elsewhere/(model|dataset)s/([^/]+/[^/]+)/(.+)", self.elsewhere),
        )
        for pattern, answer in patterns:
            if found := re.fullmatch(pattern, path):
                answer(*found.groups())
                return
        self.refuse(404, "", "no such endpoint")

    def info(self, kind: str, repo: str, revision: str | None) -> None:
        if self.known(kind, repo, revision or "main"):
            files = [{"rfilename": name} for name in self.server.files(kind, repo)]
            sha = self.server.commit(kind, repo)
            self.reply(200, {"_id": "0", "id": repo, "sha": sha, "siblings": files})

    def tree(self, kind: str, repo: str, revision: str) -> None:
        if not self.known(kind, repo, revision):
            return
        entries: list[dict[str, Any]] = []
        for name, path in self.server.files(kind, repo).items():
            body = path.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
            name = self.server.renamed.get(name, name)
            size = self.server.sizes.get(name, len(body))
            entry = {"type": "file", "path": name, "size": size, "oid": blob}
            if len(body) > LARGE:
                large = hashlib.sha256(body).hexdigest()
                entry["lfs"] = {"oid": large, "size": len(body), "pointerSize": 130}
            entries.append(entry)
        if "recursive" not in parse_qs(urlsplit(self.path).query):
            entries = [entry for entry in entries if "/" not in entry["path"]]
        self.reply(200, entries)

    def file(self, kind: str | None, repo: str, revision: str, name: str) -> None:
        kind = kind or "model"
        if not self.known(kind, repo, revision):
            return
        path = self.server.files(kind, repo).get(name)
        if path is None:
            self.refuse(404, "EntryNotFound", "Entry not found")
        elif path.stat().st_size > LARGE:
            # Another host for the client: it must not send its token there.
            port = self.server.server_address[1]
            place = f"http://localhost:{port}/elsewhere/{kind}s/{repo}/{name}"
            self.reply(302, b"", {"Location": place})
        else:
            self.send(path)

    def elsewhere(self, kind: str, repo: str, name: str) -> None:
        self.send(self.server.files(kind, repo)[name])

    def send(self, path: Path) -> None:
        body = path.read_bytes()
        headers = {"Accept-Ranges": "bytes"}
        status, start = 200, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.server.ranges:
            status, start = 206, int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        part = body[start:]
        if self.broken and self.broken.flip >= 0:
            i = self.broken.flip
            part = part[:i] + bytes([part[i] ^ 1]) + part[i + 1 :]
        if self.broken and self.broken.cut >= 0:
            self.start(status, len(part), headers)
            self.wfile.write(part[: self.broken.cut])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.reply(status, part, headers)

    def known(self, kind: str, repo: str, revision: str) -> bool:
        """Whether a request may have this repository; refuses it if not."""
        server = self.server
        if repo in server.gated:
            self.refuse(403, "GatedRepo", "Access to this repository is restricted")
            return False
        token = server.private.get(repo)
        allowed = (
            token is None or self.headers.get("Authorization") == f"Bearer {token}"
        )
        if not server.files(kind, repo) or not allowed:
            self.refuse(404, "RepoNotFound", "Repository not found")
            return False
        if revision not in ("main", server.commit(kind, repo), *server.aliases):
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return False
        return True

    def refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        self.reply(status, {"error": message}, headers)

    def reply(
        self, status: int, body: Any, headers: dict[str, str] | None = None
    ) -> None:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.start(status, len(body), headers or {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def start(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serve(root: Path) -> Iterator[HubServer]:
    server = HubServer(root)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
