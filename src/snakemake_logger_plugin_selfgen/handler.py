"""Snakemake's events as few lines: a live picture in a terminal, else a line a job.

With ``-p`` it is Snakemake's own lines, with the command of each job. The complete log is
always in ``.snakemake/log``.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_selfgen import plan
from snakemake_logger_plugin_selfgen.picture import Picture
from snakemake_logger_plugin_selfgen.run import Job, Run, span

CHATTER = (
    *(
        "Building DAG of jobs",
        "Using shell: ",
        "Provided cores: ",
        "Provided resources",
    ),
    *("Provided nodes: ", "Rules claiming more threads", "Select jobs to execute"),
    *(
        "Execute ",
        "host: ",
        "Assuming unrestricted shared filesystem",
        "Finished jobid",
    ),
    *("Conda environments: ignored", "Singularity containers: ignored", "Resources:"),
    *(
        "Job stats:",
        "Reasons:",
        "This was a dry-run",
        "Group jobs: inactive",
        "Some jobs",
    ),
    *("Shutting down, this might take", "Exiting because a job execution failed"),
    *("Will exit after finishing currently running", "Job counts:", "Elapsed time:"),
    *(
        "WorkflowError:\nAt least one job did not complete",
        "Would remove temporary output",
    ),
    *("Removing temporary output", "Removing output files of failed job", "Waiting at"),
    *("At least one job did not complete", "Touching output file", "The order of jobs"),
    *("\nThis was a dry-run", "Complete log(s): ", "Storing output in storage"),
)
"""Beginnings of lines that tell a user nothing, or what is said here in other words."""

MISSING = "Rules with missing metadata: "

EVERY = 1.0
"""Minimum seconds between two states that are written for a second terminal."""


class LogHandler(LogHandlerBase):
    """The plugin; the name is the interface's."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False  # Snakemake's own, which knows --quiet
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        self.stream = sys.stdout if settings.stdout else sys.stderr
        self.run: Run | None = None
        self.planned: list[Job] = []
        self.log, self.written, self.held = "", 0.0, ""
        self.picture = Picture(self.stream, color=not settings.nocolor)
        self.own: logging.Handler | None = None
        if settings.printshellcmds or settings.debug_dag:
            self.own = _snakemakes(settings, self.stream)

    def emit(self, record: Any) -> None:
        """Snakemake's own records have fields that ``LogRecord`` does not name."""
        if self.own:
            if self.own.filter(record):
                self.own.handle(record)
            return
        event, now = getattr(record, "event", None), time.time()
        if event == LogEvent.RUN_INFO:
            stats = {k: int(n) for k, n in record.stats.items()}
            ours = {k: n for k, n in stats.items() if k not in ("total", "all")}
            if not self.common_settings.dryrun and self.run is None and ours:
                self.run = Run(ours)
                self.picture.begin(self.run)
        elif event == LogEvent.JOB_INFO:
            self._started(record, now)
        elif event == LogEvent.JOB_FINISHED:
            self._finished(record.job_id, now)
        elif event == LogEvent.JOB_ERROR:
            self._failed(record)
        elif event in (None, LogEvent.ERROR):
            self._said(record)
        if self.run and now - self.written >= EVERY:
            self.written = now
            self.run.write(now)

    def _started(self, record: Any, now: float) -> None:
        values = "/".join(str(value) for value in record.wildcards.values())
        name = f"{record.rule_name} {values}".rstrip()
        job = Job(record.rule_name, name, list(record.log), str(record.reason), now)
        if record.rule_name == "all":
            return
        if self.common_settings.dryrun:
            self.planned.append(job)
        elif self.run:
            self.run.start(record.jobid, job)

    def _finished(self, number: int, now: float) -> None:
        if self.run and (job := self.run.finish(number, now)):
            width = len(str(self.run.total))
            count = f"[{self.run.estimate.done:{width}}/{self.run.total}]"
            took = span(now - job.began)
            left = "" if self.picture.live else self.run.left(now)
            rest = f", {left}" if left else ""
            self.picture.line(f"{count} {job.name}: {took}{rest}")

    def _failed(self, record: Any) -> None:
        job = self.run.fail(record.jobid) if self.run else None
        name = job.name if job else record.rule_name
        shown = Job(record.rule_name, name, list(record.log))
        self.picture.failure(f"{name} failed", shown.failure(), record.log)

    def _said(self, record: Any) -> None:
        text = str(record.msg or "").strip("\n")
        if text.startswith("Complete log(s): "):
            self.log = text.partition(": ")[2]
        if "have missing provenance/metadata" in text:
            self.held = text
            return
        if text.startswith(MISSING):
            # Of downloads, which runs in several folders share, it says nothing.
            rules = text.removeprefix(MISSING).split(", ")
            if not all(rule.startswith("fetch_") for rule in rules):
                self.picture.line(f"{self.held}\n{text}")
            return
        if not text or "CalledProcessError" in text or text.startswith(CHATTER):
            return
        if record.levelno >= logging.ERROR:
            self.picture.error(text)
        else:
            self.picture.line(text)

    def close(self) -> None:
        """The last lines; called once the run has ended."""
        self.picture.end()
        if self.planned:
            for line in plan.lines(self.planned):
                self.picture.line(line)
            self.planned = []
        if run := self.run:
            now = time.time()
            run.write(now, ended=True)
            done = f"{run.estimate.done} of {run.total} jobs done"
            self.picture.line(
                f"{done} in {span(now - run.began)}; all lines: {self.log}"
            )
            if run.failed:
                self.picture.line(
                    f"failed: {', '.join(run.failed)}; mended, the same command goes on"
                )
            self.run = None
        super().close()


def _snakemakes(settings: Any, stream: Any) -> logging.Handler:
    """The handler that Snakemake has without a plugin."""
    from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

    keys = ("quiet", "debug_dag", "verbose", "dryrun", "printshellcmds")
    handler: logging.Handler = ColorizingTextHandler(
        nocolor=settings.nocolor,
        stream=stream,
        formatter=DefaultFormatter(settings.quiet, settings.show_failed_logs),
        filter=DefaultFilter(**{key: getattr(settings, key) for key in keys}),
    )
    return handler
