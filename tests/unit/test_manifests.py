"""What vouches for a file, and every single bit of a file that is not what it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.rows import parquet, read_frame, read_rows, write_rows

ROWS = [{"id": str(i), "rougeL": i / 64, "text": f"text {i} " * 4} for i in range(64)]


def write(place: Path, *outputs: Path) -> None:
    manifests.write(place, "score_answers", '{"a": 1}', {}, "code", outputs, {"n": 2})


@pytest.mark.parametrize(
    "name", ["seed0.json", "manifest.json", "manifests/seed0.json"]
)
def test_a_manifest_beside_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "seed0.parquet"
    write_rows(path, ROWS)
    with pytest.raises(UserError, match="no manifest beside it"):
        manifests.held(path, made=True)
    write(tmp_path / name, path)
    assert len(manifests.held(path, made=True)) == 64
    other = path.with_name("seed1.parquet")
    write_rows(other, ROWS)
    with pytest.raises(UserError, match=r"seed1.parquet: no manifest beside it"):
        manifests.held(other, made=True)
    path.unlink()
    with pytest.raises(UserError, match=r"seed0.parquet: this file is missing"):
        manifests.held(path, made=True)


def test_a_folder_of_weights(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    write(tmp_path / "tiny.json", folder)
    manifests.held(folder, made=True)
    (folder / "more.json").write_text("{}")
    with pytest.raises(UserError, match="tiny: changed since score_answers made it"):
        manifests.held(folder, made=True)


def test_nobody_is_told_to_delete_what_no_step_makes(tmp_path: Path) -> None:
    """Weights of another run as the base of this one, which an earlier version may have
    made, with a manifest that holds no digest."""
    folder, manifest = tmp_path / "weights", tmp_path / "manifest.json"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"w")
    manifests.write(manifest, "finetune", "{}", {}, "", [folder], {})
    digest = manifests.held(folder, made=False)
    whole = manifest.read_bytes()
    (folder / "model.safetensors").write_bytes(b"v")
    cure = f"; bring weights back as it was, or move {manifest} away if it is right"
    with pytest.raises(UserError, match="changed since finetune") as said:
        manifests.held(folder, made=False)
    assert str(said.value).endswith(cure)
    (folder / "model.safetensors").write_bytes(b"w")
    earlier = json.loads(whole)
    del earlier[manifests.DIGEST]
    manifest.write_text(json.dumps(earlier))
    with pytest.raises(UserError, match="of an earlier version") as said:
        manifests.held(folder, made=False)
    assert str(said.value).endswith(cure)
    manifest.rename(tmp_path / "away")
    assert manifests.held(folder, made=False) == digest


def test_every_bit_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "seed0.parquet"
    path.write_bytes(content := parquet(read_frame(_rows(tmp_path / "rows.parquet"))))
    write(tmp_path / "seed0.json", path)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(
            UserError, match=r"seed0.parquet: changed since score_answers"
        ):
            manifests.held(path, made=True)


def _rows(path: Path) -> Path:
    write_rows(path, ROWS)
    return path


def test_every_bit_of_a_manifest(tmp_path: Path) -> None:
    """Refused, or the content is the same: blanks between its words do not count."""
    path, refused = tmp_path / "seed0.json", 0
    write(path)
    content = path.read_bytes()
    value = manifests.read(path)
    assert value["n"] == 2 and value["rule"] == "score_answers"
    for place in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            try:
                assert manifests.read(path) == value
            except UserError as error:
                refused += 1
                assert "\n" not in str(error) and "seed0.json: " in str(error)
    assert refused > 7.5 * len(b"".join(content.split()))


def test_values_of_rows_are_verified_without_a_manifest(tmp_path: Path) -> None:
    """Each page has a checksum: of the bits that hold values none changes one silently."""
    path = _rows(tmp_path / "rows.parquet")
    content, noticed = path.read_bytes(), 0
    first = content.index(b"text 0 ")
    for place in range(first, first + 400):
        changed = bytearray(content)
        changed[place] ^= 4
        path.write_bytes(changed)
        try:
            assert read_rows(path) == ROWS
        except UserError as error:
            noticed += 1
            assert "rows.parquet: found no whole Parquet file: " in str(error)
    assert noticed == 400


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "1", "null", '{"outputs": 1}', "[" * 100_000, '{"digest": 1}'],
)
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    path = tmp_path / "seed0.parquet"
    write_rows(path, ROWS)
    (tmp_path / "seed0.json").write_text(text)
    with pytest.raises(UserError) as error:
        manifests.held(path, made=True)
    assert "\n" not in str(error.value) and "delete it" in str(error.value)
    manifests.held(path, made=False)  # of a file of one's own, it may be anything


def test_numbers_as_keys(tmp_path: Path) -> None:
    """JSON has texts alone, which are sorted otherwise."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps(manifests.signed({"n": {9: 1, 10: 2}, "x": 0.1})))
    assert manifests.read(path) == {"n": {"9": 1, "10": 2}, "x": 0.1}
