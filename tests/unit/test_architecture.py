"""The packages are those of docs/architecture.md, and imports point downwards there."""

from __future__ import annotations

import ast
import graphlib
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "selfgen"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

UNMERGED = {"methods"}
"""Packages of the page that may not be there yet."""

UPWARDS = {("mixing", "evaluation")}
"""Arrows that may still point upwards; there are to be none."""


def _section(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


ORDER = re.findall(r"^\| `(\w+)` \|", _section("The packages of src/selfgen"), re.M)
MODULES = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts): path
    for path in SOURCE.rglob("*.py")
}


def _package(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def _imports(path: Path, everywhere: bool) -> set[str]:
    """Modules of ours that a file imports: at its top level, or ``everywhere`` in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                known = name in MODULES or f"{name}.__init__" in MODULES
                found.add(name if known else node.module)
    return {name for name in found if name.startswith("selfgen.")}


def test_the_page_names_every_package_once() -> None:
    packages = {
        path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()
    }
    assert len(ORDER) == len(set(ORDER))
    assert packages | UNMERGED == set(ORDER)


def test_imports_point_downwards() -> None:
    """Also those inside functions and for type checkers; so packages have no circles."""
    upwards = {
        (_package(module), _package(name)): f"{module} imports {name}"
        for module, path in MODULES.items()
        for name in _imports(path, everywhere=True)
        if _package(module) in ORDER
        and ORDER.index(_package(name)) < ORDER.index(_package(module))
    }
    assert {pair: told for pair, told in upwards.items() if pair not in UPWARDS} == {}


def test_modules_import_no_circles() -> None:
    arrows = {
        module.removesuffix(".__init__"): {
            name
            for name in _imports(path, everywhere=False)
            if name != module.removesuffix(".__init__")
        }
        for module, path in MODULES.items()
    }
    graphlib.TopologicalSorter(arrows).prepare()


def test_the_places_of_the_page_exist() -> None:
    cells = re.findall(r"^\|[^|]+\|(.+)\|$", _section("Where is it?"), re.M)
    named = re.findall(r"`([a-z_]+/[\w/]*(?:\.py)?)`", "".join(cells))
    assert len(named) > 9
    for name in named:
        package = name.partition("/")[0]
        absent = package in UNMERGED and not (SOURCE / package).exists()
        assert absent or (SOURCE / name).exists(), name


def test_the_catalog_knows_that_rules_have_an_environment() -> None:
    catalog = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    rules = "".join(p.read_text() for p in ROOT.glob("workflow/rules/*.smk"))
    assert catalog["usage"]["software-stack-deployment"]["conda"] is ("conda:" in rules)
