"""`selfgen report`: a finished run as one page, opened in a real browser."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from selfgen.cli.main import main
from tests import browser
from tests.flow import Flow

CLICKS = """
const cells = n => [...document.querySelectorAll("#main tbody tr")]
  .map(row => row.cells[n].dataset.order || row.cells[n].textContent);
said.before = cells(1);
const soon = () => new Promise(done => setTimeout(done, 200));
const heads = document.querySelectorAll("#main thead th");
heads[1].click(); await soon(); said.once = cells(1);
heads[1].click(); await soon(); said.twice = cells(1);
const shown = () => [...document.querySelectorAll(".sample")].filter(s => !s.hidden).length;
said.all = shown();
const standing = document.getElementById("standing");
said.chosen = [...standing.options].map(one => {
  standing.value = one.value;
  standing.onchange();
  return shown();
});
const cost = document.querySelector("#cost .dt-layout-full");
cost.scrollLeft = cost.scrollWidth;
await soon();
said.scrolled = cost.scrollLeft;
const ends = cells => [...cells].slice(0, 2).map(cell => cell.getBoundingClientRect())
  .map(box => [box.left, box.right]);
said.stay = [...cost.querySelectorAll("tr")].map(row => ends(row.cells));
location.hash = "#details";
await soon();
said.open = document.getElementById("details").open;
said.led = [...document.querySelectorAll("nav a")]
  .map(a => document.querySelectorAll(`main > section${a.hash}`).length);
said.sections = [...document.querySelectorAll("main > section")].map(part => part.id);
said.images = [...document.images].map(image => image.naturalWidth);
"""


@pytest.fixture
def page(flow: Flow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(flow.root)
    out = tmp_path / "report.html"
    assert main(["report", "small.yaml", "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_the_page_asks_for_nothing_and_says_where_all_is_from(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    without = re.sub(
        r'"data:image[^"]*"|atob\("[^"]*"\)|<style>.*?</style>', "", text, flags=re.S
    )
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', without)
    for words in ("What was found", "Scores in percent", "torch 2.", "Seeds"):
        assert words in text
    assert text.count('class="sample"') >= 2
    assert str(page.parent) not in text


@pytest.mark.slow
@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", browser.WIDTHS)
def test_it_is_read_and_clicked_at_three_widths(
    page: Path, width: int, tmp_path: Path
) -> None:
    said = browser.look(page, width, CLICKS, tmp_path)
    assert said["problems"] == [] and said["wide"] <= 0
    assert (
        said["sections"][:2] == ["found", "scores"] and said["sections"][-1] == "made"
    )
    assert set(said["led"]) == {1} and len(said["led"]) == len(said["sections"])
    order = [float(x) for x in said["once"] if re.fullmatch(r"-?[\d.]+", x)]
    assert order == sorted(order) and sorted(said["once"]) == sorted(said["before"])
    back = [float(x) for x in said["twice"] if re.fullmatch(r"-?[\d.]+", x)]
    assert back == sorted(order, reverse=True)
    assert said["chosen"][0] == said["all"] and all(said["chosen"])
    assert said["scrolled"] > 0 or width > browser.WIDTHS[0]
    for (left, end), (begin, right) in said["stay"]:  # of the table of costs
        assert 0 <= left < begin < right <= width and end == pytest.approx(begin, abs=1)
    assert said["open"] and all(said["images"]) and said["images"]


@pytest.mark.slow
def test_a_run_without_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Path(__file__).parents[1] / "workflow" / "small.yaml"
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(config)]) == 1
    assert "found no table main; run the workflow first" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.needs("chromium")
def test_the_page_of_synthetic_experiments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that are shipped; the second file goes on top of the first."""
    root = Path(__file__).parents[2]
    shutil.copytree(root / "docs/reference/synthetic", tmp_path / "results")
    (tmp_path / "more.yaml").write_text("scale: ours\n")
    monkeypatch.chdir(tmp_path)
    config = str(root / "config" / "synthetic.yaml")
    assert main(["report", config, "--with", "more.yaml"]) == 0
    page = tmp_path / "report.html"
    text = page.read_text(encoding="utf-8")
    assert "selfgen: ours" in text and "Better" in text and "excess error" in text
    script = "said.images = [...document.images].map(image => image.naturalWidth);"
    for width in browser.WIDTHS:
        said = browser.look(page, width, script, tmp_path)
        assert said["problems"] == [] and said["wide"] <= 0
        assert len(said["images"]) == 13 and all(said["images"])


def test_a_file_on_top_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Path(__file__).parents[1] / "workflow" / "small.yaml"
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(config), "--with", "none.yaml"]) == 1
    assert "--with: none.yaml: found no such file" in capsys.readouterr().err
