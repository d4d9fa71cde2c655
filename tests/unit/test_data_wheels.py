"""Wheels are fetched by hash, refused when damaged, and never installed."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import pytest

from selfgen.core.errors import UserError
from selfgen.core.provenance import sha256
from selfgen.data.archive import open_wheel, read_member
from selfgen.data.pins import WheelSpec
from selfgen.data.wheels import fetch

NAME = "tinywheel-1.0-py3-none-any.whl"
INFO = "tinywheel-1.0.dist-info"
# sha256 of the three bytes "abc", from FIPS 180-2
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one small wheel that pip searches instead of an index."""
    folder = tmp_path / "shop"
    folder.mkdir()
    with zipfile.ZipFile(folder / NAME, "w") as wheel:
        wheel.writestr("tinywheel/data/words.txt", "moss\nfern\n")
        wheel.writestr(
            f"{INFO}/METADATA",
            "Metadata-Version: 2.1\nName: tinywheel\nVersion: 1.0\n"
            "Requires-Python: >=9.9\nRequires-Dist: no-such-package\n",
        )
        wheel.writestr(
            f"{INFO}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
        )
        wheel.writestr(f"{INFO}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def spec(shop: Path) -> WheelSpec:
    return WheelSpec("tinywheel", "1.0", NAME, sha256(shop / NAME))


def test_sha256_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == ABC


def test_fetch_then_keep(spec: WheelSpec, tmp_path: Path, shop: Path) -> None:
    folder = tmp_path / "wheels"
    path = fetch(spec, folder)
    assert path == folder / NAME
    assert path.read_bytes() == (shop / NAME).read_bytes()
    assert [p.name for p in folder.iterdir()] == [NAME]
    # a good file is not fetched again: the shop is closed now
    (shop / NAME).unlink()
    assert fetch(spec, folder) == path


@pytest.mark.parametrize("damage", ["flipped byte", "truncated"])
def test_damaged_file_is_reported_and_fetched_again(
    spec: WheelSpec, tmp_path: Path, shop: Path, damage: str, caplog
) -> None:
    good = (shop / NAME).read_bytes()
    middle = len(good) // 2
    bad = good[:middle]
    if damage == "flipped byte":
        bad += bytes([good[middle] ^ 1]) + good[middle + 1 :]
    path = tmp_path / "wheels" / NAME
    path.parent.mkdir()
    path.write_bytes(bad)
    found = sha256(path)
    with caplog.at_level(logging.WARNING):
        fetch(spec, path.parent)
    assert path.read_bytes() == good
    assert found in caplog.text
    assert spec.sha256 in caplog.text
    assert NAME in caplog.text


def test_wrong_pin_is_refused_with_both_hashes(spec: WheelSpec, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    with pytest.raises(UserError) as caught:
        fetch(WheelSpec(spec.package, spec.version, spec.filename, ABC), folder)
    message = str(caught.value)
    assert "tinywheel==1.0" in message
    assert ABC in message
    assert spec.sha256 in message
    assert "\n" not in message
    assert list(folder.iterdir()) == []


def test_missing_package_and_other_filename(spec: WheelSpec, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tinywheel==2\.0: download failed: .*ERROR"):
        fetch(WheelSpec("tinywheel", "2.0", NAME, spec.sha256), tmp_path / "a")
    with pytest.raises(UserError, match=r"expected other\.whl, pip brought"):
        fetch(WheelSpec("tinywheel", "1.0", "other.whl", spec.sha256), tmp_path / "b")


def test_reading(shop: Path) -> None:
    path = shop / NAME
    assert read_member(path, "tinywheel/data/words.txt") == b"moss\nfern\n"
    with open_wheel(path) as wheel:
        assert f"{INFO}/WHEEL" in wheel.namelist()
    with pytest.raises(UserError, match="no member 'tinywheel/none'"):
        read_member(path, "tinywheel/none")
    with pytest.raises(UserError, match="no such wheel"):
        open_wheel(shop / "absent.whl")
    (shop / "text.whl").write_text("not a zip")
    with pytest.raises(UserError, match="not a wheel"):
        open_wheel(shop / "text.whl")


@pytest.mark.parametrize("member", ["../up", "/etc/passwd", "a/../../b", "a\\..\\b"])
def test_members_that_lead_out_are_refused(tmp_path: Path, member: str) -> None:
    path = tmp_path / "evil.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(member, "x")
    with pytest.raises(UserError, match="leads out of the wheel"):
        read_member(path, member)
