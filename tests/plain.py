"""What plain Snakemake writes of `make smoke`: ``python -m tests.plain OUT``.

OUT, to which docs/report.md leads, has the first lines of a dry run and of a run without
the project's profile, and so without its logger, and how many lines there were. What names
the machine and its folders is left out. The run takes minutes and lies in FOLDER, which must
not be there yet.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.flow import REPO

KEPT = 40
FOLDER = "runs/plain"
RUN = ("--cores", "1", "--directory", FOLDER, "--configfile", "config/smoke.yaml")
PLAIN = ("--workflow-profile", "none")


def excerpt(command: str, said: str) -> str:
    """The first lines of what a command said, and their number; without the heading, in
    which Snakemake names the machine, and with no other path than those of the run."""
    total = len(said.splitlines())
    text = re.sub(r"^SNAKEMAKE\n=+\n(?: .*\n)*\n?", "", said, flags=re.MULTILINE)
    text = re.sub(r"(?<=tmpdir=)[^\s,]+", "…", text)
    lines = [line for line in text.splitlines() if not re.search(r"host: |\s/\w", line)]
    return "\n".join([f"$ {command}", *lines[:KEPT], f"… {total} lines in all"])


def write(out: Path) -> None:
    """Run both, and write the excerpts.

    Raises CalledProcessError: Snakemake failed.
    """
    if (REPO / FOLDER).exists():
        raise SystemExit(f"{FOLDER}: is there; a run that is done says nothing")
    parts = []
    for more in (("-n",), ()):
        command = ["snakemake", *more, *PLAIN, *RUN]
        done = subprocess.run(
            command,
            cwd=REPO,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        parts.append(excerpt(" ".join(command), done.stdout))
    out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
