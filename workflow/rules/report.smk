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
        spec=spec(GRAPH.scores, "task"),
        code=scoring_code("selfgen.evaluation.lead_1"),
        root=os.path.relpath(ROOT),
    shell:
        "python -m selfgen lead-1 --spec {params.spec:q} --records {input.records:q}"
        " --root {params.root:q} --out {output.scores:q} > {log:q} 2>&1"


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
        spec=lambda w: to_json(tables.collect(GRAPH)),
        code=code("selfgen.cli.collect"),
    shell:
        "python -m selfgen collect --spec {params.spec:q} --scores {input.scores:q}"
        " --manifests {input.manifests:q} --curves {input.curves:q}"
        " --out results/collected > {log:q} 2>&1"


rule render_results:
    """Tables and figures: a pure function of the collected tables."""
    input:
        COLLECTED,
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
        spec=lambda w: to_json(tables.tables(GRAPH)),
        code=code("selfgen.report.render", *scoring.modules(GRAPH.config, *TASKS)),
    shell:
        "python -m selfgen render --spec {params.spec:q} --collected results/collected"
        " --tables results/tables --figures results/figures > {log:q} 2>&1"


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
        spec=lambda w: to_json(tables.samples(GRAPH)),
        code=code("selfgen.report.samples"),
        records=lambda w, input: [
            f"{task}={path}" for task, path in zip(TASKS, input.records)
        ],
    shell:
        "python -m selfgen samples --spec {params.spec:q} --records {params.records:q}"
        " --answers {input.answers:q} --out {output.page:q} > {log:q} 2>&1"


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
        spec=lambda w: to_json(tables.exposure_table(GRAPH)),
        code=code("selfgen.report.exposure"),
    shell:
        "python -m selfgen tabulate-exposure --spec {params.spec:q}"
        " --errors {input.errors:q} --tables results/tables > {log:q} 2>&1"


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
        spec=lambda w: to_json(dialogues.table(GRAPH)),
        code=code("selfgen.report.held_out"),
    shell:
        "python -m selfgen tabulate-losses --spec {params.spec:q}"
        " --losses {input.losses:q} --tables results/tables > {log:q} 2>&1"


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
        spec=lambda w: to_json(tables.preferred(GRAPH)),
        code=code("selfgen.report.preference"),
    shell:
        "python -m selfgen tabulate-preference --spec {params.spec:q}"
        " --scores {input.scores:q} --tables results/tables > {log:q} 2>&1"


rule verify:
    """Results beside numbers that others measured."""
    input:
        HELD,
    output:
        VERIFY,
    log:
        "logs/verify.log",
    localrule: True
    conda:
        CONDA
    params:
        spec=lambda w: to_json(VERIFIED),
        code=code("selfgen.report.verify"),
    shell:
        "python -m selfgen verify --spec {params.spec:q} --tables results/tables"
        " > {log:q} 2>&1"
