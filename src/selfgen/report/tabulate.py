"""Draws one table or one figure: what all of them have in common.

Pure functions of the files that are read and of the spec, so that a shipped run can be drawn
again from what lies beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from selfgen.core.errors import UserError
from selfgen.core.spec import to_json
from selfgen.report import figures
from selfgen.report.registry import Made, Rendering, all_tables
from selfgen.report.spec import TableSpec

KINDS = ("md", "tex", "csv", "json")
"""Endings of a table's files; the last is the spec that it was drawn with."""

Inputs = Mapping[str, Sequence[Path]]


def table(spec: TableSpec[Any], inputs: Inputs) -> dict[str, bytes]:
    """The files of a table, by their endings: ``KINDS``."""
    drawn = _draw(all_tables(), spec, inputs)
    texts = drawn.texts() | {"json": to_json(spec) + "\n"}
    return {kind: text.encode() for kind, text in texts.items()}


def figure(spec: TableSpec[Any], inputs: Inputs) -> dict[str, bytes]:
    """The files of a figure, by their endings: ``figures.KINDS``."""
    drawn = _draw(figures.FIGURES, spec, inputs)
    return {kind: figures.render(drawn, kind) for kind in figures.KINDS}


def _draw(
    known: Mapping[str, Rendering[Made]], spec: TableSpec[Any], inputs: Inputs
) -> Made:
    if spec.kind not in known:
        raise UserError(f"kind: found {spec.kind!r}, allowed: {', '.join(known)}")
    found = known[spec.kind]
    if found.own is not None:
        spec = replace(spec, own=TypeAdapter(found.own).validate_python(spec.own))
    read = [reader(inputs[name]) for name, reader in found.reads.items()]
    return found.draw(*read, spec)
