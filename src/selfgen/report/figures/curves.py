"""Training curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from selfgen.report.collect import in_order
from selfgen.report.registry import Plot, frame
from selfgen.report.spec import TableSpec
from selfgen.report.style import GREY, LIGHT, STYLE, styles

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(curves: pandas.DataFrame, spec: TableSpec[Any]) -> Figure:
    """Training loss over steps: a panel a task and model, a line a method.

    ``curves``: task, model, method, seed, step, loss, learning_rate. A line is the mean
    of the seeds, smoothed by a running mean over a twentieth of the steps.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = in_order(curves, ["task", "model"])
    many = len({model for _, model in panels}) > 1
    methods = [method for (method,) in in_order(curves, ["method"])]
    with matplotlib.rc_context(STYLE):
        width = max(4.6, 0.4 + 2.4 * len(panels))
        figure = Figure(figsize=(width, 2.7), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (task, model) in zip(axes, panels, strict=True):
            own = curves[(curves["task"] == task) & (curves["model"] == model)]
            _curves(ax, own, styles(spec), spec.labels)
            ax.set_title(f"{task}, {model}" if many else task)
            ax.set_xlabel("step")
        axes[0].set_ylabel("training loss, running mean")
        lines = {}
        for ax in axes:
            lines |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        names = [spec.labels.get(method, method) for method in methods]
        figure.legend(
            [lines[name] for name in names],
            names,
            loc="outside lower center",
            ncols=min(len(names), int(width / 1.9)),
            frameon=False,
        )
    return figure


def _curves(
    ax: Axes,
    frame: pandas.DataFrame,
    looks: Mapping[str, tuple[str, str]],
    labels: Mapping[str, str],
) -> None:
    for (method,) in in_order(frame, ["method"]):
        rows = frame[frame["method"] == method]
        mean = rows.groupby("step")["loss"].mean()
        window = max(1, math.ceil(len(mean) / 20))
        smooth = mean.rolling(window, center=True, min_periods=1).mean()
        colour, line = looks.get(method, (GREY, "-"))
        ax.plot(
            smooth.index,
            smooth.to_numpy(),
            color=colour,
            linestyle=line,
            linewidth=1.3,
            label=labels.get(method, method),
        )
    ax.grid(axis="y", color=LIGHT, linewidth=0.5)
    ax.set_axisbelow(True)


FIGURE = Plot(draw, {"curves": frame})
