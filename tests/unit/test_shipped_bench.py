"""The pages in docs/reference/bench are drawn from the runs beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.goals import BENCH, PAGES

from selfgen.bench.harness import Bench

SHIPPED = sorted(BENCH.rglob("*.json"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_page_is_drawn_again_byte_for_byte(path: Path) -> None:
    bench = Bench.read(path)
    page = bench.page(PAGES[path.stem](bench.timings))
    assert page == path.with_suffix(".md").read_text(encoding="utf-8")


def test_every_page_that_is_listed_is_shipped() -> None:
    assert {path.stem for path in SHIPPED} == {p.stem for p in BENCH.rglob("*/*.md")}
    readme = (BENCH / "README.md").read_text(encoding="utf-8")
    listed = dict(
        re.findall(r"^\| `(\w+)\.md`( \(none shipped\))? \|", readme, re.MULTILINE)
    )
    assert set(listed) == set(PAGES)
    assert {x for x, none in listed.items() if not none} == {p.stem for p in SHIPPED}
