# Small models trained from nothing: one process a regime and seed, then all tables.
from selfgen import tasks
from selfgen.graph import synthetic
from selfgen.report.synthetic.render import figure_names, table_names

RUNS = expand(
    "results/controlled/{regime}/seed{seed}",
    regime=REGIMES.regimes,
    seed=REGIMES.seeds,
)
COLLECTED = [
    f"results/collected/{name}"
    for name in ("scores.parquet", "positions.csv", "curves.csv", "runs.csv")
]
KEPT = "results/collected/manifests.json"
ABLATIONS = synthetic.tables(REGIMES)
TABLES = [f"results/tables/{name}" for name in table_names(ABLATIONS)]
FIGURES = [f"results/figures/{name}" for name in figure_names(ABLATIONS)]


wildcard_constraints:
    regime=any_of(REGIMES.regimes),
    seed=r"\d+",


rule run_regime:
    """All variants of a regime under one seed, from a base that is trained here."""
    output:
        scores="results/controlled/{regime}/seed{seed}/scores.parquet",
        positions="results/controlled/{regime}/seed{seed}/positions.parquet",
        curves="results/controlled/{regime}/seed{seed}/curves.parquet",
        manifest="results/controlled/{regime}/seed{seed}/manifest.json",
    log:
        "logs/run_regime/{regime}/seed{seed}.log",
    # The longest first, so that no core waits for one that began last.
    priority: lambda w: len(REGIMES.regimes[w.regime].methods)
    conda:
        CONDA
    threads: 1
    resources:
        mem=memory(3),
        runtime="2h",
    params:
        **step(
            "run_regime",
            lambda w: to_json(synthetic.spec(REGIMES, w.regime, int(w.seed))),
            lambda w: code_digest(
                "selfgen.synthetic.run",
                tasks.module(REGIMES.regimes[w.regime].task.dataset),
            ),
        ),
    shell:
        STEP


rule collect_regimes:
    """Scores, positions, learning curves and costs of all regimes and seeds."""
    input:
        scores=[f"{run}/scores.parquet" for run in RUNS],
        positions=[f"{run}/positions.parquet" for run in RUNS],
        curves=[f"{run}/curves.parquet" for run in RUNS],
        manifests=[f"{run}/manifest.json" for run in RUNS],
    output:
        COLLECTED,
        KEPT,
    log:
        "logs/collect_regimes.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("collect_regimes", lambda w: to_json(synthetic.collect(REGIMES))),
    shell:
        STEP


rule render_ablations:
    """Tables and figures of the controlled runs: a pure function of what was collected."""
    input:
        collected=COLLECTED,
    output:
        TABLES,
        [path for path in FIGURES if not path.endswith(".svg")],
        [
            report(
                path,
                caption="../report/ablations.rst",
                category="Controlled runs",
                labels={"figure": os.path.basename(path)},
            )
            for path in FIGURES
            if path.endswith(".svg")
        ],
    log:
        "logs/render_ablations.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("render_ablations", lambda w: to_json(ABLATIONS)),
    shell:
        STEP
