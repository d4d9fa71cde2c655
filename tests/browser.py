"""A page in headless Chromium, at a width, after some clicks: what it is then."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.tools import chromium

WIDTHS = (390, 768, 1440)

_PROBE = """
<script>
window.problems = [];
addEventListener("error", e => problems.push(String(e.message)));
addEventListener("unhandledrejection", e => problems.push(String(e.reason)));
const failed = console.error;
console.error = (...all) => { problems.push(all.join(" ")); failed(...all); };
</script>
"""

_LOOK = """
<script>
setTimeout(async () => {
  const said = {};
  try { %s } catch (e) { problems.push(String(e)); }
  for (const one of document.querySelectorAll("details")) one.open = true;
  await new Promise(done => setTimeout(done, 200));
  said.problems = problems;
  said.width = innerWidth;
  said.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  parent.postMessage(said, "*");
}, 3000);
</script>
"""

_FRAME = """<!DOCTYPE html>
<body style="margin: 0">
<iframe src="%s" style="border: 0" width="%d" height="1200"></iframe>
<script>
addEventListener("message", e => {
  const out = document.createElement("pre");
  out.id = "said";
  out.textContent = JSON.stringify(e.data);
  document.body.append(out);
});
</script>
</body>
"""
"""A window of Chromium has 500 pixels or more; a frame in it has the width of a phone."""


def look(
    page: Path, width: int, script: str, folder: Path, beside: bool = False
) -> dict[str, Any]:
    """What ``script`` puts into ``said``, with the page's ``problems`` and by how much it is
    wider than it may be once all of its details are open. ``beside``: the page needs files
    that lie beside it."""
    program = chromium()
    assert program
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{_PROBE}", 1)
    head, _, tail = text.rpartition("</body>")
    where = page.parent if beside else folder
    probed = where / f"{page.stem}-{width}.probed.html"
    probed.write_text(f"{head}{_LOOK % script}</body>{tail}", encoding="utf-8")
    frame = folder / f"frame-{width}.html"
    frame.write_text(_FRAME % (probed.as_uri(), width), encoding="utf-8")
    call = [program, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    call += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=10000"]
    done = subprocess.run(
        [*call, f"--window-size={max(WIDTHS)},1200", frame.as_uri()],
        capture_output=True,
        text=True,
        check=True,
    )
    probed.unlink()
    found = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    said: dict[str, Any] = json.loads(html.unescape(found[1]))
    assert said["width"] == width
    return said
