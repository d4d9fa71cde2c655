"""Lines on a stream, and in a terminal a live picture below them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TextIO

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from snakemake_logger_plugin_selfgen.run import Run, span


class Picture:
    """Where lines go: above the picture while there is one."""

    def __init__(self, stream: TextIO, color: bool) -> None:
        self.console = Console(file=stream, no_color=not color, highlight=False)
        self.live: Live | None = None
        self.run: Run | None = None

    def begin(self, run: Run) -> None:
        """Show a run from now on, where somebody can see it."""
        self.run = run
        if self.console.is_terminal:
            self.live = Live(
                console=self.console,
                get_renderable=self.picture,
                refresh_per_second=2,
                transient=True,
            )
            self.live.start()

    def end(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def line(self, text: str) -> None:
        self._print(Text(text))

    def error(self, text: str) -> None:
        self._print(Text(text, style="red"))

    def failure(self, title: str, said: Sequence[str], logs: Sequence[str]) -> None:
        """What a job said, and where its log is: in a terminal in a box."""
        lines = [*said, *(f"log: {log}" for log in logs)]
        if self.console.is_terminal:
            body = Text("\n".join(lines))
            self._print(Panel(body, title=Text(title), box=ROUNDED, border_style="red"))
        else:
            self.line("\n".join([title, *(f"  {line}" for line in lines)]))

    def picture(self) -> RenderableType:
        """A line of the whole run, and one of each running job."""
        run, now = self.run, time.time()
        if run is None:
            return Text("")
        done, total = run.estimate.done, run.total
        whole = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, total), completed=done, width=24)
        failed = f", {len(run.failed)} failed" if run.failed else ""
        rest = f"  {left}" if (left := run.left(now)) else ""
        whole.add_row(bar, Text(f"{done} of {total} jobs{failed}{rest}"))
        jobs = Table.grid(padding=(0, 2))
        for column in range(3):
            jobs.add_column(
                no_wrap=True, overflow="ellipsis", ratio=column == 0 or None
            )
        for job in list(run.running.values()):
            since = span(now - job.began)
            jobs.add_row(Text(job.name), Text(since), Text(job.progress(), style="dim"))
        return Group(jobs, whole)

    def _print(self, what: Any) -> None:
        # Lines that people copy are not cut where the terminal ends.
        self.console.print(what, soft_wrap=isinstance(what, Text))
