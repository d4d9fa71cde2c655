"""What a table or figure is, and the tables that there are: a module of ``tables/`` each,
which defines ``TABLE``. The figures are in ``figures.FIGURES``."""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from selfgen.core import choices
from selfgen.core.choices import Choice
from selfgen.core.errors import UserError
from selfgen.core.registry import found
from selfgen.core.rows import read_frame, read_rows
from selfgen.core.spec import from_json, to_json
from selfgen.evaluation.text import SHAPE
from selfgen.report import grid, tables
from selfgen.report.grid import Grid
from selfgen.report.latex import to_latex
from selfgen.report.spec import TableSpec

if TYPE_CHECKING:
    import pandas

Rows = Sequence[Mapping[str, Any]]
"""What was measured of one model, a row an item."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Drawn:
    """A table: ``grids`` for people, and ``lines`` of ``columns`` for programs."""

    grids: Sequence[Grid]
    columns: Sequence[str]
    lines: Sequence[Sequence[Any]]

    def texts(self) -> dict[str, str]:
        """By the ending of the file's name: Markdown, LaTeX and CSV."""
        return {
            "md": "\n".join(map(grid.to_markdown, self.grids)),
            "tex": "\n".join(map(to_latex, self.grids)),
            "csv": grid.to_csv(self.columns, self.lines),
        }


@dataclass(frozen=True)
class Rendering(Generic[Made]):
    """A table or a figure.

    ``draw``: called with what was read, in the order of ``reads``, and the spec. ``reads``:
    its inputs by name, each with the reader of their files. ``own``: the type of
    ``TableSpec.own``.
    """

    draw: Callable[..., Made]
    reads: Mapping[str, Callable[[Sequence[Path]], Any]]
    own: Any = None

    @property
    def about(self) -> str:
        """What a reader of the report page should know: the first paragraph of what
        ``draw`` says of itself."""
        return " ".join((self.draw.__doc__ or "").partition("\n\n")[0].split())


Table = Rendering[Drawn]


def draw(
    known: Mapping[str, Rendering[Made]],
    spec: TableSpec[Any],
    inputs: Mapping[str, Sequence[Path]],
) -> Made:
    """A table or figure from its files; ``spec.own`` may be as it came from JSON.

    Raises UserError: none of that kind is known.
    """
    if spec.kind not in known:
        raise UserError(f"kind: found {spec.kind!r}, allowed: {', '.join(known)}")
    drawn = known[spec.kind]
    if drawn.own is not None:
        spec = replace(spec, own=from_json(drawn.own, to_json(spec.own)))
    # Of an input without files Snakemake does not even tell the name.
    read = [reader(inputs.get(name, ())) for name, reader in drawn.reads.items()]
    return drawn.draw(*read, spec)


REFERENCES = "references"
"""The input of every table and figure in which it stands what the baselines are, where they
are chosen on validation."""


def with_baselines(
    spec: TableSpec[Any], inputs: Mapping[str, Sequence[Path]]
) -> TableSpec[Any]:
    """A spec with the baselines that were chosen: ``REFERENCES`` has the choice of each, in
    the order of ``spec.baseline``. A spec that a table was drawn with tells them itself.

    Raises UserError: nothing tells them.
    """
    if isinstance(spec.baseline, str):
        return spec
    if not inputs.get(REFERENCES):
        if all(reference.chosen for reference in spec.baseline):
            return spec
        raise UserError(f"--input {REFERENCES}=PATH is missing")
    references = zip(spec.baseline, inputs[REFERENCES], strict=True)
    return replace(
        spec,
        baseline=tuple(
            replace(reference, chosen=choices.read(path).chosen)
            for reference, path in references
        ),
    )


def choice_list(paths: Sequence[Path]) -> list[Choice]:
    """The choices in some files."""
    return [choices.read(path) for path in paths]


def frame(paths: Sequence[Path]) -> pandas.DataFrame:
    """The one file of an input, Parquet or CSV. Texts such as ``null`` stay texts."""
    import pandas as pd

    (path,) = paths
    if path.suffix == ".parquet":
        return read_frame(path)
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def score_frame(paths: Sequence[Path]) -> pandas.DataFrame:
    """Collected scores. A measure that is younger than a shipped run is missing there."""
    scores = frame(paths)
    return scores.reindex(columns=[*dict.fromkeys([*scores.columns, *SHAPE])])


def rows(paths: Sequence[Path]) -> list[Rows]:
    """The rows of each file of an input, Parquet."""
    return [read_rows(path) for path in paths]


def csv_rows(paths: Sequence[Path]) -> list[Rows]:
    """The rows of each file of an input, CSV; all values are texts."""
    return [
        list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(keepends=True)))
        for path in paths
    ]


def by_method(
    spec: TableSpec[Any], parts: Sequence[Rows], decoding: bool = False
) -> dict[tuple[str, ...], dict[int, Rows]]:
    """The rows of each (task, model, method), and ``decoding`` where that counts, by seed."""
    methods: dict[tuple[str, ...], dict[int, Rows]] = {}
    for cell, part in zip(spec.cells, parts, strict=True):
        key = (cell.task, cell.model, cell.method, *([cell.decoding] * decoding))
        methods.setdefault(key, {})[cell.seed] = part
    return methods


@functools.cache
def all_tables() -> dict[str, Table]:
    """By name: that of the module, with dashes."""
    return found(tables.__name__, "TABLE")
