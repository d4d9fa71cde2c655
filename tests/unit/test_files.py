"""Files that are fetched by address, from a server on loopback."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.file_server import Quiet, serve

from selfgen.core.errors import UserError
from selfgen.data.files import FileSpec, fetch

TEXT = b"some lines\n" * 1000
HASH = hashlib.sha256(TEXT).hexdigest()


class Cutting(Quiet):
    """Drops the connection half way, if asked for ``/cut``."""

    def do_GET(self) -> None:
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
    with serve(tmp_path / "served", Cutting) as address:
        yield address


def test_a_file_is_fetched_once(url: str, tmp_path: Path) -> None:
    path = tmp_path / "files" / "x"
    fetch(FileSpec(f"{url}/file", HASH), path)
    assert path.read_bytes() == TEXT
    fetch(FileSpec("http://127.0.0.1:1/gone", HASH), path)
    path.write_bytes(b"spoilt")
    fetch(FileSpec(f"{url}/file", HASH), path)
    assert path.read_bytes() == TEXT


@pytest.mark.parametrize(
    "name, said",
    [
        ("/missing", "download failed: Not Found|File not found"),
        ("/cut", "expected sha256|download failed"),
        ("/file", "expected sha256 0{64}, found"),
    ],
)
def test_what_is_not_the_file_is_not_kept(
    url: str, tmp_path: Path, name: str, said: str
) -> None:
    digest = "0" * 64 if name == "/file" else HASH
    with pytest.raises(UserError, match=said):
        fetch(FileSpec(url + name, digest), tmp_path / "files" / "x")
    assert not list((tmp_path / "files").iterdir())


def test_a_dead_server_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"127.0.0.1:1/x: download failed: .*refused"):
        fetch(FileSpec("http://127.0.0.1:1/x", HASH), tmp_path / "x")
