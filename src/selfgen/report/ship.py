"""A finished run as a part of the documents: tables, figures and what they are drawn from.

Sample answers and the replies of judges stay behind: they quote texts that may not be
redistributed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.provenance import sha256, write_json
from selfgen.core.rows import WRITTEN, read_table
from selfgen.report.took import FILE, took

FOLDERS = ("tables", "figures", "collected")
_MARK = re.compile(r"<!-- ([\w-]+(?:/[\w-]+)?) -->")

BESIDE = ("tuning", "steps")
"""Folders of what tables read beside what is collected: choices on validation, and errors of
steps that a checker judged. Not every run has them."""


def ship(results: Path, out: Path, resources: Path) -> None:
    """Copy what ``results`` shows to the empty or missing folder ``out``; judgments, and
    ``BESIDE``, where there are any. Beside it goes what the run took, downloads of the folder
    ``resources`` included.

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
    ship_cost(results, out, resources)


def ship_cost(results: Path, out: Path, resources: Path) -> None:
    """Write what a run took to the folder ``out``, and nothing else."""
    write_json(out / FILE, asdict(took(results, resources)))


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


def show(page: str, texts: Mapping[str, str]) -> str:
    """``page`` with the text of each of its marks, ``<!-- name -->`` to ``<!-- /name -->``.
    Marks of other runs than those of ``texts`` (what stands before ``/`` in a name) stay.

    Raises:
        UserError: there is no mark; one has no text, or no end.
    """
    runs = {name.rpartition("/")[0] for name in texts}
    marks = [m for m in _MARK.findall(page) if m.rpartition("/")[0] in runs]
    if not marks:
        raise UserError(f"page: found no mark of {' or '.join(sorted(texts))}")
    for name in marks:
        if name not in texts:
            raise UserError(f"page: found <!-- {name} -->, allowed: {', '.join(texts)}")
        before, opening, rest = page.partition(f"<!-- {name} -->")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not closing:
            raise UserError(f"page: found <!-- {name} --> without <!-- /{name} -->")
        page = f"{before}{opening}\n\n{texts[name].strip()}\n\n{closing}{after}"
    return page


def shown(out: Path, page: Path) -> dict[str, str]:
    """What ``page`` can show of the run shipped in ``out``, by mark: ``run/table``, and
    ``run/time``, where there is a table of costs that ends with it."""
    figures = os.path.relpath(out / "figures", page.parent)
    texts = {
        path.stem: path.read_text(encoding="utf-8").replace(
            "](../figures/", f"]({figures}/"
        )
        for path in sorted((out / "tables").glob("*.md"))
    }
    if "cost" in texts:
        # The last note of the cost page is about the whole run.
        texts["time"] = texts["cost"].splitlines()[-1].removeprefix("- ")
    return {f"{out.name}/{name}": text for name, text in texts.items()}
