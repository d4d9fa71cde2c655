"""A finished run as a part of the documents: tables, figures and what they are drawn from.

Sample answers and the replies of judges stay behind: they quote texts that may not be
redistributed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.provenance import sha256
from selfgen.core.rows import WRITTEN, read_table

FOLDERS = ("tables", "figures", "collected")
BESIDE = ("tuning", "steps")
"""Folders of what tables read beside what is collected: choices on validation, and errors of
steps that a checker judged. Not every run has them."""


def ship(results: Path, out: Path) -> None:
    """Copy what ``results`` shows to the empty or missing folder ``out``; judgments, and
    ``BESIDE``, where there are any.

    Raises:
        UserError: a part of the run is missing, or not as it was made.
    """
    import pyarrow.parquet

    for folder in FOLDERS:
        if not (results / folder).is_dir():
            raise UserError(
                f"{results}: found no folder {folder}; run the workflow first"
            )
    for path in _made(results):
        if path.name != "samples.md":
            to = out / path.relative_to(results)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
    for path in (p for folder in BESIDE for p in _files(results / folder)):
        manifests.held(path, made=True)
        to = out / path.relative_to(results)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    for path in sorted((results / "judgments").rglob("*.parquet")):
        manifests.held(path, made=True)
        to = out / path.relative_to(results)
        to.parent.mkdir(parents=True, exist_ok=True)
        table = read_table(path).drop_columns("reply")
        pyarrow.parquet.write_table(table, to, **WRITTEN)


def _files(folder: Path) -> list[Path]:
    """What stands in a folder but manifests."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    vouching = {path.with_suffix(".json") for path in found if path.suffix != ".json"}
    return [p for p in found if p.name != "manifest.json" and p not in vouching]


def _made(results: Path) -> Iterator[Path]:
    """What the manifests of tables, figures and collected files name, each file held against
    them. One manifest tells of all tables and figures of synthetic experiments."""
    places = sorted(results.glob("*/manifests/*.json"))
    for place in [*places, results / "collected" / "manifest.json"]:
        for name, digest in manifests.read(place)["outputs"].items():
            own = place.parents[place.parent.name == "manifests"]
            folders = [own, *(results / folder for folder in FOLDERS)]
            path = next((x for f in folders if (x := f / name).is_file()), own / name)
            if not path.is_file() or sha256(path) != digest:
                raise UserError(
                    f"{path}: not as it was made, by {place}; delete it, and it is made"
                    " anew"
                )
            yield path


def show(readme: str, texts: dict[str, str]) -> str:
    """``readme`` with each of ``texts``, by name, between its marks, ``<!-- name -->`` and
    ``<!-- /name -->``.

    Raises:
        UserError: a mark is missing.
    """
    for name, text in texts.items():
        before, opening, rest = readme.partition(f"<!-- {name} -->")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not closing:
            raise UserError(f"README: found no <!-- {name} --> ... <!-- /{name} -->")
        readme = f"{before}{opening}\n\n{text.strip()}\n\n{closing}{after}"
    return readme


def shown(out: Path, page: Path) -> dict[str, str]:
    """What ``page`` shows of the run shipped in ``out``, by the name of its marks."""
    tables = {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted((out / "tables").glob("*.md"))
    }
    if "main" in tables:
        # The last note of the cost page is about the whole run.
        time = tables["cost"].splitlines()[-1].removeprefix("- ")
        return {"results": tables["main"], "time": time, "cost": tables["cost"]}
    figures = os.path.relpath(out / "figures", page.parent)
    shown = {name: text for name, text in tables.items() if name != "costs"}
    return shown | {
        "figures": shown["figures"].replace("](../figures/", f"]({figures}/")
    }
