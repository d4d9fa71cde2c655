"""Imports between the rooms of the package point downwards only (docs/architecture.md)."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "selfgen"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
"""From top to bottom, as the page lists them."""


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports when it runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and node.module == "selfgen":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    names = {name.removeprefix("selfgen.") for name in found}
    return {name for name in names if name.partition(".")[0] in ROOMS}


def test_every_room_is_on_the_page() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(ROOMS) == folders and len(ROOMS) == len(folders)


def test_imports_point_downwards() -> None:
    upwards = {
        (".".join(path.relative_to(PACKAGE).with_suffix("").parts), name)
        for path in PACKAGE.glob("*/**/*.py")
        for name in imported(path)
        if ROOMS.index(name.partition(".")[0])
        < ROOMS.index(path.relative_to(PACKAGE).parts[0])
    }
    assert not upwards


def test_modules_import_no_circles() -> None:
    """Of what is imported when a module is; a function may import what imports it."""
    modules = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }
    arrows: dict[str, set[str]] = {}
    for module, path in modules.items():
        arrows[module] = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.ImportFrom):
                continue
            package, _, room = (node.module or "").partition(".")
            for alias in node.names if package == "selfgen" else ():
                name = ".".join(filter(None, (room, alias.name)))
                known = [m for m in (name, f"{name}.__init__") if m in modules]
                arrows[module].update(known or {room, f"{room}.__init__"} & {*modules})
    assert sum(map(len, arrows.values())) > 300
    graphlib.TopologicalSorter(arrows).prepare()


def test_the_places_of_the_page_exist() -> None:
    places = re.findall(r"`(src/selfgen/[\w./]+)`", PAGE)
    assert len(places) > 8
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_the_workflow_loads_no_library_of_models() -> None:
    """Every job of a cluster reads the workflow anew, with the registry of tables."""
    look = """
import sys
from pathlib import Path
from selfgen.config import files
from selfgen.graph.workflow import open_workflow
path = Path("config/config.yaml")
open_workflow(files.read(path), [path], Path()).results()
print(*sys.modules)
"""
    command = [sys.executable, "-c", look]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert "selfgen.graph.steps" in loaded and "selfgen.report.tables.main" in loaded
    assert not loaded & {"torch", "transformers", "accelerate", "pandas", "scipy"}
