"""Pictures of the report of a run, for docs/report.md: ``python -m tests.screens PAGE OUT``.

PAGE is what ``selfgen report`` wrote. Its samples are in no picture: they quote texts that
may not be passed on.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser import WIDTHS
from tests.tools import chromium

HEIGHT = 1000
SECTIONS = ("found", "scores", "exposure-bias")
COLOURS = 256

_ONLY = """
<script type="module">
await new Promise(done => setTimeout(done, 3000));
for (const part of document.querySelectorAll("main > section"))
  part.hidden = part.id !== "%(section)s";
if ("%(section)s" !== "found") document.querySelector("header").hidden = true;
</script>
"""


def take(page: Path, out: Path) -> None:
    """Write ``SECTION-WIDTH.png`` of each section at each width."""
    assert chromium(), "no Chromium is installed"
    text = page.read_text(encoding="utf-8")
    head, _, tail = text.rpartition("</body>")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for section in SECTIONS:
            only = _ONLY % {"section": section}
            shown = folder / f"{section}.html"
            shown.write_text(f"{head}{only}</body>{tail}", encoding="utf-8")
            for width in WIDTHS:
                _picture(shown, width, folder, out / f"{section}-{width}.png")


def _picture(page: Path, width: int, folder: Path, out: Path) -> None:
    taken = folder / "taken.png"
    call = [str(chromium()), "--headless", "--no-sandbox", "--disable-gpu"]
    call += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=10000"]
    call += ["--hide-scrollbars", f"--window-size={width},{HEIGHT}"]
    subprocess.run([*call, f"--screenshot={taken}", page.as_uri()], check=True)
    with Image.open(taken) as image:
        small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(out, optimize=True)


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
