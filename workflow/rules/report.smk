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
TABLES = [
    *expand(
        "results/tables/{table}.{kind}", table=DRAWN, kind=["md", "tex", "csv", "json"]
    ),
    "results/tables/samples.md",
]
FIGURES = expand(
    "results/figures/{figure}.{kind}", figure=PLOTTED, kind=["pdf", "svg", "png"]
)


wildcard_constraints:
    table=any_of(DRAWN),
    figure=any_of(PLOTTED),


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


rule tabulate:
    """One table of the registry, and the spec that it was drawn with."""
    input:
        unpack(lambda w: DRAWN[w.table].inputs),
    output:
        md="results/tables/{table}.md",
        tex="results/tables/{table}.tex",
        csv=drawn("results/tables/{table}.csv", "Tables"),
        json="results/tables/{table}.json",
    log:
        "logs/tabulate/{table}.log",
    localrule: True
    conda:
        CONDA
    params:
        **step(
            "tabulate",
            lambda w: to_json(DRAWN[w.table].spec),
            lambda w: code_digest("selfgen.report.tabulate", *DRAWN[w.table].modules),
        ),
        about=lambda w: DRAWN[w.table].about,
    shell:
        STEP


rule plot:
    """One figure of the registry."""
    input:
        unpack(lambda w: PLOTTED[w.figure].inputs),
    output:
        pdf="results/figures/{figure}.pdf",
        svg=drawn("results/figures/{figure}.svg", "Figures"),
        png="results/figures/{figure}.png",
    log:
        "logs/plot/{figure}.log",
    localrule: True
    conda:
        CONDA
    params:
        **step(
            "plot",
            lambda w: to_json(PLOTTED[w.figure].spec),
            lambda w: code_digest("selfgen.report.plot", *PLOTTED[w.figure].modules),
        ),
        about=lambda w: PLOTTED[w.figure].about,
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
