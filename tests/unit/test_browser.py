"""What the tests of pages look with: a frame as narrow as a phone, with all details open."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import browser

PAGE = (
    "<!DOCTYPE html><html><head></head><body><details>"
    '<div style="width: %dpx">x</div></details></body></html>'
)


@pytest.mark.needs("chromium")
def test_what_is_too_wide_in_closed_details_is_seen(tmp_path: Path) -> None:
    phone = min(browser.WIDTHS)
    page = tmp_path / "page.html"
    for wide in (phone // 2, phone + 50):
        page.write_text(PAGE % wide, encoding="utf-8")
        said = browser.look(page, phone, "said.open = innerWidth;", tmp_path)
        assert said["open"] == phone and (said["wide"] > 0) == (wide > phone)
