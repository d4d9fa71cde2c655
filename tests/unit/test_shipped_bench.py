"""The pages in docs/reference/bench are drawn from the runs beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfgen.bench import floor, forced, free, parts, scale, start, training
from selfgen.bench.harness import Bench

BENCH = Path(__file__).parents[2] / "docs" / "reference" / "bench"
PAGES = {"forced": forced.page, "free": free.page, "train": training.page}
PAGES |= {
    "dpo": training.page,
    "parts": parts.page,
    "floor": floor.page,
    "scale": scale.page,
    "start": start.page,
}
SHIPPED = sorted(BENCH.rglob("*.json"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_page_is_drawn_again_byte_for_byte(path: Path) -> None:
    bench = Bench.read(path)
    page = bench.page(PAGES[path.stem](bench.timings))
    assert page == path.with_suffix(".md").read_text(encoding="utf-8")


def test_something_is_shipped() -> None:
    assert SHIPPED
    assert {path.stem for path in SHIPPED} == {p.stem for p in BENCH.rglob("*/*.md")}
