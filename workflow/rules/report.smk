# Collected tables, and every rendering drawn from them.
LEAKAGE = [f"results/records/{task}.leakage.json" for task in TASKS]
SCORES = [score_path(cell) for cell in tables.collect(GRAPH).cells]
ANSWERS = [shard for cell in CELLS for shard in cell_shards(cell)]
NODES = [f"results/models/{t}/{m}/{n}/seed{s}" for t, m, n, s in TRAINED]
PASSES = {p: None for address in TRAINED for p in GRAPH.pass_shards(*address)}
COLLECTED = [
    f"results/collected/{name}"
    for name in ("scores.parquet", "runs.csv", "timings.csv", "curves.csv")
]
MANIFESTS = "results/collected/manifests.json"
KEPT = [*SCORES, MANIFESTS, *LEAKAGE]
EXPOSED = [
    f"results/exposure/{c.task}/{c.model}/{c.method}/seed{c.seed}.parquet"
    for c in GRAPH.exposed()
]
LOSSES = [dialogues.path(cell) for cell in dialogues.cells(GRAPH)]
RENDERED = [
    *expand("results/tables/main.{kind}", kind=["md", "tex", "csv"]),
    *expand("results/tables/details.{kind}", kind=["md", "tex", "csv"]),
    *expand("results/tables/cost.{kind}", kind=["md", "csv"]),
    "results/tables/spec.json",
]
if any(cell.decoding == "corrected" for cell in CELLS):
    RENDERED += expand("results/tables/corrections.{kind}", kind=["md", "tex"])
EXPOSURE = expand("results/tables/exposure.{kind}", kind=["md", "tex", "csv"])
PREFERENCE = expand("results/tables/preference.{kind}", kind=["md", "tex", "csv"])
HELD_OUT = expand("results/tables/held-out-loss.{kind}", kind=["md", "tex", "csv"])
TABLES = [
    *RENDERED,
    "results/tables/samples.md",
    *(EXPOSURE if EXPOSED else []),
    *(PREFERENCE if tables.preferred(GRAPH).parents else []),
    *(HELD_OUT if LOSSES else []),
    *WIN_RATES,
    *JUDGED,
]
# Held against known numbers, where the configuration names some.
VERIFY = expand("results/tables/verify.{kind}", kind=["md", "tex", "csv"])
HELD = verify.tables(VERIFIED, TABLES) if VERIFIED else []
TABLES += VERIFY if VERIFIED else []
FIGURES = expand(
    "results/figures/{name}.{kind}",
    name=["main", "curves"],
    kind=["pdf", "svg", "png"],
)


rule score_lead_1:
    """The first sentence as a summary: what no model has to do."""
    input:
        records="results/records/{task}.parquet",
    output:
        scores="results/scores/{task}/lead-1.parquet",
    log:
        "logs/score_lead_1/{task}.log",
    localrule: True
    conda:
        CONDA
    params:
        **step(
            "score_lead_1",
            spec(GRAPH.scores, "task"),
            scoring_code("selfgen.evaluation.lead_1"),
        ),
    shell:
        STEP


rule collect_results:
    """Scores, runs, timings and curves of all cells, in four tables; all manifests."""
    input:
        scores=SCORES,
        manifests=[
            *[f"{node}/manifest.json" for node in NODES],
            *[p.replace(".parquet", ".json") for p in [*PASSES, *ANSWERS]],
        ],
        curves=[f"{node}/curve.jsonl" for node in NODES],
    output:
        COLLECTED,
        MANIFESTS,
    log:
        "logs/collect_results.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("collect_results", lambda w: to_json(tables.collect(GRAPH))),
    shell:
        STEP


rule render_results:
    """Tables and figures: a pure function of the collected tables."""
    input:
        collected=COLLECTED,
    output:
        [path for path in RENDERED if not path.endswith(".csv")],
        [path for path in FIGURES if not path.endswith(".svg")],
        captioned("main", "Main results", "Figure", "svg"),
        captioned("main", "Main results", "Table", "csv"),
        captioned("details", "Main results", "All measures", "csv"),
        captioned("curves", "Diagnostics", "Training curves", "svg"),
        captioned("cost", "Diagnostics", "Time and memory", "csv"),
    log:
        "logs/render_results.log",
    localrule: True
    conda:
        CONDA
    params:
        **step(
            "render_results",
            lambda w: to_json(tables.tables(GRAPH)),
            code_digest(
                "selfgen.report.render", *scoring.modules(GRAPH.config, *TASKS)
            ),
        ),
    shell:
        STEP


rule render_samples:
    """Sample answers side by side."""
    input:
        records=[f"results/records/{task}.parquet" for task in TASKS],
        answers=ANSWERS,
    output:
        page="results/tables/samples.md",
    log:
        "logs/render_samples.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("render_samples", lambda w: to_json(tables.samples(GRAPH))),
    shell:
        STEP


rule tabulate_exposure:
    """Accumulated errors against the oracle."""
    input:
        errors=EXPOSED,
    output:
        EXPOSURE,
    log:
        "logs/tabulate_exposure.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("tabulate_exposure", lambda w: to_json(tables.exposure_table(GRAPH))),
    shell:
        STEP


rule tabulate_losses:
    """Losses on held-out dialogues."""
    input:
        losses=LOSSES,
    output:
        HELD_OUT,
    log:
        "logs/tabulate_losses.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("tabulate_losses", lambda w: to_json(dialogues.table(GRAPH))),
    shell:
        STEP


rule tabulate_preference:
    """Methods with and without a preference stage after them."""
    input:
        scores="results/collected/scores.parquet",
    output:
        PREFERENCE,
    log:
        "logs/tabulate_preference.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("tabulate_preference", lambda w: to_json(tables.preferred(GRAPH))),
    shell:
        STEP


rule verify:
    """Results beside numbers that others measured."""
    input:
        tables=HELD,
    output:
        VERIFY,
    log:
        "logs/verify.log",
    localrule: True
    conda:
        CONDA
    params:
        **step("verify", lambda w: to_json(VERIFIED)),
    shell:
        STEP
