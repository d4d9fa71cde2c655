"""Files that are fetched by address, from a server on loopback."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import tenacity
from tests.file_server import Quiet, serve

from selfgen.core.errors import UserError
from selfgen.data import retries
from selfgen.data.files import fetch
from selfgen.data.pins import FileSpec

TEXT = b"some lines\n" * 1000
HASH = hashlib.sha256(TEXT).hexdigest()


class Failing(Quiet):
    """Drops the connection half way if asked for ``/cut``, is busy if for ``/busy``; asked
    for ``/once/...`` it does so the first time. ``asked``: what for, of all requests."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/once/"):
            again = self.asked.count(self.path) > 1
            self.path = "/file" if again else self.path.removeprefix("/once")
        if self.path == "/busy":
            self.send_error(503)
            return
        if self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(TEXT)))
            self.end_headers()
            self.wfile.write(TEXT[:100])
            return
        super().do_GET()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file").write_bytes(TEXT)
    Failing.asked.clear()
    with serve(tmp_path / "served", Failing) as address:
        yield address


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "ATTEMPTS", 2)
    monkeypatch.setattr(tenacity, "wait_exponential", tenacity.wait_none)


def test_a_file_is_fetched_once(url: str, tmp_path: Path) -> None:
    path = tmp_path / "files" / "x"
    fetch(FileSpec(f"{url}/file", HASH), path)
    assert path.read_bytes() == TEXT
    fetch(FileSpec("http://127.0.0.1:1/gone", HASH), path)
    path.write_bytes(b"spoilt")
    fetch(FileSpec(f"{url}/file", HASH), path)
    assert path.read_bytes() == TEXT


@pytest.mark.parametrize("fault", ["cut", "busy"])
def test_what_fails_in_passing_is_asked_for_again(
    url: str, tmp_path: Path, fault: str
) -> None:
    fetch(FileSpec(f"{url}/once/{fault}", HASH), tmp_path / "files" / "x")
    assert (tmp_path / "files" / "x").read_bytes() == TEXT
    assert Failing.asked == [f"/once/{fault}"] * 2


def test_a_busy_server_is_given_time(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    started = time.monotonic()
    fetch(FileSpec(f"{url}/once/busy", HASH), tmp_path / "files" / "x")
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize(
    "name, said, times",
    [
        ("/missing", "download failed: .*404 File not found", 1),
        ("/busy", "download failed: .*503 Service Unavailable", 2),
        ("/cut", "download failed: peer closed connection", 2),
        ("/file", "expected sha256 0{64}, found", 1),
    ],
)
def test_what_is_not_the_file_is_not_kept(
    url: str, tmp_path: Path, name: str, said: str, times: int
) -> None:
    digest = "0" * 64 if name == "/file" else HASH
    with pytest.raises(UserError, match=said):
        fetch(FileSpec(url + name, digest), tmp_path / "files" / "x")
    assert not list((tmp_path / "files").iterdir())
    assert Failing.asked == [name] * times


def test_a_dead_server_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"127.0.0.1:1/x: download failed: .*refused"):
        fetch(FileSpec("http://127.0.0.1:1/x", HASH), tmp_path / "x")


@pytest.mark.parametrize("url", ["file:///etc/hostname", "http://[::1"])
def test_an_address_that_is_none_is_one_line(tmp_path: Path, url: str) -> None:
    """An address of a file of this machine among them: nothing but HTTP is followed."""
    with pytest.raises(UserError, match=r"download failed: .*(protocol|port)"):
        fetch(FileSpec(url, HASH), tmp_path / "x")
