# Small models trained from nothing: one process an experiment and seed, then all tables.
RESULTS = GRAPH.results()


wildcard_constraints:
    experiment=any_of(GRAPH.graph.experiments),
    seed=r"\d+",


rule run_experiment:
    """All variants of an experiment under one seed, from a base that is trained here."""
    output:
        scores=paths.bound(paths.SYNTHETIC, kind="scores"),
        positions=paths.bound(paths.SYNTHETIC, kind="positions"),
        curves=paths.bound(paths.SYNTHETIC, kind="curves"),
        manifest=paths.SYNTHETIC_RUN,
    log:
        paths.log("run_experiment", paths.SYNTHETIC_RUN).replace("synthetic/", ""),
    # The longest first, so that no core waits for one that began last.
    priority: lambda w: len(GRAPH.graph.experiments[w.experiment].methods)
    conda:
        CONDA
    threads: 1
    resources:
        mem=memory(3),
        runtime="2h",
    params:
        **step("run_experiment"),
    shell:
        STEP


rule collect_experiments:
    """Scores, positions, learning curves and costs of all experiments and seeds."""
    input:
        unpack(inputs("collect_experiments")),
    output:
        **paths.SYNTHETIC_COLLECTED,
        manifests=paths.MANIFESTS,
        manifest=paths.manifest(paths.MANIFESTS),
    log:
        paths.log("collect_experiments"),
    localrule: True
    conda:
        CONDA
    params:
        **step("collect_experiments"),
    shell:
        STEP


rule render_ablations:
    """Tables and figures of the synthetic experiments: a pure function of what was collected."""
    input:
        unpack(inputs("render_ablations")),
    output:
        RESULTS["tables"],
        [path for path in RESULTS["figures"] if not path.endswith(".svg")],
        [
            report(
                path,
                caption="../report/ablations.rst",
                category="Synthetic experiments",
                labels={"figure": os.path.basename(path)},
            )
            for path in RESULTS["figures"]
            if path.endswith(".svg")
        ],
        manifest=paths.ABLATIONS,
    log:
        paths.log("render_ablations"),
    localrule: True
    conda:
        CONDA
    params:
        **step("render_ablations"),
    shell:
        STEP
