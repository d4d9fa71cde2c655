"""The documentation as a site: built without a warning, read at three widths."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests import browser
from tests.flow import REPO

PAGES = ("index", "your-data", "synthetic", "guide", "configuration", "report")

BUILD = REPO / "docs" / "_site" / "build.py"
BUILT = runpy.run_path(str(BUILD))
SOURCES = [
    *BUILT["PAGES"],
    *(
        path.relative_to(REPO).as_posix()
        for path in (REPO / "docs").rglob("*")
        if path.suffix in (".md", BUILT["NOTEBOOK"])
    ),
]
EVERY = sorted(BUILT["_name"](place).removesuffix(".md") for place in SOURCES)
SPHINX = ("genindex", "search")
"""Pages that it adds."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    call = [sys.executable, str(BUILD), str(out)]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # a link that leads nowhere, among others
    return out


@pytest.mark.slow
def test_every_page_is_there_and_asks_for_nothing(site: Path) -> None:
    there = {path.relative_to(site) for path in site.rglob("*.html")}
    names = {
        path.with_suffix("").as_posix()
        for path in there
        if path.parts[0] != "_downloads"
    }
    assert names == {*EVERY, *SPHINX}
    text = (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        assert f'href="{page}.html"' in text
    assert not re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="https?:', text)


@pytest.mark.slow
@pytest.mark.needs("chromium")
@pytest.mark.parametrize(
    "page, width",
    [
        *((page, width) for page in PAGES for width in browser.WIDTHS),
        *((page, browser.WIDTHS[0]) for page in EVERY if page not in PAGES),
    ],
)
def test_a_page_is_read_at_three_widths(
    site: Path, page: str, width: int, tmp_path: Path
) -> None:
    """And all others on a phone, where what is too wide shows first."""
    script = "said.images = [...document.images].map(image => image.naturalWidth);"
    said = browser.look(site / f"{page}.html", width, script, tmp_path, beside=True)
    assert said["problems"] == [] and said["wide"] <= 0
    assert all(said["images"])
