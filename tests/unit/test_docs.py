"""The documents point at things that exist, and the README's example runs."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_method_names_functions_and_tests() -> None:
    text = (ROOT / "docs" / "method.md").read_text()
    functions = re.findall(r"`(selfgen[\w.]+):(\w+)`", text)
    assert len(functions) > 5
    for module, name in functions:
        assert hasattr(importlib.import_module(module), name), f"{module}:{name}"
    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


def test_readme_shows_the_commands_and_its_example_runs() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make reproduce" in text[:800]
    assert "make test" in text[:800]
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
