"""The documentation as a site, without the network: ``python docs/_site/build.py OUT``.

Pages are README.md, the guide to configurations and docs/; a link to a file of the repository
that is no page becomes its name. Whatever Sphinx warns of, such as a link to nowhere, is
an error.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]

PAGES = {
    "README.md": "index.md",
    "config/README.md": "guide.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files of the repository that are pages, by their path, and what the page is called."""

NAVIGATION = {
    "Start": ["your-data", "trainers", "ten-rows", "own-method", "api"],
    "Methods": ["method", "models", "data"],
    "Findings": [
        "findings",
        "report",
        "measure",
        "synthetic",
        "judges",
        "statistics",
        "reproducibility",
        "footguns",
    ],
    "Runs": [
        "guide",
        "configuration",
        "rerun",
        "reliability",
        "cluster",
        "deploy",
        "paper",
    ],
    "The project": ["architecture", "contributing", "changelog"],
}
"""Pages in the order of the navigation; all others are reached by links."""

SHOWN = (".md", ".svg", ".png", ".csv", ".html", ".json", ".tex", ".txt", ".yaml")
"""Endings of what the site has."""

NOTEBOOK = ".ipynb"

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
_CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def main(out: Path) -> int:
    """Build the site in a folder; Sphinx's exit status."""
    from sphinx.cmd.build import build_main

    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder)
        collect(pages)
        settings = str(Path(__file__).parent)
        return build_main(
            ["-W", "--keep-going", "-q", "-c", settings, str(pages), str(out)]
        )


def collect(pages: Path) -> None:
    """Put the pages into a folder, with links as the site has them."""
    for source in sorted((ROOT / "docs").rglob("*")):
        place = source.relative_to(ROOT).as_posix()
        if source.suffix in (*SHOWN, NOTEBOOK) and "/_site/" not in place:
            _write(pages, place, _name(place))
    for place, name in PAGES.items():
        _write(pages, place, name)
    trees = [
        f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n"
        + "\n".join(names)
        + "\n```\n"
        for title, names in NAVIGATION.items()
    ]
    with (pages / "index.md").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(trees))


def _write(pages: Path, place: str, name: str) -> None:
    to = pages / name
    to.parent.mkdir(parents=True, exist_ok=True)
    if not name.endswith(".md"):
        shutil.copyfile(ROOT / place, to)
        return
    text = (ROOT / place).read_text(encoding="utf-8")
    if place.endswith(NOTEBOOK):
        text = markdown(text)
    text = linked(text, place)
    listed = {page for names in NAVIGATION.values() for page in names} | {"index"}
    orphan = "" if name.removesuffix(".md") in listed else "---\norphan: true\n---\n\n"
    to.write_text(orphan + text, encoding="utf-8")


def markdown(notebook: str) -> str:
    """A notebook, which keeps no outputs, as a page."""
    cells = [
        (cell["cell_type"], "".join(cell["source"]))
        for cell in json.loads(notebook)["cells"]
    ]
    return "\n\n".join(
        f"```python\n{text}\n```" if kind == "code" else text for kind, text in cells
    )


def linked(text: str, place: str) -> str:
    """The text of a file of the repository with links as the site has them. Code stays, but
    for a graph, which GitHub draws and the site does not."""
    parts = _CODE.split(text)
    return "".join(
        part * (not part.startswith("```mermaid"))
        if number % 2
        else _LINK.sub(lambda found: _link(found, place), part)
        for number, part in enumerate(parts)
    )


def _link(found: re.Match[str], place: str) -> str:
    image, text, path, anchor = found[1], found[2], found[3], found[4] or ""
    if not path or re.match(r"[a-z]+:", path):
        return found[0]
    target = _normal(PurePosixPath(place).parent / path)
    name = _name(target)
    is_page = target in PAGES or target.startswith("docs/")
    if not is_page or not name.endswith(SHOWN):
        return text  # a file of the repository, which is named and not linked
    own = _name(place)
    up = "../" * (len(PurePosixPath(own).parts) - 1)
    return f"{image}[{text}]({up}{name}{anchor})"


def _name(place: str) -> str:
    """What a file of the repository is called in the site."""
    name = PAGES.get(place, place.removeprefix("docs/"))
    return name.removesuffix(NOTEBOOK) + ".md" * name.endswith(NOTEBOOK)


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
