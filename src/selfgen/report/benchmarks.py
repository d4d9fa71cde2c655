"""Tables of benchmarks: AlpacaEval 2.0, MT-Bench, GSM8K and MATH with shots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from selfgen.core.rows import read_rows
from selfgen.evaluation.statistics import Bootstrap, Interval, Values, mean_interval
from selfgen.report import grid
from selfgen.report.grid import NOT_RUN, Entry, Grid
from selfgen.report.spec import BenchmarkSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

Rows = Sequence[Mapping[str, Any]]
Key = tuple[str, ...]


def alpaca_eval(grades: Sequence[Rows], spec: BenchmarkSpec) -> dict[str, str]:
    """Raw and length-controlled win rate, from rows ``{id, won, controlled, length}``."""
    rows, lines = [], []
    for key, by_seed in _cells(grades, spec).items():
        everything = [row for part in by_seed.values() for row in part]
        raw, controlled = (
            _interval(by_seed, name, spec, key) for name in ("won", "controlled")
        )
        unparsable = sum(row["won"] is None for row in everything)
        length = sum(row["length"] for row in everything) / len(everything)
        lines.append([*key, *_numbers(raw), *_numbers(controlled), length, unparsable])
        rows.append(
            [
                *_words(key, spec),
                _percent(controlled),
                _percent(raw),
                Entry(f"{length:.0f}"),
                Entry(str(unparsable)),
            ]
        )
    header = ("LC win rate, %", "Win rate, %", "Length, characters", "Unparsable")
    notes = [
        f"Judge: {spec.judge}. LC: length-controlled, as the package alpaca-eval fits it;"
        f" {NOT_RUN} without its file `df_gamed.csv`. {_brackets(spec)}",
    ]
    columns = (
        *("task", "model", "method", "win_rate", "low", "high", "length_controlled"),
        *("lc_low", "lc_high", "length", "unparsable"),
    )
    title = "AlpacaEval 2.0: wins against the baseline's outputs."
    return _written("alpaca-eval", title, header, rows, notes, columns, lines)


def mt_bench(grades: Sequence[Rows], spec: BenchmarkSpec) -> dict[str, str]:
    """Mean ratings by turn and category, from rows ``{id, category, turn, rating}``."""
    cells = _cells(grades, spec)
    categories = list(dict.fromkeys(row["category"] for part in grades for row in part))
    rows, lines = [], []
    for key, by_seed in cells.items():
        everything = [row for part in by_seed.values() for row in part]
        named = {
            seed: [row | {"id": f"{row['id']}.{row['turn']}"} for row in part]
            for seed, part in by_seed.items()
        }
        parts: list[Callable[[Mapping[str, Any]], bool]] = [
            lambda row: True,
            *(lambda row, turn=turn: row["turn"] == turn for turn in (1, 2)),
            *(lambda row, c=c: row["category"] == c for c in categories),
        ]
        found = [
            _interval(
                {k: [r for r in part if keep(r)] for k, part in named.items()},
                "rating",
                spec,
                key,
            )
            for keep in parts
        ]
        missing = sum(row["rating"] is None for row in everything)
        rows.append(
            [
                *_words(key, spec),
                *(_rating(x, i == 0) for i, x in enumerate(found)),
                Entry(str(missing)),
            ]
        )
        lines.append([*key, *_numbers(found[0]), *(_value(x) for x in found[1:])])
        lines[-1].append(missing)
    header = ("Mean", "Turn 1", "Turn 2", *map(str.capitalize, categories), "No rating")
    notes = [
        f"Judge: {spec.judge}, ratings of 1 to 10; replies without one are counted and left"
        f" out. {_brackets(spec)}"
    ]
    columns = (
        *("task", "model", "method", "mean", "low", "high", "turn_1", "turn_2"),
        *(*categories, "unparsable"),
    )
    title = "MT-Bench: mean rating of the answers."
    return _written("mt-bench", title, header, rows, notes, columns, lines)


def few_shot(grades: Sequence[Rows], spec: BenchmarkSpec, name: str) -> dict[str, str]:
    """Strict and flexible accuracy, from rows ``{id, strict, flexible}``."""
    rows, lines = [], []
    for key, by_seed in _cells(grades, spec).items():
        n = len(next(iter(by_seed.values())))
        strict, flexible = (
            _interval(by_seed, kind, spec, key) for kind in ("strict", "flexible")
        )
        rows.append(
            [
                *_words(key, spec),
                *map(_percent, (strict, flexible)),
                *map(Entry, (str(n), str(len(by_seed)))),
            ]
        )
        lines.append([*key, n, len(by_seed), *_numbers(strict), *_numbers(flexible)])
    title, how = FEW_SHOT[name]
    notes = [f"{how} Few-shot prompts of lm-evaluation-harness. {_brackets(spec)}"]
    columns = (
        *("task", "model", "method", "n", "seeds", "strict", "strict_low"),
        *("strict_high", "flexible", "flexible_low", "flexible_high"),
    )
    header = ("Strict, %", "Flexible, %", "n", "Seeds")
    return _written(name, title, header, rows, notes, columns, lines)


FEW_SHOT = {
    "gsm8k": (
        "GSM8K, 5 shots.",
        "Strict: the number after '####'. Flexible: the last number.",
    ),
    "minerva-math": (
        "MATH, 4 shots.",
        "Strict: what follows 'Final Answer: The final answer is'. Flexible: the last box,"
        " formula or number.",
    ),
}
"""Titles and readings of an answer."""

TABLES = {"alpaca-eval": alpaca_eval, "mt-bench": mt_bench} | {
    name: partial(few_shot, name=name) for name in FEW_SHOT
}


def _cells(
    grades: Sequence[Rows], spec: BenchmarkSpec
) -> dict[Key, dict[int, list[Mapping[str, Any]]]]:
    found: dict[Key, dict[int, list[Mapping[str, Any]]]] = {}
    for cell, rows in zip(spec.cells, grades, strict=True):
        key = (cell.task, cell.model, cell.method)
        found.setdefault(key, {})[cell.seed] = list(rows)
    return found


def _interval(
    by_seed: Mapping[int, Rows], name: str, spec: BenchmarkSpec, key: Key
) -> Interval | None:
    values: Values = {
        seed: {row["id"]: row[name] for row in rows if row[name] is not None}
        for seed, rows in by_seed.items()
    }
    if not all(values.values()):
        return None
    how = Bootstrap(spec.bootstrap_samples, spec.confidence, spec.seed)
    return mean_interval(values, how, (*key, name))


def _words(key: Key, spec: BenchmarkSpec) -> list[Entry]:
    task, model, method = key
    return [Entry(task), Entry(model), Entry(spec.labels[method])]


def _percent(found: Interval | None) -> Entry:
    if found is None:
        return Entry(NOT_RUN)
    value, low, high = (f"{100 * x:.2f}" for x in (found.value, found.low, found.high))
    return Entry(value, below=f"[{low}, {high}]")


def _rating(found: Interval | None, bracket: bool) -> Entry:
    if found is None:
        return Entry(NOT_RUN)
    below = f"[{found.low:.2f}, {found.high:.2f}]" if bracket else ""
    return Entry(f"{found.value:.2f}", below=below)


def _numbers(found: Interval | None) -> list[float | None]:
    return [None] * 3 if found is None else [found.value, found.low, found.high]


def _value(found: Interval | None) -> float | None:
    return None if found is None else found.value


def _brackets(spec: BenchmarkSpec) -> str:
    return f"Brackets: {100 * spec.confidence:g}% interval over seeds and prompts."


def _written(
    name: str,
    title: str,
    header: Sequence[str],
    rows: list[list[Entry]],
    notes: Sequence[str],
    columns: Sequence[str],
    lines: list[list[Any]],
) -> dict[str, str]:
    made = Grid(
        name=name,
        title=title,
        header=[Entry(x) for x in ("Task", "Model", "Method", *header)],
        rows=rows,
        notes=notes,
        left=3,
    )
    return {
        f"{name}.md": grid.to_markdown(made),
        f"{name}.tex": grid.to_latex(made),
        f"{name}.csv": grid.to_csv(columns, lines),
    }


def step(spec: BenchmarkSpec, job: Job) -> dict[str, Any]:
    """The table of a benchmark."""
    grades = [read_rows(path) for path in job.paths("grades")]
    job.write(TABLES[spec.name](grades, spec))
    return {}
