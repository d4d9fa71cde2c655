"""The runs in docs/reference/: every table and figure drawn again from what is shipped.

``python -m tests.shipped`` writes them, and the pages that show them; tests hold the tables
against what is there, byte for byte.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from selfgen import config
from selfgen.bench.harness import Bench
from selfgen.cli.plan import BENCH
from selfgen.config import synthetic as synthetic_config
from selfgen.graph import cost, measuring, paths, synthetic, tables
from selfgen.graph.steps import Graph
from selfgen.report import plan, plot, ship, style, tabulate, took
from selfgen.report.grid import Grid, to_markdown
from selfgen.report.measured import Found, words
from selfgen.report.measured import figures as measured_figures
from selfgen.report.measured import step as pages
from selfgen.report.scales import Planned, table
from selfgen.report.synthetic.render import measure, render_figures, render_tables
from selfgen.report.took import Took

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
README = ROOT / "README.md"
SYNTHETIC = REFERENCE / "synthetic"
RUNS = {
    "laptop": [ROOT / "config" / "config.yaml"],
    "evidence": [
        ROOT / "config" / "evidence.yaml",
        REFERENCE / "evidence" / "seeds.yaml",
    ],
    "declared": [
        ROOT / "config" / "evidence.yaml",
        ROOT / "config" / "more" / "declared.yaml",
    ],
    "ablations": [REFERENCE / "ablations" / "config.yaml"],
    # Of an earlier laptop scale, which is shipped with it
    "preference": [REFERENCE / "preference" / "config.yaml"],
}
"""Runs of the workflow, and the configuration files of each."""
PAGES = {
    README: ["declared", "laptop"],
    ROOT / "docs" / "synthetic.md": ["synthetic"],
    ROOT / "docs" / "findings.md": ["declared", "evidence", "laptop", "ablations"],
}
"""Pages, and the runs that each shows."""
SCALES = {
    "smoke": "make smoke",
    "quick": "make quick",
    "laptop": "make reproduce",
    "synthetic": "make synthetic",
    "evidence": "make evidence, its first seed, which also tunes the rates",
}
"""Scales with a command of their own; those with a shipped run are shown."""
PLANNED = ("gsm8k", "paper")
"""Scales that were not run, of which the plan is shown."""
GPU = "h100"
MEASURES = REFERENCE / "measures"
OF_ORACLE = ("r_free", "g_free", "gap_free", "acc_err_free", "ex_acc_err_free")
"""Measures that ask an oracle, of answers as they end."""
MEASURE_PAGE = ROOT / "docs" / "measure.md"
REPORT = ROOT / "docs" / "report.md"


def graph(run: str, **keys: Any) -> Graph:
    """The graph of a run's configuration, with some of its keys replaced."""
    merged: dict[str, Any] = {}
    for name in RUNS[run]:
        update_config(merged, yaml.safe_load(name.read_text()))
    return Graph(config.load(merged | keys), ROOT)


def inputs(run: Path, found: tables.Job) -> dict[str, list[Path]]:
    """The files of a table or figure in a shipped run."""
    return {
        name: [run / Path(path).relative_to("results") for path in paths]
        for name, paths in found.inputs.items()
    }


def drawn(run: str) -> dict[str, bytes]:
    """The tables of a run by file name."""
    if run == SYNTHETIC.name:
        spec = _synthetic()
        return render_tables(measure(SYNTHETIC / "collected", spec), spec)
    return {
        f"{name}.{kind}": text.encode()
        for name, found in tables.tables(graph(run)).items()
        for kind, text in tabulate.texts(
            found.spec, inputs(REFERENCE / run, found)
        ).items()
    }


def figures(run: str) -> dict[str, bytes]:
    """The figures of a run by file name."""
    if run == SYNTHETIC.name:
        spec = _synthetic()
        return render_figures(measure(SYNTHETIC / "collected", spec), spec)
    return {
        f"{name}.{kind}": image
        for name, found in tables.figures(graph(run)).items()
        for kind, image in plot.images(
            found.spec, inputs(REFERENCE / run, found)
        ).items()
    }


def measured(folder: Path = MEASURES, more: str = "measure") -> dict[str, Found]:
    """What the instrument found on the laptop's models, by task, from the rows that are
    shipped in a folder; ``more``: the file of config/more of their run."""
    raw: dict[str, Any] = {}
    for name in ("config/config.yaml", f"config/more/{more}.yaml"):
        update_config(raw, yaml.safe_load((ROOT / name).read_text()))
    known = Graph(config.load(raw), ROOT)
    found = {}
    for path in sorted((folder / "measured").glob("*/*")):
        task, model = path.parent.name, path.name
        files = [
            folder / paths.of_cell(paths.MEASURED, cell).removeprefix("results/")
            for cell in measuring.compared(known, task, model)
        ]
        found[task] = pages.found(measuring.page(known, task, model), files)
    return found


def floor() -> str:
    """What two trainings of one recipe show against each other, beside BASH, as Markdown."""
    ((task, found),) = measured(MEASURES / "floor", "floor").items()
    shown = []
    for name in OF_ORACLE:
        numbers = [n for n in found.numbers if n.measure.name == name]
        measure = numbers[0].measure
        values = [words.shown(number.value, measure) for number in numbers]
        shown.append([f"{measure.title}, {measure.unit}", *values])
    return to_markdown(
        Grid(
            "floor",
            f"Held against SFT of another seed as the oracle, {task} (scale: laptop).",
            ["Measure", *found.rows],
            shown,
            [
                f"Brackets: {100 * found.confidence:g}% interval over prompts (and seeds)."
            ],
            left=1,
        )
    )


def measures(found: Found, task: str) -> dict[str, bytes]:
    """Files of its page, by name."""
    texts = {f"{task}.{kind}": text.encode() for kind, text in found.texts().items()}
    drawn = {
        f"{task}-{name}.svg": style.render(figure, "svg")
        for name in measured_figures.TITLES
        if (figure := measured_figures.draw(found, name)) is not None
    }
    return texts | drawn


def said(found: Found, task: str) -> str:
    """What docs/measure.md shows of it."""
    lines = [f"- {line}." for line in words.answers(found)]
    pictures = [
        f"![{title}](reference/measures/{task}-{name}.svg)"
        for name, title in measured_figures.TITLES.items()
        if (MEASURES / f"{task}-{name}.svg").is_file()
    ]
    return "\n".join([*lines, "", *pictures])


def scales() -> str:
    """What each scale takes, as Markdown."""
    shown: dict[str, tuple[str, Took | Planned]] = {
        name: (command, took.read(REFERENCE / name))
        for name, command in SCALES.items()
        if (REFERENCE / name / took.FILE).is_file()
    }
    for name in PLANNED:
        path = ROOT / "config" / f"{name}.yaml"
        found = Graph(config.load(yaml.safe_load(path.read_text())), ROOT)
        sizes, works = cost.parameters(found), cost.works(found, cost.expected)
        rates = plan.rates(BENCH)
        hours = sum(plan.hours(w, sizes[w.model], GPU, rates) for w in works)
        disk = cost.disk(found, sizes, cost.works(found))
        command = (
            f"snakemake --cores all --configfile config/{name}.yaml"
            f" --directory runs/{name}"
        )
        shown[name] = (command, Planned(GPU, hours, disk))
    return to_markdown(table(shown))


def _synthetic() -> Any:
    raw = yaml.safe_load((ROOT / "config" / "synthetic.yaml").read_text())
    return synthetic.tables(synthetic_config.load(raw))


if __name__ == "__main__":
    from tests import gates, goals, seeds  # which import this module

    for name in (*RUNS, SYNTHETIC.name):
        for folder, files in (("tables", drawn(name)), ("figures", figures(name))):
            for file, content in files.items():
                (REFERENCE / name / folder / file).write_bytes(content)
    for page, names in PAGES.items():
        for name in names:
            text = page.read_text(encoding="utf-8")
            shown = ship.shown(REFERENCE / name, page)
            page.write_text(ship.show(text, shown), encoding="utf-8")
    page = ROOT / "docs" / "findings.md"
    text = page.read_text(encoding="utf-8")
    by_seed = {"seeds/declared": seeds.declared(), "seeds/controls": seeds.controls()}
    page.write_text(ship.show(text, by_seed), encoding="utf-8")
    page = ROOT / "docs" / "data.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(ship.show(text, {"gates": gates.table()}), encoding="utf-8")
    for path in goals.BENCH.rglob("*.json"):
        bench = Bench.read(path)
        drawn_page = bench.page(goals.PAGES[path.stem](bench.timings))
        path.with_suffix(".md").write_text(drawn_page, encoding="utf-8")
    page = goals.BENCH / "README.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(ship.show(text, {"goals": goals.table()}), encoding="utf-8")
    said_by_task = {}
    for task, found in measured().items():
        for file, content in measures(found, task).items():
            (MEASURES / file).write_bytes(content)
        said_by_task[f"measures/{task}"] = said(found, task)
    said_by_task["measures/floor"] = floor()
    text = MEASURE_PAGE.read_text(encoding="utf-8")
    MEASURE_PAGE.write_text(ship.show(text, said_by_task), encoding="utf-8")
    text = REPORT.read_text(encoding="utf-8")
    REPORT.write_text(
        ship.show(text, {"verify/evidence": seeds.verified()}), encoding="utf-8"
    )
    README.write_text(
        ship.show(README.read_text(encoding="utf-8"), {"scales": scales()}),
        encoding="utf-8",
    )
