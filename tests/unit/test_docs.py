"""The documents say what is there: links, names, commands, examples, numbers of files."""

from __future__ import annotations

import hashlib
import importlib
import re
from pathlib import Path

import pytest
import torch
import yaml
from tests.flow import Flow

from selfgen import __version__, config
from selfgen.graph.sources import WHEELS
from selfgen.methods import METHODS
from selfgen.mixing import rows
from selfgen.models import probe

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
METHOD = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("config/*.md")),
    *sorted(ROOT.glob("docs/*.md")),
]
NAMES = re.compile(r"`(selfgen(?:\.\w+)+(?::\w+)?)`")


def _laptop() -> config.Config:
    return config.load(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))


def _block(text: str, kind: str) -> str:
    found = re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(found) == 1, f"one {kind} block"
    return found[0]


def _cells(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"https?://|#", link):
            assert (page.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_code_exists(page: Path) -> None:
    for name in NAMES.findall(page.read_text(encoding="utf-8")):
        module, _, attribute = name.partition(":")
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:  # module.attribute, as one writes it in Python
            module, _, attribute = module.rpartition(".")
            found = importlib.import_module(module)
        assert not attribute or hasattr(found, attribute), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:tests|config|envs)/[\w./]+\.\w+)`", text):
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_machine_and_no_registry(page: Path) -> None:
    found = re.findall(r"/(?:home|root|tmp|work)/\w+|pypi\.\w+", page.read_text())
    assert found == []


def test_method_names_code_and_tests() -> None:
    assert len(re.findall(r"`selfgen\.[\w.]+:\w+`", METHOD)) > 20
    assert len(set(re.findall(r"`(tests/[\w/]+\.py)`", METHOD))) > 6


def test_readme_names_the_targets_that_make_has() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)) - {"help"}
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) == targets
    first_screen = README.splitlines()[:40]
    for command in ("make reproduce", "make test"):
        assert any(line.startswith(command) for line in first_screen)


def test_readme_has_a_place_for_results() -> None:
    for name in ("laptop/main", "laptop/time", "laptop/cost"):
        assert README.count(f"<!-- {name} -->") == 1
        assert README.index(f"<!-- {name} -->") < README.index(f"<!-- /{name} -->")


def test_readme_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, object] = {}
    exec(compile(_block(README, "python"), "README.md", "exec"), scope)
    made = scope["rows"]
    assert len(made) == len(scope["pairs"])
    assert len(capsys.readouterr().out.splitlines()) == len(made)
    read = [
        (token, label)
        for row in made
        for token, label in zip(row["input_ids"], row["labels"], strict=True)
        if label != rows.IGNORE
    ]
    assert any(token != label for token, label in read)
    assert (
        sum(token != label for token, label in read)
        == scope["mixed"].facts["changed_tokens"]
    )


def test_the_rule_graph(bare: Flow, tmp_path: Path) -> None:
    where = ("--directory", str(tmp_path))
    drawn = bare.snakemake(*where, "--rulegraph", "mermaid-js").stdout
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]", drawn, re.MULTILINE))
    edges = re.findall(r"(id\d+) --> (id\d+)", drawn)
    shown = re.findall(
        r"(\w+) (?:-- [\w ]+ )?--> (\w+)", _block(ARCHITECTURE, "mermaid")
    )
    assert set(shown) == {(names[a], names[b]) for a, b in edges}


def test_readme_names_the_pin_of_torch() -> None:
    pin = re.search(r"^torch==\S+", (ROOT / "envs/requirements.txt").read_text(), re.M)
    assert f"`{pin[0]}`" in README


def test_method_example_is_what_the_rows_are() -> None:
    table = METHOD.partition("<!-- example -->")[2].partition("<!-- /example -->")[0]
    example = _cells(table)
    texts = dict.fromkeys(text for line in example for text in line)
    words = {text: i for i, text in enumerate(texts)}
    plain, bash = ([words[line[i]] for line in example] for i in (1, 2))
    labels = [rows.IGNORE if line[3] == "—" else words[line[3]] for line in example]
    made = rows.bash(plain[:2], plain[2:], bash[2:])
    assert made["input_ids"] == bash
    assert made["labels"] == labels
    assert rows.plain(plain[:2], plain[2:])["labels"] == labels
    for position, line in enumerate(example[2:], 2):
        assert line[0] == str(position)
        assert line[4] == str(position - 1)
        assert line[5].split() == [other[2] for other in example[:position]]


def test_method_keys_exist() -> None:
    laptop = _laptop()
    assert laptop.methods["rac"].correction_share == 0.5
    assert {m.beta for m in laptop.methods.values() if m.mix == "bash"} == {0.25}
    for key in re.findall(r"`methods\.\w+\.(\w+)`", METHOD):
        assert key in METHODS["bash"].model_fields | METHODS["rac"].model_fields, key
    for key in re.findall(r"`stages\.NAME\.(\w+)`", METHOD):
        assert key in config.Stage.model_fields, key
    for key in re.findall(r"`tasks\.NAME\.(\w+)`", METHOD):
        assert key in config.Task.model_fields, key


def test_method_says_when_two_ways_agree() -> None:
    page = " ".join(METHOD.split())
    full, half = (
        f"{100 * x:g} %" for x in (probe.TOLERANCE[torch.float32], probe.HALF)
    )
    assert f"at most {full} of that of the logits in fp32" in page
    assert f"In half precision it is {half}," in page


def test_data_names_every_source() -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    for name, wheel in WHEELS.items():
        assert f"| `{name}` | {wheel.package} {wheel.version} |" in page


def test_every_item_of_reproducibility_leads_to_a_value() -> None:
    text = (ROOT / "docs" / "reproducibility.md").read_text(encoding="utf-8")
    rows = _cells(text)
    assert {len(row) for row in rows} == {3} and len(rows) > 20
    without = [asked for asked, _, value in rows if "](" not in value]
    assert without == ["A persistent archive"]


def test_licence_is_the_unmodified_apache_2() -> None:
    text = (ROOT / "LICENSE").read_bytes()
    assert hashlib.sha256(text).hexdigest().startswith("cfc7749b96f63bd3")


def test_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["references"][0]["identifiers"][0]["value"] == "arXiv:2410.14655"
