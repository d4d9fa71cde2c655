"""Repositories of a hub, from a server on loopback that speaks its protocol.

Every download is a process of its own, as in the workflow: the hub's client reads its
address and its token when it is imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import steps
from tests.hub_server import Fault, HubServer, serve

from selfgen.core.errors import UserError
from selfgen.data.listing import MODEL_FILES, read
from selfgen.data.pins import HubSpec

TOKEN = "hf_a_token_that_nobody_has"
WEIGHTS = random.Random(0).randbytes(24_000_000)
CHUNK = 10 * 2**20
"""Bytes that the hub's client writes at a time: what a broken download keeps."""
MODEL = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"a pickle",
    "modeling_own.py": b"print('never run')",
    "model_of_onnx/model.safetensors": b"of another kind",
}
DATA = {"data/train-0.parquet": b"one", "data/train-1.parquet": b"two", "x.py": b"3"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    root = tmp_path / "served"
    for repo, files in (("models/org/tiny", MODEL), ("datasets/org/set", DATA)):
        for name, body in files.items():
            path = root / repo / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
    with serve(root) as running:
        yield running


def model(server: HubServer) -> HubSpec:
    commit = server.commit("model", "org/tiny")
    return HubSpec("org/tiny", "model", commit, MODEL_FILES)


Fetch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def start(server: HubServer, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    def run(spec: HubSpec, **environment: str) -> subprocess.Popen[str]:
        ours = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        ours |= {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home")}
        listing = {"listing": tmp_path / "hub" / "it.listing"}
        return subprocess.Popen(
            steps.command("fetch_hub", spec, {}, listing),
            env=ours | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    return run


@pytest.fixture
def fetch(start: Callable[..., subprocess.Popen[str]]) -> Fetch:
    def run(spec: HubSpec, **environment: str) -> subprocess.CompletedProcess[str]:
        return ended(start(spec, **environment))

    return run


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    said, _ = process.communicate(timeout=120)
    return subprocess.CompletedProcess([], process.returncode, said)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    line = done.stdout.strip().splitlines()[-1]
    assert line.startswith("error: "), done.stdout
    return line


def test_a_model_is_its_safetensors_and_no_code(
    server: HubServer, fetch: Fetch, tmp_path: Path
) -> None:
    assert fetch(model(server)).returncode == 0
    listing = tmp_path / "hub" / "it.listing"
    found = read(listing)
    assert list(found) == ["config.json", "model.safetensors"]
    assert found["model.safetensors"].read_bytes() == WEIGHTS
    assert json.loads(listing.read_text())["commit"] == model(server).revision
    files = {p.name for p in listing.with_suffix("").rglob("*") if p.is_file()}
    assert files == {"config.json", "model.safetensors"}
    seen = len(server.downloads("model.safetensors"))
    assert fetch(model(server)).returncode == 0
    assert len(server.downloads("model.safetensors")) == seen, "fetched once"
    found["model.safetensors"].write_bytes(WEIGHTS[:-1])
    with pytest.raises(UserError, match=r"model.safetensors: found sha256 .* says "):
        read(listing)
    found["model.safetensors"].unlink()
    with pytest.raises(UserError, match=r"model.safetensors: found sha256 no file, "):
        read(listing)
    listing.write_text(listing.read_text().replace("it", "is"))
    with pytest.raises(UserError, match=r"its content is .*; delete it.listing"):
        read(listing)


def test_a_data_set_is_the_files_of_its_patterns(
    server: HubServer, fetch: Fetch, tmp_path: Path
) -> None:
    spec = HubSpec("org/set", "dataset", "main", ("data/train-*.parquet",))
    assert fetch(spec).returncode == 0
    listing = tmp_path / "hub" / "it.listing"
    assert [p.read_bytes() for p in read(listing).values()] == [b"one", b"two"]
    commit = server.commit("dataset", "org/set")
    assert json.loads(listing.read_text())["commit"] == commit
    missing = HubSpec("org/set", "dataset", "main", ("data/test-*",))
    assert "org/set@main: found no file data/test-*" in said(fetch(missing))


@pytest.mark.parametrize("name", ["../out.parquet", "/tmp/out.parquet", "a\\..\\b"])
def test_a_listing_that_leads_out_is_refused(
    server: HubServer, fetch: Fetch, tmp_path: Path, name: str
) -> None:
    first = next(iter(server.files("dataset", "org/set")))
    server.renamed[first] = name
    spec = HubSpec("org/set", "dataset", "main", ("*",))
    assert f"{name!r} leads out of its folder" in said(fetch(spec))
    assert not [*tmp_path.rglob("out.parquet"), *tmp_path.rglob("*.listing")]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("elsewhere", status=503, times=2),
        Fault("resolve", status=503),
        Fault("tree", status=503),
        Fault("revision", status=429),
        Fault("elsewhere", cut=15_000_000),
        Fault("elsewhere", flip=200_000),
    ],
    ids=lambda f: f"{f.match}-{f.status or ('cut' if f.cut >= 0 else 'flip')}",
)
def test_what_fails_in_passing_is_asked_for_again(
    server: HubServer, fetch: Fetch, tmp_path: Path, fault: Fault
) -> None:
    server.faults = [fault]
    done = fetch(model(server))
    assert done.returncode == 0, done.stdout
    found = read(tmp_path / "hub" / "it.listing")
    assert found["model.safetensors"].read_bytes() == WEIGHTS
    if fault.cut > 0:
        assert f"bytes={CHUNK}-" in server.downloads("model.safetensors")


def test_a_download_goes_on_after_its_process_was_killed(
    server: HubServer,
    start: Callable[..., subprocess.Popen[str]],
    fetch: Fetch,
    tmp_path: Path,
) -> None:
    """Cut again and again, the client waits a second each time: time to kill it."""
    first, then = Fault("elsewhere", cut=15_000_000), Fault("elsewhere", cut=0, times=9)
    server.faults = [first, then]
    process = start(model(server))
    partial = tmp_path / "hub" / "it" / "model.safetensors.partial"
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size == CHUNK):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "hub" / "it.listing").exists()
    server.faults = []
    server.seen.clear()
    assert fetch(model(server)).returncode == 0
    assert f"bytes={CHUNK}-" in server.downloads("model.safetensors")
    found = read(tmp_path / "hub" / "it.listing")
    assert found["model.safetensors"].read_bytes() == WEIGHTS


def test_a_server_without_ranges_starts_again(
    server: HubServer, fetch: Fetch, tmp_path: Path
) -> None:
    server.ranges = False
    server.faults = [Fault("elsewhere", cut=15_000_000)]
    assert fetch(model(server)).returncode == 0
    found = read(tmp_path / "hub" / "it.listing")
    assert found["model.safetensors"].read_bytes() == WEIGHTS


def test_what_never_comes_right_is_not_kept(
    server: HubServer, fetch: Fetch, tmp_path: Path
) -> None:
    server.faults = [Fault("elsewhere", flip=7, times=99)]
    line = said(fetch(model(server)))
    wrong = WEIGHTS[:7] + bytes([WEIGHTS[7] ^ 1]) + WEIGHTS[8:]
    there, here = (hashlib.sha256(body).hexdigest() for body in (WEIGHTS, wrong))
    assert f"model.safetensors: found sha256 {here}, the hub lists {there}" in line
    assert "after two downloads" in line
    assert not (tmp_path / "hub" / "it.listing").exists()
    assert not (tmp_path / "hub" / "it" / "model.safetensors").exists()


def test_what_was_spoilt_on_the_disk_is_fetched_again(
    server: HubServer, fetch: Fetch, tmp_path: Path
) -> None:
    """A file that is listed with git's hash, and a part that is longer than its file."""
    folder = tmp_path / "hub" / "it"
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(MODEL["config.json"].upper())
    (folder / "model.safetensors.partial").write_bytes(WEIGHTS + b"more")
    done = fetch(model(server))
    assert done.returncode == 0, done.stdout
    assert "config.json: found git-sha1 " in done.stdout
    found = read(tmp_path / "hub" / "it.listing")
    assert found["config.json"].read_bytes() == MODEL["config.json"]
    assert found["model.safetensors"].read_bytes() == WEIGHTS
    assert len(list(folder.iterdir())) == 2


def test_no_room_on_the_disk(server: HubServer, fetch: Fetch, tmp_path: Path) -> None:
    server.sizes["model.safetensors"] = 10**18
    assert "org/tiny@" in (line := said(fetch(model(server))))
    assert f"needs 1000000000.0 GB, {tmp_path / 'hub' / 'it'} has " in line
    assert not server.downloads("model.safetensors")


def test_a_token_is_sent_to_the_hub_alone_and_never_shown(
    server: HubServer, fetch: Fetch
) -> None:
    server.private["org/tiny"] = TOKEN
    line = said(fetch(model(server)))
    assert "found no such model; one that is private needs HF_TOKEN" in line
    server.seen.clear()
    server.faults = [Fault("elsewhere", status=503)]
    done = fetch(model(server), HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stdout
    assert TOKEN not in done.stdout
    sent = {path.split("/")[1]: token for _, path, _, token in server.seen}
    assert sent["api"] == f"Bearer {TOKEN}"
    assert sent["elsewhere"] == ""


@pytest.mark.slow
def test_what_cannot_be_had_ends_in_one_line(
    server: HubServer, fetch: Fetch, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Where nobody listens, a connection is refused five times, 1 + 2 + 4 + 8 seconds
    apart, while the others are told."""
    spec = model(server)
    other = HubSpec("org/tiny", "model", "a" * 40, MODEL_FILES)
    nobody = start(spec, HF_ENDPOINT="http://127.0.0.1:1")
    assert "org/tiny@aaaaaaaaaaaa: found no revision aaaa" in said(fetch(other))
    server.pins["org/tiny"] = "b" * 40
    server.aliases = {spec.revision}
    assert "the hub answers with another commit, bbbb" in said(fetch(spec))
    server.pins.clear()
    none = HubSpec("org/none", "model", "main", MODEL_FILES)
    assert "org/none@main: found no such model" in said(fetch(none))
    server.gated.add("org/tiny")
    assert "gated: accept its terms on its page, and set HF_TOKEN" in said(fetch(spec))
    assert "HF_HUB_OFFLINE is set" in said(fetch(spec, HF_HUB_OFFLINE="1"))
    server.gated.clear()
    (server.root / "models/org/tiny/model.safetensors").unlink()
    spec = model(server)
    assert "found no weights as safetensors" in said(fetch(spec))
    assert "download failed" in said(ended(nobody))
