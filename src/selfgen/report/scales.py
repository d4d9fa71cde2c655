"""What each scale takes: as a shipped run took it, or as ``selfgen plan`` estimates it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from selfgen.report.grid import NOT_RUN, Grid
from selfgen.report.plan import Disk
from selfgen.report.took import Took


@dataclass(frozen=True)
class Planned:
    """GPU-hours that are expected of a scale, and its disk at most."""

    gpu: str
    hours: float
    disk: Disk


def table(scales: Mapping[str, tuple[str, Took | Planned]]) -> Grid:
    """One row a scale: ``scales`` has its command, and what it took or would take."""
    rows, planned = [], []
    for name, (command, found) in scales.items():
        if isinstance(found, Took):
            spent = [_time(found.seconds), str(found.cpus or NOT_RUN)]
            sizes = [found.results, found.downloads]
        else:
            planned.append(name)
            gpu = found.gpu.upper()
            spent = [f"{found.hours:.0f} hours of one {gpu}", NOT_RUN]
            sizes = [found.disk.peak, found.disk.fetched]
        rows.append([name, command, *spent, *map(_size, sizes)])
    notes = [
        "Time: wall time while jobs ran or started; pauses do not count. Disk: the"
        f" results. Python packages are in neither. {NOT_RUN}: not kept, or does not apply.",
    ]
    if planned:
        notes.append(
            f"{' and '.join(planned)}: not run. Estimates of selfgen plan: hours as"
            " expected, disk at most, of downloads the models alone."
        )
    header = ["Scale", "Command", "Time", "Cores", "Disk", "Download"]
    title = "What each scale takes."
    return Grid("scales", title, header, rows, notes, left=2)


def _time(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02} min" if hours else f"{rest} min"


def _size(size: int | None) -> str:
    if size is None:
        return NOT_RUN
    if size < 1e8:
        return f"{max(1, round(size / 1e6))} MB"
    return f"{size / 1e9:.0f} GB" if size >= 1e10 else f"{size / 1e9:.1f} GB"
