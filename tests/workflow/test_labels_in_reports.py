"""Labels in the report of Snakemake, which embeds what it shows into one page."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from tests.flow import Flow

LABEL = r"</script><script>alert(1)</script> $\foo$ | \b %d & _x # 'q' {task} `y`"


class Scripts(HTMLParser):
    """Reads a page as a browser does; ``tags``: the names of all elements."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


def scripts(page: str) -> int:
    parser = Scripts()
    parser.feed(page)
    return parser.tags.count("script")


@pytest.mark.slow
def test_a_label_ends_no_script_of_the_report(flow: Flow) -> None:
    """Only what draws labels runs again, and the page, which holds the figures with them,
    has as many scripts as before."""
    run = ("--configfile", "small.yaml", "--cores", "2")
    done = flow.snakemake(*run, "--report", "before.html")
    assert done.returncode == 0, done.stdout
    before = (flow.root / "before.html").read_text()
    config = flow.config("small.yaml")
    config["methods"]["bash"]["label"] = LABEL
    flow.write_config("small.yaml", config)
    assert set(flow.rules("--configfile", "small.yaml")) == {
        *("tabulate", "plot", "render_samples")
    }
    done = flow.snakemake(*run)
    assert done.returncode == 0, done.stdout
    for name in ("tables/main.md", "tables/samples.md", "figures/main.svg"):
        assert "alert(1)" in (flow.root / "results" / name).read_text(), name
    done = flow.snakemake(*run, "--report", "after.html")
    assert done.returncode == 0, done.stdout
    page = (flow.root / "after.html").read_text()
    assert scripts(page) == scripts(before) > 0
    assert "<script>alert" not in page and r"\\u003cscript>alert" in page
    held = [
        base64.b64decode(x) for x in re.findall(r"base64,([A-Za-z0-9+/=]{40,})", page)
    ]
    assert any(b"alert(1)" in content for content in held)
