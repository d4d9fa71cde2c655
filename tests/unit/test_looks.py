"""A method looks the same in every figure of a run, and nothing else looks like it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from tests import shipped

from selfgen.core.rows import read_frame
from selfgen.core.spec import from_json, to_json
from selfgen.graph import tables
from selfgen.report import style
from selfgen.report.figures import FIGURES, look_of
from selfgen.report.registry import draw, with_baselines
from selfgen.report.spec import TableSpec
from selfgen.report.synthetic import figures, frontier
from selfgen.report.synthetic import tables as synthetic_tables
from selfgen.report.synthetic.numbers import numbers, with_errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn = dict[str, "Figure"]


@pytest.fixture(scope="module")
def evidence() -> Drawn:
    drawn = {}
    for name, found in tables.figures(shipped.graph("evidence")).items():
        inputs = shipped.inputs(shipped.REFERENCE / "evidence", found)
        drawn[name] = draw(FIGURES, with_baselines(found.spec, inputs), inputs)
    return drawn


@pytest.fixture(scope="module")
def synthetic() -> Drawn:
    """Of two seeds and few items: what the figures show, in little time."""
    collected, spec = shipped.SYNTHETIC / "collected", shipped._synthetic()
    scores = with_errors(read_frame(collected / "scores.parquet"))
    few = [*scores["id"].drop_duplicates().groupby(scores["experiment"]).head(40)]
    scores = scores[scores["id"].isin(few) & scores["seed"].isin([0, 1])]
    runs, positions, curves = (
        pd.read_csv(collected / f"{name}.csv")
        for name in ("runs", "positions", "curves")
    )
    found = [numbers(scores, runs, one, 0.95) for one in spec.experiments]
    seen = figures.look_of(spec.experiments)
    lengths = synthetic_tables.lengths(scores, found, 0.95)
    return {
        "beta": figures.beta(found, seen),
        "corruption": figures.beta(found, seen, by_corruption=True),
        "lengths": figures.lengths(lengths, found, seen),
        "positions": figures.positions(positions, found, seen),
        "curves": figures.curves(curves, found, 0.95, seen),
        "frontier": frontier.figure(curves, found, seen),
        **{f"variants-{n.spec.name}": figures.variants(n, seen) for n in found},
        **{f"gain-{n.spec.name}": figures.gain(n, seen) for n in found},
    }


def _points(figure: Figure) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """What a reader sees of a method: the name in the legend or beside the row, with colour
    and marker."""
    rows: list[str] = []
    for ax in figure.axes:
        names = [text.get_text() for text in ax.get_yticklabels()]
        rows = names if any(names) else rows  # beside the first panel of a row alone
        for line in ax.lines:
            name = str(line.get_label())
            if line.get_marker() == "None":
                continue
            if name.startswith("_") and len(line.get_ydata()) == 1:
                name = rows[int(line.get_ydata()[0])]
            if not name.startswith("_"):
                yield name, (line.get_color(), line.get_marker())


def _looks(drawn: Drawn) -> dict[str, dict[str, set[Any]]]:
    """By method's name and figure: colours and markers."""
    found: dict[str, dict[str, set[Any]]] = {}
    for figure, one in drawn.items():
        for name, (colour, marker) in _points(one):
            found.setdefault(name, {}).setdefault(figure, set()).add((colour, marker))
    return found


@pytest.mark.parametrize(
    ("run", "name", "where"),
    [
        ("evidence", "SFT in one schedule", {"main", "curves", "step-errors"}),
        ("evidence", "RAC", {"main", "curves", "step-errors"}),
        (
            *("synthetic", "BASH .25"),
            {
                "beta",
                "corruption",
                "lengths",
                "positions",
                "variants-chains",
                "gain-noisy",
            },
        ),
        ("synthetic", "SFT continued", {"beta", "lengths", "positions", "gain-chains"}),
        ("synthetic", "BASH .25, 900 steps", {"curves", "frontier", "gain-extraction"}),
    ],
)
def test_a_method_has_one_look_in_all_figures_of_a_run(
    run: str, name: str, where: set[str], request: pytest.FixtureRequest
) -> None:
    looks = _looks(request.getfixturevalue(run))
    assert where <= set(looks[name])
    for method, by_figure in looks.items():
        assert len(set.union(*by_figure.values())) == 1, (method, by_figure)


def test_no_two_methods_of_a_run_look_the_same() -> None:
    for run in shipped.RUNS:
        looks = look_of(tables.figures(shipped.graph(run))["main"].spec)
        assert len({look.marker for look in looks.values()}) == len(looks), run
    looks = dict(figures.look_of(shipped._synthetic().experiments))
    assert len(set(looks.values())) == len(looks) > 40


def test_rac_token_by_token_has_the_colour_of_rac() -> None:
    looks = figures.look_of(shipped._synthetic().experiments)
    greens = {style.lighter(style.GREEN, shade) for shade in style.SHADES}
    assert {looks[name].colour for name in ("rac", "rac-token", "rac-hint")} <= greens
    assert looks["bash"].colour not in greens


@pytest.mark.parametrize("run", ["evidence", "synthetic"])
def test_all_text_has_one_size(run: str, request: pytest.FixtureRequest) -> None:
    from matplotlib.text import Text

    for name, figure in request.getfixturevalue(run).items():
        style.render(figure, "png")
        texts = [text for text in figure.findobj(Text) if text.get_text()]
        assert {text.get_fontsize() for text in texts} == {8.0}, name


def test_the_figure_of_gains_names_every_method(synthetic: Drawn) -> None:
    for experiment in shipped._synthetic().experiments:
        points, _ = synthetic[f"gain-{experiment.name}"].axes
        named = [text.get_text() for text in points.get_yticklabels()]
        trained = [m for m in experiment.methods if experiment.mixes[m] != "none"]
        assert sorted(named) == sorted(experiment.labels[m] for m in trained)


def test_a_look_survives_the_command_line() -> None:
    """JSON keeps no order, and a job's figure looks like one that is drawn from here."""
    spec = tables.figures(shipped.graph("evidence"))["main"].spec
    again = from_json(TableSpec, to_json(spec))
    assert list(again.mixes) != list(spec.mixes)
    assert look_of(again) == look_of(spec)
